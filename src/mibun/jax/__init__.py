"""JAX: check what its reverse mode, or a custom_vjp of yours, makes of a function; and black boxes as operations.

JAX is imported when one of the functions here is called.
"""

from mibun.jax.checking import check
from mibun.jax.operation import differentiable

__all__ = ["check", "differentiable"]
