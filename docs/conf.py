"""How the documentation is built: offline, every warning an error, pictures drawn by the code that is shown."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ.setdefault("MPLBACKEND", "agg")

from pictures import GalleryScraper  # noqa: E402  its folder was added just now

import mibun  # noqa: E402

project = "mibun"
author = "The mibun authors"
copyright = author  # noqa: A001  the name that Sphinx asks for
version = release = mibun.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "commands",
    "complete",
    "docstrings",
    "mathml",
    "offline",
    "pictures",
    "results",
]
exclude_patterns = ["_build", "gallery/*.rst", "auto_gallery/**/*.py.md5", "README.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
suppress_warnings = ["config.cache"]  # the scraper of pictures is a function, which no cache can hold

myst_enable_extensions = ["attrs_inline", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

smartquotes = False  # --at is no dash, and a command can be pasted
default_role = "py:obj"  # `Derivative` in a docstring is a link where there is one, and code elsewhere
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types and shapes
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"mibun {release}"
html_static_path = ["_static"]
html_css_files = ["mibun.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "monokai"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": (GalleryScraper(),),
    "reset_modules": (),
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": (),
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "copyfile_regex": "",
    "plot_gallery": True,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}
