"""How Sphinx makes the site: `sphinx-build -W --keep-going -b html docs docs/_build`."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

project = _PROJECT["name"]
author = "the hubbub authors"
project_copyright = author
release = version = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]

# Notes and warnings with colons, so that code fences hold code only.
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# Members are named where a module holds more than what is public.
autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "description"
autodoc_preserve_defaults = True
# Each page says which module exports what is on it.
add_module_names = False

# Single backticks in docstrings are code.
default_role = "code"

html_theme = "furo"
html_title = "hubbub"
html_copy_source = False
html_show_sphinx = False
