"""Sphinx configuration: ``sphinx-build docs build/docs`` makes the pages."""

import sknoisy

project = "sknoisy"
author = "the sknoisy developers"
release = version = sknoisy.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
html_theme = "pydata_sphinx_theme"
autosummary_generate = True
numpydoc_show_class_members = False
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]
