"""
The course of a training run
============================

`mb.draw.training` draws the loss of every step, or the accuracies.
"""

import mibun as mb
from mibun import learn

network = learn.Network([learn.Dense(64, 50), learn.Sigmoid(), learn.Dense(50, 10)], seed=0)
rule = mb.GradientDescent(learning_rate=2.0)
history = learn.train(network, learn.load_digits(), rule=rule, batch_size=10, epochs=10)

# %%
# The loss of each step, and its mean:

mb.draw.training(history)

# %%
# The accuracies:

mb.draw.training(history, "accuracy")
