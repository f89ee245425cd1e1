"""PyTorch: check what its autograd, or a backward of yours, makes of a function; and black boxes as operations.

PyTorch is imported when one of the functions here is called.
"""

from mibun.torch.checking import check
from mibun.torch.operation import differentiable

__all__ = ["check", "differentiable"]
