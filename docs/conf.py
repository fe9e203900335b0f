"""How Sphinx builds the site: `make docs`, without a network; every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import gpovae_core  # noqa: E402 (found by the line above)

project = "gpovae"
author = "the gpovae authors"
copyright = "the gpovae authors, MIT licence"
version = release = gpovae_core.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "from_code"]
exclude_patterns = ["images"]

smartquotes = False  # it would make a dash of the two hyphens of an option
# Headings are link targets, as they are where a forge shows these files.
myst_heading_anchors = 4
nb_execution_mode = "off"  # notebooks are shown with the outputs that they hold; the tests run them

add_module_names = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "py:obj"  # a name in single backticks of a docstring leads to what it names

html_theme = "sphinx_book_theme"
html_title = f"gpovae {release}"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
copybutton_exclude = ".linenos, .gp, .go"
