"""Build the image of a set of engines with buildah, which needs no daemon and here no registry of images.

`python -m deploy.images duckdb` builds `floe-monitor:VERSION-duckdb` over the base of `deploy.base`, in a
store of its own under `.cache/images`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import distributions
from deploy.base import CACHE, base
from floe_monitor import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "deploy" / "docker"
PROGRAMS = ("buildah", "debootstrap", "bwrap")
_STORE = ("--root", str(CACHE / "store"), "--runroot", str(CACHE / "run"))
_KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
"""Of pip's settings here, those that hold inside a build."""


@dataclass(frozen=True, slots=True)
class Image:
    """`config` as an image has it: Env, Entrypoint, Cmd, User, Labels, Healthcheck, …; sizes in bytes."""

    name: str
    config: dict[str, Any]
    size: int
    base_size: int


def lacking() -> str | None:
    """Why no image can be built here; None where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if os.geteuid() == 0 else "images are built by root alone"


def built(engines: str) -> Image:
    """Of engines with spaces between them, or `all`. Raises `CalledProcessError`, after the output."""
    name = f"localhost/floe-monitor:{__version__}-{engines.replace(' ', '-')}"
    under = base_image()
    with tempfile.TemporaryDirectory(prefix="context-", dir=CACHE) as folder:
        context = Path(folder)
        distributions.build(context / "dist")
        (context / "deploy" / "docker").mkdir(parents=True)
        for sent in ("floe-monitor.yaml", "shrink.py"):
            shutil.copy(DOCKER / sent, context / "deploy" / "docker")
        arguments = {"PYTHON_IMAGE": under, "ENGINES": engines, "VERSION": __version__}
        _buildah(
            *("bud", "--quiet", "--isolation", "chroot", "--network", "host", "--format", "docker"),
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            *_secrets(context),
            *("--ignorefile", str(DOCKER / "Dockerfile.dockerignore")),
            *("--file", str(DOCKER / "Dockerfile"), "--tag", name, str(context)),
        )
    _buildah("rmi", "--prune", "--force")  # what had the name before
    config: dict[str, Any] = json.loads(_buildah("inspect", "--type", "image", name))["Docker"]["config"]
    return Image(name, config, _size(name), _size(under))


@contextmanager
def mounted(name: str) -> Iterator[Path]:
    """The image's files, to be read only."""
    container = _buildah("from", "--pull-never", name)
    try:
        yield Path(_buildah("mount", container))
    finally:
        _buildah("umount", container)
        _buildah("rm", container)


def base_image() -> str:
    """The name of that of `deploy.base`."""
    archive = base()
    name = f"localhost/{archive.stem}:latest"
    if archive.stem not in _buildah("images", "--noheading", "--format", "{{.Name}}"):
        container = _buildah("from", "scratch")
        _buildah("add", "--quiet", container, str(archive), "/")
        _buildah("commit", "--quiet", "--format", "docker", "--rm", container, name)
    return name


def _secrets(folder: Path) -> Iterator[str]:
    """How pip finds its index here, for the time of the build alone."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    speaking = {name: value for name, value in os.environ.items() if name != "PIP_QUIET"}
    listed = subprocess.run(pip, capture_output=True, text=True, check=True, env=speaking).stdout
    found = {
        key.rpartition(".")[2]: value.strip("'")
        for key, _, value in (line.partition("=") for line in listed.splitlines())
    }
    lines = [f"{key} = {found[key]}" for key in _KEPT if key in found]
    if "cert" in found:
        lines.append("cert = /etc/pip.crt")
        yield f"--secret=id=ca.crt,src={found['cert']}"
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    yield f"--secret=id=pip.conf,src={folder / 'pip.conf'}"


def _size(name: str) -> int:
    """The bytes of its files, however layers hold them."""
    with mounted(name) as root:
        seen = {}
        for folder, _, names in os.walk(root):
            for each in names:
                found = (Path(folder) / each).lstat()
                seen[found.st_dev, found.st_ino] = found.st_size
        return sum(seen.values())


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *_STORE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr, flush=True)
        raise subprocess.CalledProcessError(done.returncode, ["buildah", arguments[0]])
    return done.stdout.strip()


if __name__ == "__main__":
    made = built(" ".join(sys.argv[1:]))
    print(f"{made.name}: {made.size / 1e6:.0f} MB, {made.base_size / 1e6:.0f} of them the base")
