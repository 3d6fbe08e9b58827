"""Locks are complete and installed as they stand, so that no newer release can break an installation."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conformance import environments

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*environments.REQUIREMENTS.glob("*.lock"), *environments.REQUIREMENTS.glob("*.txt")])
NEWER = "9999.0"


class Pin(NamedTuple):
    name: str
    extras: str
    """With the brackets; empty for none."""
    version: str
    marker: str

    @property
    def applies(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate()


def pins_of(lock: Path) -> list[Pin]:
    found = re.findall(
        r"^([A-Za-z0-9._-]+)(\[[^\]]*\])?==(\S+?)(?: ; (.*?))? \\$", lock.read_text(), re.MULTILINE
    )
    return [Pin(canonicalize_name(name), extras, version, marker) for name, extras, version, marker in found]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_has_a_version_and_a_hash(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if line and line[0] not in "# "]
    assert len(lines) == len(pins_of(lock)) > 0
    assert lock.read_text().count("--hash=sha256:") >= len(lines)
    assert lock.with_suffix(".in").exists(), "`make lock` makes each from a file of that name"


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock"])
def test_what_is_required_is_locked(lock: str) -> None:
    """By the metadata of what is here in the locked version, extras that the lock asks for included."""
    pins = {pin.name: pin for pin in pins_of(environments.REQUIREMENTS / lock)}
    here = [pin for pin in pins.values() if pin.applies and metadata.version(pin.name) == pin.version]
    assert len(here) > 20
    missing = []
    for pin in here:
        extras = ["", *re.findall(r"[\w.-]+", pin.extras)]
        for text in metadata.requires(pin.name) or ():
            wanted = Requirement(text)
            if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
                continue
            name = canonicalize_name(wanted.name)
            if name not in pins or not wanted.specifier.contains(pins[name].version, prereleases=True):
                missing.append(f"{pin.name} wants {text}")
    assert not missing


# ---------------------------------------------------------------- an index with a newer release of each


def wheel(index: Path, name: str, version: str, requires: Iterable[str] = ()) -> str:
    """A distribution without content; its sha256."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata_lines = [
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    files = {
        f"{stem}.dist-info/METADATA": "\n".join(["Metadata-Version: 2.1", *metadata_lines, ""]),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": "",
    }
    made = index / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(made.read_bytes()).hexdigest()


def made_up(locks: Iterable[Path], index: Path) -> dict[str, str]:
    """The locks' texts over wheels made up for them; the index has a newer release of each too.

    Each wheel requires those that are locked with extras, but plainly: that is what has pip, when it resolves
    a lock again, take the newer release, of which the lock has no hash. A lock without any gets one.
    """
    pins = {lock: [pin for pin in pins_of(lock) if pin.applies] for lock in locks}
    for found in pins.values():
        if not any(pin.extras for pin in found):
            found[0] = found[0]._replace(extras="[extra]")
    everything = {(pin.name, pin.version) for found in pins.values() for pin in found}
    extended = sorted({pin.name for found in pins.values() for pin in found if pin.extras})
    digests = {}
    for name, version in everything:
        wheel(index, name, NEWER)
        digests[name, version] = wheel(index, name, version, [other for other in extended if other != name])
    return {
        lock.name: "".join(
            f"{pin.name}{pin.extras}=={pin.version} --hash=sha256:{digests[pin.name, pin.version]}\n"
            for pin in found
        )
        for lock, found in pins.items()
    }


def pip(python: Path | str, index: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pip", "-q", *arguments]
    return subprocess.run(
        command, env=offline(index), capture_output=True, text=True, timeout=100, check=False
    )


def offline(index: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def installed(python: Path) -> dict[str, str]:
    script = (
        "from importlib.metadata import distributions\n"
        "for found in distributions(): print(found.metadata['Name'], found.version)"
    )
    done = subprocess.run(
        [str(python), "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    pairs = (line.split() for line in done.stdout.splitlines())
    return {canonicalize_name(name): version for name, version in pairs}


def wanted_of(*locks: Path) -> dict[str, str]:
    return {pin.name: pin.version for lock in locks for pin in pins_of(lock) if pin.applies}


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "product-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        for path, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: product\\nVersion: 1.0\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            archive.writestr("product-1.0.dist-info/" + path, text)
    return name

build_editable = build_wheel
"""


@pytest.mark.gate
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_makefile_installs_what_is_locked_whatever_is_newer(tmp_path: Path) -> None:
    """The recipes that `make run` and `make test` start with, where the index has these wheels alone."""
    project, index = tmp_path / "project", tmp_path / "index"
    (project / "requirements").mkdir(parents=True)
    index.mkdir()
    shutil.copy(ROOT / "Makefile", project)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "product"\nversion = "1.0"\n'
    )
    (project / "backend.py").write_text(BACKEND)
    locks = [
        environments.REQUIREMENTS / name
        for name in ("runtime.lock", "build.lock", "dev.lock", "browser.lock")
    ]
    for name, text in made_up(locks, index).items():
        (project / "requirements" / name).write_text(text)
    done = subprocess.run(
        ["make", ".venv/dev.done", f"PYTHON={sys.executable}"],
        cwd=project,
        env=offline(index),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = wanted_of(*locks)
    found = installed(project / ".venv" / "bin" / "python")
    assert {name: found.get(name) for name in wanted} == wanted
    for lock in locks:
        assert_tempts(sys.executable, index, project / "requirements" / lock.name)


def assert_tempts(python: Path | str, index: Path, lock: Path) -> None:
    """Resolved again, the lock is refused: the newer releases would break an installation that resolves."""
    options = ["--dry-run", "--ignore-installed", "--require-hashes"]
    resolved = pip(python, index, "install", *options, "--requirement", str(lock))
    assert resolved.returncode != 0
    assert "--require-hashes mode" in resolved.stderr


@pytest.mark.gate
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_environment_gets_what_is_locked_whatever_is_newer(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    lock = environments.REQUIREMENTS / "dbt-bigquery.txt"
    (tmp_path / "pins.txt").write_text(made_up([lock], index)[lock.name])
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    python = tmp_path / "venv" / "bin" / "python"
    assert_tempts(python, index, tmp_path / "pins.txt")
    done = pip(python, index, *environments.INSTALL, str(tmp_path / "pins.txt"))
    assert done.returncode == 0, done.stderr
    wanted = wanted_of(lock)
    found = installed(python)
    assert {name: found.get(name) for name in wanted} == wanted
