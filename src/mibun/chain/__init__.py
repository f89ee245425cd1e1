"""The tape: gradients of NumPy code at the price of a few evaluations, and no derivative written anywhere.

``method="chain"`` of `gradient`, `jacobian`, `vjp` and `hessian` records what f does with NumPy, operation by
operation. Linear and bilinear ones are moved exactly; a known ufunc by a difference of its values that does not cancel;
every other one by a local numerical derivative. The chain rule composes them, from f(x) back to x, with a bound on
every number.

- `elementwise`, `per_sample`, `with_vjp` make functions of yours pieces of a recorded f;
- `record` keeps a recording for other points;
- `hvp` multiplies a Hessian by a direction;
- `known` names what is recorded by a rule;
- `value_and_gradient` is the inner loop: plain numbers, nothing else.

What cannot be recorded (``float(x)``, ``math.sin(x)``, ``x[0] = 1``, ``np.asarray(x)``, complex numbers) is refused,
with the line where it stands and what to write instead. A branch on a value is recorded as taken, and noted.
"""

from mibun.chain.backward import known
from mibun.chain.method import value_and_gradient
from mibun.chain.replay import Recording, record
from mibun.chain.second import hvp
from mibun.chain.user import elementwise, per_sample, with_vjp

__all__ = ["Recording", "elementwise", "hvp", "known", "per_sample", "record", "value_and_gradient", "with_vjp"]
