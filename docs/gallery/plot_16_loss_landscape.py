"""
The loss around the weights
===========================

`mb.draw.loss_landscape` shows the plane on which a training run moved most, and its way.
"""

import mibun as mb
from mibun import learn

data = learn.load_digits()
network = learn.Network([learn.Dense(64, 20), learn.Sigmoid(), learn.Dense(20, 10)], seed=0)
way = [network.vector.copy()]
rule = mb.GradientDescent(learning_rate=0.5)
learn.train(network, data, rule=rule, steps=300, callback=lambda progress: way.append(network.vector.copy()))

# %%
# The path is given as the vectors that were collected:

mb.draw.loss_landscape(network, data, way)
