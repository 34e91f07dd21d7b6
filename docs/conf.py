"""The settings of Sphinx. `tools/make_site.py` copies this file beside the pages and the lessons, and runs Sphinx there."""

import re

project = html_title = "Digits from noise"
copyright = "the digits-from-noise authors"
extensions = ["myst_nb", "sphinx.ext.autodoc"]

nb_execution_mode = "off"  # the lessons come with their outputs
myst_enable_extensions = ["dollarmath", "colon_fence", "html_image"]
myst_heading_anchors = 3
mathjax_path = "mathjax/tex-chtml.js"

html_theme = "furo"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = ["extra"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#6bb7e8", "color-brand-content": "#6bb7e8"},
}

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "none"


def as_rst(app, what, name, thing, options, lines):
    """Docstrings are plain text with `names`; reStructuredText needs them in double backticks and | and * escaped."""
    parts = "\n".join(lines).split("`")
    parts[::2] = [re.sub(r"([|*\\])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part}``\\ " for part in parts[1::2]]
    lines[:] = "".join(parts).splitlines()


def setup(app):
    app.connect("autodoc-process-docstring", as_rst)
