"""What an image leaves out of packages: native libraries load as before, without what no loader reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

from deploy.docker.shrink import shrink, without_sections


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """PyYAML as it is installed, whose library carries debug information, and what else is looked at."""
    shutil.copytree(
        Path(yaml.__file__).parent, tmp_path / "yaml", ignore=shutil.ignore_patterns("__pycache__", "*.pyi")
    )
    install(tmp_path, "alembic", ["sqlalchemy (>=2)"], "alembic/a.py")
    install(tmp_path, "SQLAlchemy", [], "sqlalchemy/a.py", *GONE_WITH_ALEMBIC_ALONE)
    return tmp_path


GONE_WITH_ALEMBIC_ALONE = {
    "sqlalchemy/dialects/mysql/base.py",
    "sqlalchemy/dialects/sqlite/provision.py",
    "sqlalchemy/orm/session.py",
}


def install(packages: Path, name: str, requires: list[str], *files: str) -> None:
    """A distribution of empty files, with metadata as wheels have it."""
    metadata = packages / f"{name.lower()}-1.0.dist-info"
    metadata.mkdir()
    fields = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in requires)]
    (metadata / "METADATA").write_text("\n".join([*fields, "", f"# {name}", "", "All about it.", ""]))
    for each in (f"{metadata.name}/RECORD", *files):
        (packages / each).parent.mkdir(parents=True, exist_ok=True)
        (packages / each).write_text("")


def files(packages: Path) -> set[str]:
    return {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}


@pytest.mark.process
def test_a_library_is_smaller_and_loads(packages: Path) -> None:
    [library] = packages.glob("yaml/_yaml*.so")
    before = library.stat().st_size
    shrink(packages)
    assert library.stat().st_size < before / 2
    code = "import sys, yaml._yaml; print(yaml._yaml.__file__, yaml.load('a: 1', yaml.CSafeLoader))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(packages)!r}); {code}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{library} {{'a': 1}}\n", done.stderr
    shrunk = library.read_bytes()
    assert without_sections(shrunk) == shrunk


def test_what_is_not_read_goes_and_the_rest_stays(packages: Path) -> None:
    install(packages, "b", [], "b/a.py", "b/a.pyi", "b/header/a.h", "b-stubs/__init__.pyi")
    before = files(packages)
    shrink(packages)
    records = {name for name in before if name.endswith("RECORD")}
    gone = {"b/a.pyi", "b/header/a.h", "b-stubs/__init__.pyi", *records, *GONE_WITH_ALEMBIC_ALONE}
    assert before - files(packages) == gone
    assert not (packages / "b" / "header").exists()


def test_what_an_unknown_distribution_may_need_stays(packages: Path) -> None:
    """As a plugin of somebody else's in an image of their own, which may need all of SQLAlchemy."""
    install(packages, "another-plugin", ['SQLAlchemy[asyncio]>=2; extra == "x"'])
    shrink(packages)
    assert files(packages) >= GONE_WITH_ALEMBIC_ALONE


def test_names_versions_and_requirements_can_still_be_asked_for(packages: Path) -> None:
    shrink(packages)
    asked = {each.metadata["Name"]: each for each in distributions(path=[str(packages)])}
    assert asked["alembic"].version == "1.0"
    assert asked["alembic"].requires == ["sqlalchemy (>=2)"]
    assert "All about it" not in str(asked["alembic"].metadata)


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01", b"GROUP ( libc.so.6 )", b"\x7fELF\x01" * 40]
)
def test_what_is_no_library_of_64_bits_stays_as_it_is(content: bytes) -> None:
    assert without_sections(content) == content
