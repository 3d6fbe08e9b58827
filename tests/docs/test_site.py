"""The site builds without a warning, has the whole public API, and fetches nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from api_reference import (
    INTERNAL,
    PACKAGES,
    PAGES,
    comment_on,
    documented,
    modules_below,
    modules_of,
    public_names,
    to_restructured_text,
)

from conformance import environments

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sphinx() -> list[str]:
    if why := environments.unwanted("docs.txt"):
        pytest.skip(why)
    python = environments.built(environments.DOCUMENTATION) / "bin" / "python"
    return [str(python), "-m", "sphinx", "-W", "--keep-going", "-q"]


@pytest.fixture(scope="module")
def site(sphinx: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(sphinx, ROOT / "docs", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def build(sphinx: list[str], source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*sphinx, str(source), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def inventory(site: Path) -> set[str]:
    """Names of the site's inventory: four lines of text, then `name domain:role …` in each line, deflated."""
    body = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(body).decode().splitlines()
    return {line.split()[0] for line in lines if " py:" in line}


@pytest.mark.e2e
@pytest.mark.gate
@pytest.mark.timeout(300)
def test_every_public_name_is_documented(site: Path) -> None:
    names = inventory(site)
    wanted = {f"{module}.{name}" for _, module, name in documented()}
    assert wanted >= {f"floe_monitor.compute.{name}" for name in public_names("floe_monitor.compute")}
    assert len(wanted) > 25
    assert wanted - names == set()


def test_every_public_module_is_on_a_page_or_internal_for_a_reason() -> None:
    on_pages = [module for page in PAGES for module in modules_of(page)]
    existing = {module for package in PACKAGES for module in modules_below(package)}
    assert len(existing) > len(on_pages) > 15
    assert sorted([*on_pages, *INTERNAL]) == sorted(existing)
    assert all(INTERNAL.values())


def test_the_guide_names_every_module_of_the_toolkit() -> None:
    [toolkit] = [page for page in PAGES if page.name == "toolkit"]
    guide = (ROOT / "docs" / "writing-a-plugin.md").read_text()
    _, table = guide.split("### What the toolkit has")
    named = {
        name
        for row in table.split("\n## ")[0].splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == {module.rpartition(".")[2] for module in modules_of(toolkit)}


class Fetched(HTMLParser):
    """What a browser loads for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if address := given.get("src") or (given.get("href") if tag == "link" else None):
            self.addresses.append(address)


@pytest.mark.e2e
@pytest.mark.gate
@pytest.mark.timeout(300)
def test_a_reader_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text())
        assert parser.addresses
        assert [each for each in parser.addresses if re.match(r"(\w+:)?//", each)] == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text()), style.name


@pytest.mark.e2e
@pytest.mark.gate
@pytest.mark.timeout(300)
def test_a_link_that_leads_nowhere_is_an_error(sphinx: list[str], tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("_build", "reference"))
    for file in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / file, tmp_path)
    with (docs / "profiles.md").open("a") as page:
        page.write("\n[a page](nowhere.md)\n[an anchor](cli.md#nothing)\n[one here](#nobody)\n")
    done = build(sphinx, docs, tmp_path / "site")
    assert done.returncode != 0
    for target in ("nowhere.md", "'nothing'", "nobody"):
        assert target in done.stderr, done.stderr


def test_the_api_pages_name_packages_that_are_there() -> None:
    for page in PAGES:
        for module in modules_of(page):
            assert public_names(module), module


def test_a_constant_that_a_package_passes_on_keeps_its_description() -> None:
    assert comment_on("floe_monitor.compute", "WORKLOAD_PRESETS").startswith("Sizes of dbt job pods.")
    assert comment_on("floe_monitor.compute", "ComputePlugin") == ""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("Reads `name`.", "Reads ``name``."),
        ("The `ComputeError`s of `a\nb`", "The ``ComputeError``\\ s of ``a b``"),
        ("Already ``literal``.", "Already ``literal``."),
        (
            "Like:\n\n    a = 1\n\n    b = `2`\n",
            "Like:\n\n.. code-block:: python\n\n    a = 1\n\n    b = `2`",
        ),
    ],
)
def test_docstrings_are_turned_into_restructured_text(given: str, wanted: str) -> None:
    assert "\n".join(to_restructured_text(given.splitlines())).strip("\n") == wanted
