"""Sphinx configuration: ``sphinx-build docs build/docs`` makes the pages.

The examples are run for it, which takes some minutes; ``-D plot_gallery=0`` shows them
without their results.
"""

import sys
from pathlib import Path

import sknoisy

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
import tables  # noqa: E402

project = "sknoisy"
author = "the sknoisy developers"
release = version = sknoisy.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
html_title = "sknoisy"
html_theme = "pydata_sphinx_theme"
myst_enable_extensions = ["colon_fence"]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"quickstart",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
}
autosummary_generate = True
numpydoc_show_class_members = False
myst_heading_anchors = 3

# Sections of scikit-learn's manual that docstrings refer to which estimators inherit.
SCIKIT_LEARN = {"accuracy_score", "metadata_routing"}


def as_text(app, env, node, contnode):
    """Leave a reference to scikit-learn's manual as text: no page needs the network."""
    if node["reftype"] == "ref" and node["reftarget"] in SCIKIT_LEARN:
        return contnode
    return None


def fill_tables(app, docname, source):
    """Fill the guide's tables from the registries, with links to the API."""
    if docname.startswith("guide/"):
        source[0] = tables.fill(source[0], tables.linked(DOCS / "api.md"))


def setup(app):
    """Register what Sphinx calls."""
    app.connect("missing-reference", as_text)
    app.connect("source-read", fill_tables)
