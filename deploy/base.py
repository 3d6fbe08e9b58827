"""A base image of Debian's own packages, for machines that reach no registry of images, as the gate's.

In place of the Dockerfile's `python:3.11-slim`: an interpreter, certificates, what `venv` needs.
Made by debootstrap, as root; kept under `.cache/` for as long as the recipe stays the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "images"
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libpython3.11-stdlib", "python3-minimal", "python3-venv")
UNNEEDED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
)
"""Directories that no process reads; each stays, empty."""


def base() -> Path:
    """The archive of its files. Raises `SystemExit` with debootstrap's last lines where that fails."""
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, UNNEEDED)).encode()).hexdigest()[:16]
    archive = CACHE / f"base-{SUITE}-{recipe}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="base-", dir=CACHE) as work:
            root, made = Path(work) / "root", Path(work) / "base.tar"
            _bootstrap(root, Path(work) / "log")
            _strip(root)
            options = ["--sort=name", "--numeric-owner", "--mtime=@0", "--one-file-system"]
            subprocess.run(["tar", "-C", str(root), *options, "-cf", str(made), "."], check=True)
            made.replace(archive)
    return archive


def _bootstrap(root: Path, log: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root)]
    print(f"debootstrap {SUITE} (once)", file=sys.stderr, flush=True)
    with log.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SystemExit("\n".join(["debootstrap failed:", *log.read_text().splitlines()[-10:]]))


def _strip(root: Path) -> None:
    """Less what is not needed at run time, and no program that gives its user another's rights."""
    for each in UNNEEDED:
        shutil.rmtree(root / each, ignore_errors=True)
        (root / each).mkdir(parents=True)
    for folder, _, names in os.walk(root):
        if Path(folder).name == "__pycache__":
            shutil.rmtree(folder)
            continue
        for path in (Path(folder) / name for name in names):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


if __name__ == "__main__":
    print(base())
