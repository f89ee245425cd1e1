"""Right derivatives, and mistakes to plant in them, which the benchmark publishes, are on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
