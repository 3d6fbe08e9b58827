"""Relative links hold where the files are read as they lie in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository_links import DOCS, PAGES, relocated

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


def documents() -> list[Path]:
    made = DOCS / "api" / "reference"
    pages = [page for page in DOCS.rglob("*.md") if "_build" not in page.parts and page.parent != made]
    return [*ROOT.glob("*.md"), *pages, *ROOT.glob("plugins/*/*.md"), *ROOT.glob("deploy/helm/*/*.md")]


def test_every_relative_link_leads_to_a_file() -> None:
    found = 0
    lost = []
    for document in documents():
        for target in LINK.findall(document.read_text()):
            if ":" in target:
                continue
            found += 1
            if not (document.parent / target).exists():
                lost.append(f"{document.relative_to(ROOT)}: {target}")
    assert not lost
    assert found > 30


@pytest.mark.parametrize(
    ("source", "page", "given", "wanted"),
    [
        ("README.md", "docs/index.md", "[a](docs/cli.md)", "[a](cli.md)"),
        ("README.md", "docs/index.md", "[a](docs/engines/spark.md#tls)", "[a](engines/spark.md#tls)"),
        ("README.md", "docs/index.md", "[a](CHANGELOG.md)", "[a](changelog.md)"),
        ("README.md", "docs/index.md", "![a](docs/images/a.png)", "![a](images/a.png)"),
        ("README.md", "docs/index.md", "[a](https://a.example/b)", "[a](https://a.example/b)"),
        ("docs/engines/spark.md", "docs/engines/spark.md", "[a](../cli.md#run)", "[a](../cli.md#run)"),
        ("docs/engines/spark.md", "docs/engines/spark.md", "[a](#tls)", "[a](#tls)"),
        ("docs/adr/README.md", "docs/adr/README.md", "[a](../../CONTRIBUTING.md)", "[a](../contributing.md)"),
        ("docs/cli.md", "docs/cli.md", "[a](../deploy/helm/floe-monitor/README.md)", "[a](chart.md)"),
        ("deploy/helm/floe-monitor/README.md", "docs/chart.md", "[a](../../../docs/cli.md)", "[a](cli.md)"),
        ("docs/cli.md", "docs/cli.md", "[a](../config/example.yaml)", "[a](../config/example.yaml)"),
    ],
)
def test_a_link_is_written_as_its_page_needs_it(source: str, page: str, given: str, wanted: str) -> None:
    assert relocated(given, ROOT / source, ROOT / page) == wanted


@pytest.mark.parametrize(("file", "page"), PAGES.items())
def test_the_files_from_outside_are_on_the_site(file: str, page: str) -> None:
    assert f"```{{include}} ../{file}\n```" in (DOCS / page).read_text()
