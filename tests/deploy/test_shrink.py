"""What an image leaves out of packages: native libraries load as before, without what no loader reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.docker.shrink import shrink, without_sections


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """PyYAML as it is installed, whose library carries debug information, and what else is looked at."""
    shutil.copytree(
        Path(yaml.__file__).parent, tmp_path / "yaml", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in (
        "pygments/lexers/python.py",
        "pygments/lexers/cobol.py",
        "certifi/tests/a.py",
        "certifi/b.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


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
    sources = {path: path.read_bytes() for path in packages.rglob("*.py")}
    shrink(packages)
    gone = [str(path.relative_to(packages)) for path in sources if not path.exists()]
    assert sorted(gone) == ["certifi/tests/a.py", "pygments/lexers/cobol.py"]
    assert all(path.read_bytes() == text for path, text in sources.items() if path.exists())


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01", b"GROUP ( libc.so.6 )", b"\x7fELF\x01" * 40]
)
def test_what_is_no_library_of_64_bits_stays_as_it_is(content: bytes) -> None:
    assert without_sections(content) == content
