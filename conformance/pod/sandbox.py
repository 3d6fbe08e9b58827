"""The namespaces that a pod's containers share: network, processes, mounts, host name.

One process holds them: `cat`, as process 1, which reads from here. Whatever ends this program, SIGKILL
included, closes what it reads; with process 1 the kernel ends every process of the pod, and with the last of
them its mounts, all of which lie in a namespace of their own. Nothing is written outside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ADDRESS = "10.244.0.2"
"""The pod's own: what listens on loopback alone does not answer a probe, in a cluster either."""
_SERVICES = "10.96.0."
_FILES = "/media"
"""Hidden under a tmpfs in the pod's mount namespace; a standard directory that nothing here is kept in."""
_NETWORK = 0x40000000  # CLONE_NEWNET
_START = 'set -e; hostname "$0"; ip link set lo up; ip addr add "$1"/32 dev lo; \
mount -t tmpfs -o mode=0755 pod "$2"; mkdir "$2/shm"; mount -t tmpfs -o mode=1777,size=64m shm "$2/shm"; \
echo started; exec cat'

Backend = tuple[str, int]


class Sandbox:
    """`services`: servers of this machine by the host name and port at which the pod reaches them."""

    def __init__(self, name: str, services: Mapping[tuple[str, int], Backend]) -> None:
        self.name = name
        self._services = services
        self._process: asyncio.subprocess.Process
        self._relays: list[_Relay] = []
        self._init = 0

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(program("unshare"), *_ALL, "--fork", "--kill-child", "--mount-proc", "--"),
            *("sh", "-c", _START, self.name, ADDRESS, _FILES),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            await self._process.stdout.readline()  # type: ignore[union-attr]  # a pipe, as said above
            self._init = _only_child(self._process.pid)
            for number, ((_, port), backend) in enumerate(self._services.items(), start=10):
                await self._serve(f"{_SERVICES}{number}", port, backend)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends every process of the pod."""
        self._process.stdin.close()  # type: ignore[union-attr]
        await self._process.wait()
        for relay in self._relays:
            await relay.close()

    @property
    def init(self) -> int:
        """Process 1 of the pod, by the number that it has outside."""
        return self._init

    @property
    def hosts(self) -> str:
        """The text of /etc/hosts."""
        names = {f"{_SERVICES}{number}": name for number, (name, _) in enumerate(self._services, start=10)}
        lines = {"127.0.0.1": "localhost", "::1": "localhost", ADDRESS: self.name, **names}
        return "".join(f"{address}\t{name}\n" for address, name in lines.items())

    def inside(self, path: str) -> str:
        """A path of the pod's own files, for its processes."""
        return f"{_FILES}/{path}"

    def outside(self, path: str) -> Path:
        """The same for this one."""
        return Path(f"/proc/{self._init}/root{_FILES}/{path}")

    def entering(self, *command: str) -> list[str]:
        """A command, to be run with the namespaces."""
        return [program("nsenter"), f"--target={self._init}", *_ALL, "--", *command]

    def run(self, *command: str) -> None:
        """Short ones alone. Raises `CalledProcessError`, after its output."""
        subprocess.run(self.entering(*command), check=True, stdin=subprocess.DEVNULL)

    async def connect(self, port: int) -> socket.socket:
        """To the pod's address, as the kubelet does. Raises `OSError`."""
        made = self._socket()
        try:
            await asyncio.get_running_loop().sock_connect(made, (ADDRESS, port))
        except BaseException:
            made.close()
            raise
        return made

    async def _serve(self, address: str, port: int, backend: Backend) -> None:
        self.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        listening = self._socket()
        listening.bind((address, port))
        self._relays.append(_Relay(backend))
        await self._relays[-1].open(listening)

    def _socket(self) -> socket.socket:
        """One of the pod's network: it is that of the thread that makes it, which can be changed."""
        made: list[socket.socket] = []

        def make() -> None:
            with Path(f"/proc/{self._init}/ns/net").open("rb") as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NETWORK) == 0:
                    made.append(socket.socket())

        thread = threading.Thread(target=make, name="pod-network")
        thread.start()
        thread.join()
        if not made:
            raise RuntimeError("the pod's network is gone")
        made[0].setblocking(False)
        return made[0]


_ALL: Sequence[str] = ("--mount", "--net", "--pid", "--ipc", "--uts")


class _Relay:
    """What comes in goes to the backend and back."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listening)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer), name="pod-service")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection(*self._backend)
            await asyncio.gather(_copy(reader, onward_writer), _copy(onward_reader, writer))
        except OSError:
            pass  # the client sees the connection closed
        finally:
            writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    sink.close()


def children(process: int) -> list[int]:
    """Of its first thread."""
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _only_child(process: int) -> int:
    found = children(process)
    if len(found) != 1:
        raise RuntimeError("no namespaces for a pod: root, util-linux and iproute2 are needed")
    return found[0]


def program(name: str) -> str:
    """Its path here: a container's PATH is not ours. Raises `RuntimeError`."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found
