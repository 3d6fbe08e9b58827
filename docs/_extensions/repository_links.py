"""Lets one relative link work in the repository and on the site.

README, CHANGELOG, CONTRIBUTING and SECURITY lie at the repository's root, the chart's README with the chart;
links in them are relative to that. On the site they are part of pages of `docs/`: links into them lead to
those pages, links out of them are made relative to the page. What else of the repository a page links to is
a download there.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "deploy/helm/floe-monitor/README.md": "chart.md",
}
"""The pages of `docs/` that include files from outside, by their paths in the repository."""
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")


def relocated(text: str, source: Path, page: Path) -> str:
    """`text` of the file `source`, with its relative links as the page needs them that shows it."""

    def relocate(match: re.Match[str]) -> str:
        target = match[1]
        if ":" in target:  # an address
            return target
        path = Path(os.path.normpath(source.parent / target))
        if path.is_relative_to(DOCS.parent):
            path = DOCS / PAGES.get(path.relative_to(DOCS.parent).as_posix(), path)
        return Path(os.path.relpath(path, page.parent)).as_posix()

    return _LINK.sub(relocate, text)


def relocate_page(app: Sphinx, page: str, content: list[str]) -> None:
    path = Path(app.env.doc2path(page))
    content[0] = relocated(content[0], path, path)


def relocate_included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:  # noqa: ARG001
    content[0] = relocated(content[0], DOCS / path, Path(app.env.doc2path(app.env.docname)))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", relocate_page)
    app.connect("include-read", relocate_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
