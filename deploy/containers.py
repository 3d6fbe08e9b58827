"""Run an image's command as Kubernetes would: as any user, without capabilities, over a read-only root.

Where no container engine runs, bubblewrap makes the namespaces and setpriv drops the rights; network and
memory are the machine's own. Needs root.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.images import Image


DATA = "/var/lib/floe-monitor"
CONFIGURATION = "/etc/floe-monitor"
BROKEN_AS_THEY_COME = ("future.", "libfuturize.", "pyhive.sqlalchemy_")
"""Modules that want what no version of their dependencies has, and that nothing here imports."""


def volumes(root: Path, folder: Path, configuration: Mapping[str, Any]) -> dict[str, Path]:
    """Directories below `folder` for what the image at `root` reads and writes, with its owners and modes."""
    made = {CONFIGURATION: folder / "etc", DATA: folder / "data", "/tmp": folder / "tmp"}  # noqa: S108 - in there
    for path, directory in made.items():
        directory.mkdir(mode=0o755)
        if path != CONFIGURATION:
            found = (root / path[1:]).stat()
            os.chown(directory, found.st_uid, found.st_gid)
            directory.chmod(found.st_mode & 0o7777)
    (made[CONFIGURATION] / "floe-monitor.yaml").write_text(yaml.safe_dump(configuration))
    return made


def imports(container: Container) -> tuple[int, dict[str, str]]:
    """How many modules of its packages can be; what `docker/shrink.py` took away, by who wants it."""
    script = Path(__file__).with_name("imported_all.py").read_text()
    done = container.run("/opt/floe-monitor/bin/python", "-c", script, timeout=1800)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    return found["imported"], {
        name: why for name, why in found["missing"].items() if not name.startswith(BROKEN_AS_THEY_COME)
    }


def without_rights(user: int, group: int, groups: Sequence[int]) -> list[str]:
    """What a command is put after, for it to be that user's, without capabilities or a way to gain any."""
    return [
        *("setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={','.join(map(str, groups))}"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    ]


class Container:
    """One of an image whose files are at `root`. `volumes`: directories here by where they are mounted."""

    def __init__(
        self,
        image: Image,
        root: Path,
        *,
        user: int,
        group: int,
        volumes: Mapping[str, Path],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._image = image
        self._user, self._group = user, group
        self._environment = {
            **dict(each.split("=", 1) for each in image.config["Env"]),
            **(environment or {}),
        }
        self._isolated = [
            *("bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc"),
            *(
                "--unshare-pid",
                "--unshare-ipc",
                "--unshare-uts",
                "--as-pid-1",
                "--die-with-parent",
                "--clearenv",
            ),
            *("--chdir", image.config["WorkingDir"], "--cap-add", "ALL"),
        ]
        for path, directory in volumes.items():
            self._isolated += ["--bind", str(directory), path]
        for name, value in self._environment.items():
            self._isolated += ["--setenv", name, value]
        self._process: subprocess.Popen[bytes] | None = None
        self._inner = 0

    def start(self, log: Path) -> None:
        """The image's own entry point and command, as process 1; what it says goes to `log`."""
        reading, writing = os.pipe()
        command = self._command([*self._image.config["Entrypoint"], *self._image.config["Cmd"]], writing)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
            )
        os.close(writing)
        with os.fdopen(reading) as told:
            self._inner = json.loads(told.read())["child-pid"]

    def run(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """A command beside it, with the same files, user and environment."""
        return subprocess.run(
            self._command(command), capture_output=True, text=True, timeout=timeout, check=False
        )

    @property
    def process_1(self) -> int:
        """By the number that it has outside."""
        return self._inner

    def stop(self, timeout: float) -> int:
        """SIGTERM to process 1, as Kubernetes does; its exit status. Raises `TimeoutExpired`."""
        if self._process is None:
            raise RuntimeError("it was not started")
        os.kill(self._inner, signal.SIGTERM)
        return self._process.wait(timeout)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _command(self, command: Sequence[str], told: int | None = None) -> list[str]:
        dropped = without_rights(self._user, self._group, (self._group,))
        information = [] if told is None else ["--info-fd", str(told)]
        bwrap, *options = self._isolated
        return [bwrap, *information, *options, "--", *dropped, *command]
