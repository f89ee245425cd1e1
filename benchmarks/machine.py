"""What measurements were made on: the machine and the versions."""

import importlib.util
import os
import platform
from pathlib import Path

import numpy as np

import mibun as mb


def machine() -> str:
    """Name the machine and the versions."""
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, mibun {mb.__version__}"
    if importlib.util.find_spec("torch") is not None:
        import torch

        versions += f", PyTorch {torch.__version__}"
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; {versions}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
