"""Pictures with matplotlib: every one takes `ax=None`, returns its artists, and never calls `show`.

With `ax=None` a new figure is made by pyplot, so that `plt.show()` shows it and `plt.close()` closes it; with your
own `ax`, pyplot is not even imported. matplotlib comes with the extra `plot`; without it a drawing raises
`MissingDependency`. Colours follow the background of the axes, as `plt.style.use("dark_background")` sets it;
``language="ko"`` labels in Korean.
"""

from mibun.draw.check import check
from mibun.draw.curves import function, tangent
from mibun.draw.difference import difference
from mibun.draw.digits import DigitsArtists, digits
from mibun.draw.engines import EnginesArtists, engines
from mibun.draw.field import field
from mibun.draw.landscape import loss_landscape
from mibun.draw.lessons import log_curve, step_and_sigmoid
from mibun.draw.networks import confusion, weights
from mibun.draw.path import path, paths
from mibun.draw.step_error import step_error
from mibun.draw.style import Picture
from mibun.draw.surfaces import contour, surface
from mibun.draw.training import TrainingArtists, training

__all__ = [
    "DigitsArtists",
    "EnginesArtists",
    "Picture",
    "TrainingArtists",
    "check",
    "confusion",
    "contour",
    "difference",
    "digits",
    "engines",
    "field",
    "function",
    "log_curve",
    "loss_landscape",
    "path",
    "paths",
    "step_and_sigmoid",
    "step_error",
    "surface",
    "tangent",
    "training",
    "weights",
]
