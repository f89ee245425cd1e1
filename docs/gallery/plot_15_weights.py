"""
What the units look for
=======================

`mb.draw.weights` draws the weights into each unit as a small image.
"""

import mibun as mb
from mibun import learn

network = learn.Network([learn.Dense(64, 10)], seed=0)
learn.train(network, learn.load_digits(), rule=mb.GradientDescent(learning_rate=0.5), epochs=10)

# %%
# One image for each of the ten digits:

mb.draw.weights(network, columns=5)
