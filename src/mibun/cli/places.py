"""Where a command writes its picture."""

from pathlib import Path

from mibun.draw.files import formats
from mibun.errors import InputError

__all__ = ["place"]


def place(kind: str, out: str | None) -> Path:
    """Give the file to be written: the one that was named, or one that is not there yet.

    Raises
    ------
    InputError
        If the file that was named is a folder, is in none, or has an ending that matplotlib does not write.
    MissingDependency
        If one was named, and matplotlib is not installed.
    """
    if out is None:
        path, number = Path(f"{kind}.png"), 1
        while path.exists():
            number += 1
            path = Path(f"{kind}-{number}.png")
        return path
    path = Path(out).expanduser()
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    if path.suffix[1:].lower() not in formats():
        raise InputError(
            f"--out {out} ends in {path.suffix}; expected .png, .svg, .pdf or another of {', '.join(formats())}"
        )
    if not path.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise InputError(f"--out {out} is a folder; expected a file, such as {path / kind}.png")
    return path
