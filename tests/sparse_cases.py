"""Random functions whose Jacobians and Hessians have a known sparse pattern."""

import numpy as np


def random_parts(rng):
    """Products, sines and rational functions of two or three entries of x each, of any size, and their pattern."""
    n, count = int(rng.integers(3, 30)), int(rng.integers(1, 60))
    of, kind = rng.integers(0, n, (count, 3)), rng.integers(0, 4, count)
    size, scale = 10.0 ** rng.uniform(-2, 2, count), 10.0 ** rng.uniform(-1, 0.5, count)

    def parts(x):
        a, b, c = x[of[:, 0]] * scale, x[of[:, 1]], x[of[:, 2]]
        chosen = [np.sin(a * b), np.exp(-(a * a)) * b, a * b * c]
        return size * np.select([kind == 0, kind == 1, kind == 2], chosen, 1 / (1 + a * a + b * b))

    pattern = np.zeros((count, n))
    for row in range(count):
        pattern[row, of[row, : 3 if kind[row] == 2 else 2]] = 1
    return parts, rng.normal(size=n) * 10.0 ** rng.uniform(-1, 1, n), pattern
