"""Derivatives of anything that can be evaluated, and networks that learn by them.

`derivative`, `partial`, `mixed`, `gradient`, `directional`, `jacobian`, `vjp` and `hessian` differentiate what can only
be evaluated, with an error bound on every number; `Adaptive`, `Forward`, `Backward`, `Central` and `ComplexStep` are
their methods, and an `Evaluator` has f evaluated by workers, and its values kept in a store. `check` says whether a
derivative that somebody wrote is right. `descend` goes down along a gradient and says why that ended; its rules are
`GradientDescent`, `Momentum`, `AdaGrad`, `RMSProp` and `Adam`. `mibun.learn` trains networks by numerical gradients,
`mibun.scipy`, `mibun.torch` and `mibun.jax` are bridges, `mibun.book` has the notes' own functions, `mibun.draw` the
pictures. Each name is loaded on first use. `Derivative` is what every derivative comes back as, `Path` every descent.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mibun import book, chain, draw, errors, jax, learn, scipy, torch
    from mibun.checker import CheckReport, check
    from mibun.derivatives import derivative, directional, gradient, jacobian, mixed, partial, vjp
    from mibun.descent.descend import descend
    from mibun.descent.path import Path, PathStatus
    from mibun.descent.rules import AdaGrad, Adam, GradientDescent, Momentum, RMSProp
    from mibun.descent.schedules import Decay, Scheduled
    from mibun.descent.spsa import SPSA
    from mibun.evaluate.evaluator import Evaluator
    from mibun.hessians import hessian
    from mibun.methods import Adaptive, Backward, Central, Chain, ComplexStep, Forward
    from mibun.result import Derivative, Status

__all__ = [  # noqa: RUF022  SPSA is a class, no constant
    "AdaGrad",
    "Adam",
    "Adaptive",
    "Backward",
    "Central",
    "Chain",
    "CheckReport",
    "ComplexStep",
    "Decay",
    "Derivative",
    "Evaluator",
    "Forward",
    "GradientDescent",
    "Momentum",
    "Path",
    "PathStatus",
    "RMSProp",
    "SPSA",
    "Scheduled",
    "Status",
    "book",
    "chain",
    "check",
    "derivative",
    "descend",
    "directional",
    "draw",
    "errors",
    "gradient",
    "hessian",
    "jacobian",
    "jax",
    "learn",
    "mixed",
    "partial",
    "scipy",
    "torch",
    "vjp",
]
__version__ = "0.1.0"

#: Where each name lives. All are loaded on first use, so that `import mibun` costs next to nothing.
_HOMES = {
    "mibun.checker": ("CheckReport", "check"),
    "mibun.derivatives": ("derivative", "directional", "gradient", "jacobian", "mixed", "partial", "vjp"),
    "mibun.descent.descend": ("descend",),
    "mibun.descent.path": ("Path", "PathStatus"),
    "mibun.descent.rules": ("AdaGrad", "Adam", "GradientDescent", "Momentum", "RMSProp"),
    "mibun.descent.schedules": ("Decay", "Scheduled"),
    "mibun.descent.spsa": ("SPSA",),
    "mibun.evaluate.evaluator": ("Evaluator",),
    "mibun.hessians": ("hessian",),
    "mibun.methods": ("Adaptive", "Backward", "Central", "Chain", "ComplexStep", "Forward"),
    "mibun.result": ("Derivative", "Status"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = frozenset({"book", "chain", "draw", "errors", "jax", "learn", "scipy", "torch"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mibun.{name}")
    if name in _HOME_OF:
        # Kept, so that the next look-up does not come here.
        value = globals()[name] = getattr(importlib.import_module(_HOME_OF[name]), name)
        return value
    raise AttributeError(f"module 'mibun' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
