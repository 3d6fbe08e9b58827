"""Records of decisions: one form, numbered without gaps, each in the index as it stands in its page."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

ADR = Path(__file__).parents[2] / "docs" / "adr"
PAGES = sorted(ADR.glob("[0-9]*.md"))
FORM = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"- Status: (?P<status>Proposed|Accepted|Superseded by \[.+\]\(\d{4}-.+\.md\))\n"
    r"- Date: (?P<date>\d{4}-\d\d-\d\d)\n\n"
    r"## Context\n\n[^#]+## Decision\n\n[^#]+## Consequences\n\n- [^#]+"
)


def test_numbers_have_no_gap() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_form_and_its_row(page: Path) -> None:
    form = FORM.fullmatch(page.read_text())
    assert form, "see docs/adr/template.md"
    assert int(form["number"]) == int(page.name[:4])
    date.fromisoformat(form["date"])
    row = f"| {form['number']} | [{form['title']}]({page.name}) | {form['status']} | {form['date']} |"
    assert row in (ADR / "README.md").read_text()


def test_the_template_has_the_form_too() -> None:
    template = (ADR / "template.md").read_text()
    for heading in ("## Context", "## Decision", "## Consequences"):
        assert f"\n{heading}\n" in template
