"""dbt's environments: one for each adapter, pinned, under `.venvs/`, built on first use."""

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

if TYPE_CHECKING:
    from conformance.cases import Engine

ROOT = Path(__file__).resolve().parent.parent


def python_of(engine: Engine) -> Path:
    """The interpreter of dbt's environment for this engine."""
    return built(engine.requirements) / "bin" / "python"


def unwanted(requirements: str) -> str | None:
    """Why tests should do without this environment, which takes some 20 seconds of a first `make test`. None
    where it is there, or `FLOE_TEST_ENVIRONMENTS=1` (or the gate's `FLOE_MONITOR_CI=1`) asks for it."""
    name = Path(requirements).stem
    there = any((ROOT / ".venvs" / name / stamp).exists() for stamp in ("pins.sha256", "made-of"))
    if there or "1" in {os.environ.get(key) for key in ("FLOE_MONITOR_CI", "FLOE_TEST_ENVIRONMENTS")}:
        return None
    return f"needs .venvs/{name}: set FLOE_TEST_ENVIRONMENTS=1 to have it built"


def built(requirements: str) -> Path:
    """An environment of those pins; builds it where it is missing or they have changed."""
    pins = ROOT / "requirements" / requirements
    folder = ROOT / ".venvs" / pins.stem
    folder.parent.mkdir(exist_ok=True)
    stamp, wanted = folder / "pins.sha256", hashlib.sha256(pins.read_bytes()).hexdigest()
    with (folder.parent / f"{pins.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"building {folder.relative_to(ROOT)} (once)", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq"]
            subprocess.run([*pip, "install", "--require-hashes", "--requirement", str(pins)], check=True)
            stamp.write_text(wanted)
    return folder
