"""A pgbouncer before a Postgres of the tests: a connection pooler, as many warehouses have one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import os_users
from conformance.loopback_server import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_SECONDS = 60.0
_SETTINGS = """
[databases]
{databases}

[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/users.txt
pool_mode = {pool_mode}
default_pool_size = {pool_size}
logfile = {directory}/log
"""


@dataclass(frozen=True, slots=True)
class Pooler:
    port: int
    directory: Path

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")


def program() -> str | None:
    """Where pgbouncer is installed; Debian puts it where an ordinary user's PATH does not lead."""
    return shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


@contextmanager
def pooler(
    server_port: int,
    users: Mapping[str, str],
    databases: Mapping[str, str],
    *,
    binaries: Path,
    pool_mode: str = "transaction",
    pool_size: int = 4,
) -> Iterator[Pooler]:
    """`databases` maps the name that clients ask for to the server's; `binaries` are the server's programs.

    `users` are names and passwords, good on both sides. Ends with the context, whatever is connected.
    """
    found = program()
    if found is None:
        raise RuntimeError("needs pgbouncer: apt-get install pgbouncer")
    directory = Path(tempfile.mkdtemp(prefix="fm-pgb-"))
    try:
        directory.chmod(0o755)
        os_users.hand_over(directory, binaries)
        port = free_port()
        lines = [f"{name} = host={LOOPBACK} port={server_port} {real}" for name, real in databases.items()]
        settings = _SETTINGS.format(
            databases="\n".join(lines),
            address=LOOPBACK,
            port=port,
            directory=directory,
            pool_mode=pool_mode,
            pool_size=pool_size,
        )
        (directory / "pgbouncer.ini").write_text(settings)
        known = (f"{_quoted(name)} {_quoted(password)}\n" for name, password in users.items())
        (directory / "users.txt").write_text("".join(known))
        process = subprocess.Popen(
            [found, "-q", str(directory / "pgbouncer.ini")],
            user=os_users.POSTGRES if os.geteuid() == 0 else None,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port, process)
            yield Pooler(port, directory)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"pgbouncer did not start (exit status {process.poll()})")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
