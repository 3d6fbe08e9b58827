"""Sphinx' configuration of the documentation site; `make docs` builds it with every warning an error."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

from floe_monitor import __version__

project = "floe-monitor"
copyright = "the floe-monitor authors"  # noqa: A001 - Sphinx' name for it
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "api_reference", "repository_links"]
exclude_patterns = ["_build"]

# A link or an anchor that leads nowhere is a warning; so is a cross-reference to a name of ours that is not
# documented. Names of others have no inventory here (one would have to be fetched); private ones and type
# variables have no page.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!floe_monitor\.).*|floe_monitor\.(\w+\.)*(_\w+|[A-Z]\w*T)")]
# What a kept connection remembers for the daemon is on no page.
nitpick_ignore = [("py:class", "floe_monitor.compute.evidence.Noted")]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "show-inheritance": True,
    # Pydantic's own, the same in every model.
    "exclude-members": "model_config, model_post_init",
}

html_theme = "furo"  # its style and scripts are part of the site: a reader's browser fetches nothing else
html_title = f"floe-monitor {release}"
html_copy_source = False
html_show_sphinx = False
