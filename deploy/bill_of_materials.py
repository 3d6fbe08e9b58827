"""`make sbom`: a bill of materials (CycloneDX, JSON) of each engine, as `make dist` has it installed.

An installed environment says what a lock does not: licences, and what needs what. Two runs on the same files
write the same bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import environments
from deploy import distributions

if TYPE_CHECKING:
    from collections.abc import Sequence

DIST = distributions.ROOT / "dist"


def install(dist: Path, engine: str, environment: Path) -> Path:
    """The engine's distributions, in an environment with nothing else; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    options = ["--no-deps", "--no-build-isolation", "--require-hashes", "--find-links", str(dist)]
    lock = ["--requirement", str(dist / f"requirements-{engine}.txt")]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "-qq", *options, *lock], check=True)
    return python


def bill(dist: Path, engine: str) -> dict[str, Any]:
    """Of the newest specification that the tool knows."""
    tool = environments.built("release.txt") / "bin" / "cyclonedx-py"
    with tempfile.TemporaryDirectory() as folder:
        python = install(dist, engine, Path(folder) / "venv")
        made = Path(folder) / "bill.json"
        command = [str(tool), "environment", str(python), "--output-reproducible", "--output-format", "JSON"]
        environ = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(
            [*command, "--output-file", str(made)], check=True, env=environ, stderr=subprocess.DEVNULL
        )
        found: dict[str, Any] = json.loads(made.read_text().replace(folder, ""))
    return found


def main(engines: Sequence[str]) -> None:
    if not (DIST / "SHA256SUMS").exists():
        distributions.build(DIST)
    for engine in engines or distributions.plugins():
        path = DIST / f"sbom-{engine}.cdx.json"
        path.write_text(json.dumps(bill(DIST, engine), indent=1, sort_keys=True) + "\n")
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
