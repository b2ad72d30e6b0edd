"""How `make docs` makes the site: Sphinx over the pages of this folder, the gallery and the docstrings."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "ctrecon"
author = "The ctrecon developers"
copyright = "The ctrecon developers, GPL-3.0-or-later"
language = "en"
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design", "sphinx_copybutton",
    "sphinx_gallery.gen_gallery", "reference", "commands", "page_links",
]  # fmt: skip
exclude_patterns = ["gallery", "extensions", "static", "examples/**/*.md5", "examples/**/*.ipynb"]
templates_path: list[str] = []
nitpicky = True
# Types of other libraries, whose own sites are elsewhere (nothing here is fetched), and variables for types.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!ctrecon).*"),
    (r"py:.*", r"ctrecon\..*\.([A-Z]|[A-Z]_co|Kind)"),
]
suppress_warnings = ["ref.python"]  # two classes of one short name, in annotations Python does not resolve

# Pages: anchors as forges make them, so that `units.md#angles` is right here and there.
myst_heading_anchors = 4
highlight_language = "none"
default_role = "code"
smartquotes = False  # `--delta` has two hyphens

# Docstrings.
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_default_options = {"show-inheritance": True}
python_maximum_signature_line_length = 88
add_module_names = False

# Copied without prompts and outputs.
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True

# The gallery: every example runs, a warning of Python in one is an error.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"__init__",
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "within_subsection_order": "gallery_order.Order",
    "reset_modules": ("matplotlib", "gallery_order.calm"),
    "reset_modules_order": "both",
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1e9,
    "show_signature": False,
    "write_computation_times": False,
    "image_scrapers": ("matplotlib",),
    "plot_gallery": "True",
    "parallel": False,
}

# The looks: a theme whose fonts and scripts are its own files, so that the site needs no network.
html_theme = "pydata_sphinx_theme"
html_title = "ctrecon"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "ctrecon"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": True,
}
