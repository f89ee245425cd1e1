"""
Digits
======

`mb.draw.digits` draws images with their labels, and with what a network took them for.
"""

import mibun as mb
from mibun import learn

data = learn.load_digits()
mb.draw.digits(data.test_x[:30], labels=data.test_labels[:30])

# %%
# A network that was trained for a moment, and what it gets wrong:

network = learn.Network([learn.Dense(64, 20), learn.Sigmoid(), learn.Dense(20, 10)], seed=0)
learn.train(network, data, rule=mb.GradientDescent(learning_rate=1.0), epochs=3)
answers = network.predict(data.test_x).argmax(axis=1)
wrong = answers != data.test_labels

# %%
# The right answer is at the left of each arrow:

mb.draw.digits(data.test_x[wrong][:20], labels=data.test_labels[wrong][:20], predicted=answers[wrong][:20])
