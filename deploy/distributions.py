"""`make dist`: wheels and sources of all distributions, and by hash what to install for each engine.

`dist/requirements-ENGINE.txt` names the monitor's wheel, the engine's plugin's and all that they need, in the
versions that the tests run with: nothing is resolved anew, whatever else an index has under these names is
refused, and the files of several engines go together.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"
BUILD_LOCK = ROOT / "requirements" / "build.lock"
MONITOR = "floe-monitor"
HISTORY = "history"
"""The extra that comes with every engine: a configuration that asks for a history shall have one."""
EXTRAS = ("notifications", "otlp-grpc")
"""Those that have a file of their own."""
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?==[^\n]*\\\n(?:    --hash=sha256:\S+(?: \\)?\n)+",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One distribution of a lock: `text` is its lines there."""

    extras: frozenset[str]
    text: str


def read_lock(path: Path) -> dict[str, Pin]:
    return {
        canonicalize_name(found["name"]): Pin(
            frozenset(filter(None, map(str.strip, (found["extras"] or "").split(",")))), found[0]
        )
        for found in _PIN.finditer(path.read_text())
    }


def plugins() -> dict[str, Path]:
    """The directories of the plugins, by engine."""
    return {path.parent.name: path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))}


def needed(engine: str, pins: Mapping[str, Pin]) -> list[str]:
    """What the engine's plugin and the monitor with its history need, by the names of the lock.

    Of the plugin's extras those come along that are locked whole (DuckDB's Iceberg extensions). For one of
    `EXTRAS`: what that needs.
    """
    monitor = _project(ROOT)
    if engine in EXTRAS:
        return _closure(monitor["optional-dependencies"][engine], pins)
    project = _project(plugins()[engine])
    wanted = [*monitor["dependencies"], *monitor["optional-dependencies"][HISTORY], *project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        if all(canonicalize_name(Requirement(text).name) in pins for text in extra):
            wanted += extra
    return _closure(wanted, pins)


def _closure(wanted: Iterable[str], pins: Mapping[str, Pin]) -> list[str]:
    found: set[str] = set()
    waiting = [(canonicalize_name(each.name), frozenset(each.extras)) for each in map(Requirement, wanted)]
    done = set()
    while waiting:
        name, extras = each = waiting.pop()
        if each in done or name == MONITOR:
            continue
        done.add(each)
        if name not in pins:
            raise SystemExit(f"{LOCK.name} lacks {name}: run `make lock`")
        found.add(name)
        waiting.extend(_requirements(name, extras | pins[name].extras, pins))
    return sorted(found)


def requirements(engine: str, wheels: Iterable[Path]) -> str:
    """The text of `requirements-ENGINE.txt`. `wheels`: the monitor's and the plugin's; none for an extra."""
    pins = read_lock(LOCK)
    what = f"What the extra {engine} adds" if engine in EXTRAS else f"floe-monitor with the {engine} plugin"
    lines = [f"# {what}: versions and hashes. docs/installation.md shows its use.\n"]
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        lines.append(f"{canonicalize_name(name)}=={version} \\\n    --hash=sha256:{_sha256(wheel)}\n")
    return "".join([*lines, *(pins[name].text for name in needed(engine, pins))])


def build(directory: Path) -> None:
    """Everything, into an empty `directory`. The environment that runs this has the lock's build back end."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    target = str(directory.resolve())
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", target]
    for source in (ROOT, *plugins().values()):
        # The time of files in archives is hatchling's own constant, whatever the caller's is.
        environ = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
        subprocess.run(
            command, cwd=source, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    for engine in plugins():
        wheels = [_wheel(directory, MONITOR), _wheel(directory, f"{MONITOR}-{engine}")]
        (directory / f"requirements-{engine}.txt").write_text(requirements(engine, wheels))
    for extra in EXTRAS:
        (directory / f"requirements-{extra}.txt").write_text(requirements(extra, ()))
    shutil.copyfile(BUILD_LOCK, directory / "requirements-build.txt")
    sums = directory / "SHA256SUMS"
    files = sorted(path for path in directory.iterdir() if path != sums)
    sums.write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in files))


def _requirements(
    name: str, extras: frozenset[str], pins: Mapping[str, Pin]
) -> Iterator[tuple[NormalizedName, frozenset[str]]]:
    """What a locked distribution needs on any system: the lock's own markers say on which."""
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return  # of another system: those locked need nothing
    for each in map(Requirement, texts):
        applies = each.marker is None or any(each.marker.evaluate({"extra": it}) for it in ("", *extras))
        elsewhere = each.marker is not None and "extra" not in str(each.marker)
        if applies or (elsewhere and canonicalize_name(each.name) in pins):
            yield canonicalize_name(each.name), frozenset(each.extras)


def _project(directory: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((directory / "pyproject.toml").read_text())["project"]
    return project


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wheel(directory: Path, name: str) -> Path:
    [wheel] = directory.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return wheel


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    for made in sorted(Path(sys.argv[1]).iterdir()):
        print(made)
