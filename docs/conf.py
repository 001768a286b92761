"""Sphinx configuration: ``sphinx-build docs build/docs`` makes the pages.

The examples are run for it, which takes some minutes; ``-D plot_gallery=0`` shows them
without their results.
"""

import os
import sys
from pathlib import Path

import sknoisy

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
import inventories  # noqa: E402
import tables  # noqa: E402

project = "sknoisy"
author = "the sknoisy developers"
release = version = sknoisy.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

html_title = "sknoisy"
html_theme = "pydata_sphinx_theme"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js"]
html_theme_options = {
    "logo": {"text": "sknoisy"},
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
}
if "DOCS_SWITCHER" in os.environ:  # the address of a JSON file of versions
    html_theme_options["switcher"] = {
        "json_url": os.environ["DOCS_SWITCHER"],
        "version_match": version,
    }
    html_theme_options["check_switcher"] = False  # the file may be on another site
    html_theme_options["navbar_end"] = [
        "version-switcher",
        "theme-switcher",
        "navbar-icon-links",
    ]

autosummary_generate = True
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
intersphinx_mapping = inventories.write(DOCS / "generated" / "inventories")
intersphinx_timeout = 5
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"quickstart",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": ("_repr_html_",),  # tables, but not what a last line returns
    "reset_modules": ("matplotlib", "gallery.warnings_are_errors"),
    "doc_module": ("sknoisy",),
    "backreferences_dir": "generated/backreferences",
    "reference_url": {"sknoisy": None},
}


def fill_tables(app, docname, source):
    """Fill the guide's tables from the registries, with links to the API."""
    if docname.startswith("guide/"):
        source[0] = tables.fill(source[0], tables.linked(DOCS / "api.md"))


def setup(app):
    """Register what Sphinx calls."""
    app.connect("source-read", fill_tables)
