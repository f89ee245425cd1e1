"""
Which digits are taken for which
================================

`mb.draw.confusion` counts the answers of a network: a row for what an image is, a column for the answer.
"""

import mibun as mb
from mibun import learn

data = learn.load_digits()
network = learn.Network([learn.Dense(64, 10)], seed=0)
history = learn.train(network, data, rule=mb.GradientDescent(learning_rate=0.5), epochs=5)

# %%
# What lies off the diagonal is wrong:

mb.draw.confusion(network, data)
