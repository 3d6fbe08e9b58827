"""One container: its root, its process 1, commands beside it, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from conformance.pod.sandbox import children, program
from deploy.containers import without_rights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import RawIOBase

    from conformance.pod.fields import PodSecurityContext, SecurityContext
    from conformance.pod.sandbox import Sandbox


_POLL = 0.005


@dataclass(frozen=True, slots=True)
class Image:
    """A directory with its files, and what its configuration says. `mounts`: further files, read only."""

    root: Path
    environment: Mapping[str, str]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: int = 0
    group: int = 0
    working_dir: str = "/"
    mounts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    user: int
    group: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, pod: PodSecurityContext, own: SecurityContext, image: Image) -> Identity:
        """Raises `ValueError` where that would be root, which `runAsNonRoot` forbids."""
        user = own.run_as_user or pod.run_as_user or image.user
        if user == 0:
            raise ValueError("container has runAsNonRoot and image will run as root")
        group = next(
            (each for each in (own.run_as_group, pod.run_as_group) if each is not None),
            image.group if user == image.user else 0,
        )
        further = [] if pod.fs_group is None else [pod.fs_group]
        return cls(user, group, (group, *further, *pod.supplemental_groups))


@dataclass(frozen=True, slots=True)
class Bind:
    """`source` as the pod's processes know it."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a container needs to start."""

    name: str
    image: Image
    words: Sequence[str]
    environment: Mapping[str, str]
    identity: Identity
    working_dir: str
    read_only: bool
    binds: Sequence[Bind]


class Container:
    """One run of one: a restart is another, with a new writable layer over the image."""

    def __init__(self, sandbox: Sandbox, plan: Plan, number: int, log: Path) -> None:
        self._sandbox, self._plan, self._log = sandbox, plan, log
        self._files = f"containers/{plan.name}-{number}"
        self._process: asyncio.subprocess.Process
        self.ended = asyncio.Event()
        self._first: int | None = None
        self._handle = -1

    @property
    def process_1(self) -> int:
        """By the number that it has outside. Raises `RuntimeError` where it has ended."""
        if self._first is None:
            raise RuntimeError(f"{self._plan.name} has ended")
        return self._first

    async def start(self) -> None:
        """Raises `RuntimeError` with the last of its log where there is no process 1."""
        binds = await asyncio.to_thread(self._make_root)
        reading, writing = os.pipe()
        try:
            with self._log.open("wb") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *self._sandbox.entering(*self._isolated(writing, binds)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(self._plan.environment),
                    pass_fds=(writing,),
                )
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as told:
            if not await asyncio.to_thread(_has_signal, told):
                await self._process.wait()
                raise RuntimeError(f"{self._plan.name} does not start: {self._log.read_text()[-2000:]}")
        with contextlib.suppress(ValueError, OSError):  # it may have ended already
            [outer] = children(self._process.pid)
            [first] = children(outer)
            self._handle = os.pidfd_open(first)
            self._first = first
            await _command_is_running(first)

    async def wait(self) -> int:
        """Its exit status; 128 and the signal's number where one ended it."""
        status = await self._process.wait()
        self.ended.set()
        self._first = None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        return status if status >= 0 else 128 - status

    def signal(self, number: signal.Signals) -> None:
        """To process 1 alone, which ignores what it has no handler for, but not SIGKILL."""
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def execute(self, *command: str, timeout: float = 60) -> tuple[int, str]:
        """A command in the running container, as its user: exit status and output. Raises `TimeoutError`."""
        process = await asyncio.create_subprocess_exec(
            *(
                program("nsenter"),
                f"--target={self.process_1}",
                "--mount",
                "--net",
                "--pid",
                "--ipc",
                "--uts",
            ),
            *("--root", "--wd", "--", *self._rights(), *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._plan.environment),
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        return await process.wait(), output.decode(errors="replace")

    def _rights(self) -> list[str]:
        identity = self._plan.identity
        return without_rights(identity.user, identity.group, identity.groups)

    def _isolated(self, told: int, binds: Sequence[Bind]) -> list[str]:
        root = self._sandbox.inside(f"{self._files}/root")
        made = [
            *(program("bwrap"), "--info-fd", str(told)),
            *("--ro-bind" if self._plan.read_only else "--bind", root, "/"),
            *("--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--as-pid-1", "--cap-add", "ALL"),
        ]
        made += ["--bind", self._sandbox.inside("shm"), "/dev/shm"]  # noqa: S108 - the pod's own
        for bind in binds:
            made += ["--ro-bind" if bind.read_only else "--bind", bind.source, bind.target]
        return [*made, "--chdir", self._plan.working_dir, "--", *self._rights(), *self._plan.words]

    def _make_root(self) -> list[Bind]:
        """The image below, and a layer above with what a container runtime puts there: mount points, names.

        What is mounted there, its targets without links.
        """
        folder = self._sandbox.outside(self._files)
        for each in (folder, folder / "upper", folder / "work", folder / "root"):
            each.mkdir(parents=True)
            each.chmod(0o755)
        inside = self._sandbox.inside(self._files)
        options = f"lowerdir={self._plan.image.root},upperdir={inside}/upper,workdir={inside}/work"
        self._sandbox.run("mount", "-t", "overlay", "-o", options, "overlay", f"{inside}/root")
        names = {"hosts": self._sandbox.hosts, "hostname": f"{self._sandbox.name}\n", "resolv.conf": ""}
        for name, text in names.items():
            place = folder / "root" / "etc" / name
            place.unlink(missing_ok=True)  # a link, as it may be, leads out of the container
            place.write_text(text)
        mounts = [Bind(str(path), target, read_only=True) for target, path in self._plan.image.mounts.items()]
        found = []
        for bind in (*mounts, *self._plan.binds):
            target = without_links(folder / "root", bind.target)
            (folder / "root" / target[1:]).mkdir(parents=True, exist_ok=True)
            found.append(Bind(bind.source, target, bind.read_only))
        return found


async def _command_is_running(process: int) -> None:
    """Bubblewrap tells of a process that has yet to enter its root and to become the command."""
    while True:
        if Path(f"/proc/{process}/comm").read_text().strip() not in {"bwrap", "setpriv"}:  # noqa: ASYNC240
            return
        await asyncio.sleep(_POLL)


def without_links(root: Path, path: str) -> str:
    """Where a path leads in a file system whose root is at `root`: `/var/run/x` is `/run/x` in Debian's."""
    waiting = list(reversed(PurePosixPath(path).parts[1:]))
    at = PurePosixPath("/")
    for _ in range(1000):
        if not waiting:
            return str(at)
        name = waiting.pop()
        if name == "..":
            at = at.parent
        elif (here := root / str(at)[1:] / name).is_symlink():
            link = PurePosixPath(str(here.readlink()))
            at = PurePosixPath("/") if link.is_absolute() else at
            waiting += reversed([each for each in link.parts if each != "/"])
        else:
            at /= name
    raise OSError(f"links without end: {path}")


def _has_signal(stream: RawIOBase) -> bool:
    """Whether bubblewrap says that process 1 is there. It comes in pieces, and others hold the pipe open."""
    text = b""
    while chunk := stream.read(4096):
        text += chunk
        with contextlib.suppress(ValueError):
            json.loads(text)
            return True
    return False
