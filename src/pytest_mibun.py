"""The pytest plugin of mibun, with the fixture `gradcheck`; nothing of mibun is imported until a test asks for it."""

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["gradcheck"]


@pytest.fixture(scope="session")
def gradcheck() -> Callable[..., Any]:
    """Fail a test whose gradient is wrong, or cannot be decided: ``gradcheck(f, args, gradient=None, **options)``.

    ``args`` is a tuple of arguments, or the only one; ``gradient`` is called as f is, and gives a tuple, or the only
    one; without it autograd's is taken, for modules, tensors and arrays of JAX. The options are those of `mibun.check`.
    The fixture gives the `mibun.CheckReport` back; the message of a failure is that report, with the seed.
    """
    from mibun.gradcheck import CheckFailed, checked

    def gradcheck(f: Callable[..., Any], args: Any = (), gradient: Any = None, **options: Any) -> Any:
        __tracebackhide__ = True
        report = checked(f, args, gradient, options)
        if not report.ok:
            raise CheckFailed(str(report))
        return report

    return gradcheck
