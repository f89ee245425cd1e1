"""Pictures with matplotlib: every one takes `ax=None`, returns its artists, and never calls `show`.

With `ax=None` a new figure is made by pyplot, so that `plt.show()` shows it and `plt.close()` closes it; with your
own `ax`, pyplot is not even imported. matplotlib comes with the extra `plot`; without it a drawing raises
`MissingDependency`.
"""

from mibun.draw.engines import EnginesArtists, engines
from mibun.draw.training import DigitsArtists, TrainingArtists, digits, training

__all__ = ["DigitsArtists", "EnginesArtists", "TrainingArtists", "digits", "engines", "training"]
