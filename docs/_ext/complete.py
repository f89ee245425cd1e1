"""Every public name stands in the reference, and every picture in the gallery; else the build warns, and so fails."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

#: The modules whose names are public.
MODULES = ("book", "chain", "draw", "errors", "jax", "learn", "scipy", "torch")


def public_names() -> list[str]:
    """Give the full names of all that is public; modules are pages, and stand for their names."""
    found = []
    for module in ("mibun", *(f"mibun.{name}" for name in MODULES)):
        loaded = import_module(module)
        found += [f"{module}.{name}" for name in loaded.__all__ if not inspect.ismodule(getattr(loaded, name))]
    return found


def pictures() -> list[str]:
    """Give the names of the functions that draw."""
    from mibun import draw

    return [name for name in draw.__all__ if inspect.isfunction(getattr(draw, name))]


def check(app: Sphinx, env: BuildEnvironment) -> None:
    log = logging.getLogger(__name__)
    described = set(env.domaindata["py"]["objects"])
    for name in public_names():
        if name not in described:
            log.warning("%s is public, and not in the reference", name)
    programs = "".join(file.read_text(encoding="utf-8") for file in Path(app.srcdir, "gallery").glob("*.py"))
    for name in pictures():
        if f"mb.draw.{name}(" not in programs:
            log.warning("mb.draw.%s is not in the gallery", name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
