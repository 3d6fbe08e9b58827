"""Environments of pinned distributions under `.venvs/`, for adapters, servers and tools; built on first use.

`python -m conformance.environments` builds them, or those named.

A lock is complete and is installed without resolving: with its dependencies resolved again, a newer release
of any of them would make pip refuse the whole, because the lock has no hash of it.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.cases import Engine

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
BUILD = REQUIREMENTS / "build.lock"
INSTALL = ("install", "--no-deps", "--require-hashes", "--no-build-isolation", "--requirement")
"""pip's arguments before a lock. Build back ends are pinned too: `build.lock` comes first."""

DOCUMENTATION, LOWEST, UPSTREAM = "docs.txt", "lowest.txt", "upstream.txt"
_BELOW = {DOCUMENTATION: ("runtime.lock",), LOWEST: ("dev.lock",), UPSTREAM: ("runtime.lock",)}
"""Locks that are installed before another."""
_EDITABLE = {
    DOCUMENTATION: (ROOT,),
    LOWEST: (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))),
    UPSTREAM: (ROOT,),
}
"""Those in which distributions of the project are installed too."""


def python_of(engine: Engine) -> Path:
    """The interpreter of dbt's environment for this engine."""
    return built(engine.requirements) / "bin" / "python"


def unwanted(requirements: str) -> str | None:
    """Why tests should do without this environment, which takes some 20 seconds of a first `make test`. None
    where it is there, or `FLOE_TEST_ENVIRONMENTS=1` (or the gate's `FLOE_MONITOR_CI=1`) asks for it."""
    if is_built(requirements):
        return None
    if "1" in {os.environ.get(key) for key in ("FLOE_MONITOR_CI", "FLOE_TEST_ENVIRONMENTS")}:
        return None
    return f"needs .venvs/{Path(requirements).stem}: set FLOE_TEST_ENVIRONMENTS=1 to have it built"


def is_built(requirements: str) -> bool:
    """Whether there is an environment of that name, if perhaps of older pins."""
    return (ROOT / ".venvs" / Path(requirements).stem / "pins.sha256").is_file()


def built(requirements: str) -> Path:
    """An environment of those pins; builds it where it is missing or they have changed.

    Raises `subprocess.CalledProcessError` with pip's words on standard error where that fails.
    """
    below = _BELOW.get(requirements, ())
    pins = [BUILD, *(REQUIREMENTS / name for name in below), REQUIREMENTS / requirements]
    name = Path(requirements).stem
    folder = ROOT / ".venvs" / name
    folder.parent.mkdir(exist_ok=True)
    state = hashlib.sha256(b"\0".join(each.read_bytes() for each in pins)).hexdigest()
    stamp = folder / "pins.sha256"
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != state:
            _tell(f"building {folder.relative_to(ROOT)} (once)")
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            python = folder / "bin" / "python"
            for each in pins:
                pinned = counted(each.read_text().count("=="), "distribution")
                _tell(f"installing {each.relative_to(ROOT)}: {pinned}")
                install(python, *INSTALL, str(each))
            for each in _EDITABLE.get(requirements, ()):
                install(python, "install", "--no-deps", "--no-build-isolation", "--editable", str(each))
            stamp.write_text(state)
    return folder


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def install(python: Path, *arguments: str) -> None:
    pip = (
        str(python),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-qq",
        "--timeout",
        "120",
        "--retries",
        "8",
    )
    subprocess.run([*pip, *arguments], check=True)


def main(wanted: Sequence[str]) -> None:
    """Builds those wanted and prints where they are; all but the one of the lowest versions by default."""
    for name in wanted or sorted(pins.name for pins in REQUIREMENTS.glob("*.txt") if pins.name != LOWEST):
        print(built(name).relative_to(ROOT), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
