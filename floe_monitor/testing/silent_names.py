"""A network namespace in which the name service takes every question and answers none (Linux)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_PREPARING = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
unanswering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
unanswering.bind(("127.0.0.1", 53))
"""
_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c")


def available() -> bool:
    """Whether this system lets us make one (Linux, `unshare`)."""
    try:
        return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(code: str, *, timeout: float = 50, resolver_seconds: int = 2) -> subprocess.CompletedProcess[str]:
    """Python code there, with loopback alone; the system's resolver gives up after `resolver_seconds`."""
    with tempfile.TemporaryDirectory(prefix="silent-names-") as name:
        folder = Path(name)
        (folder / "resolv.conf").write_text(
            f"nameserver 127.0.0.1\noptions timeout:{resolver_seconds} attempts:1\n"
        )
        (folder / "nsswitch.conf").write_text("hosts: files dns\n")
        script = folder / "script.py"
        script.write_text(_PREPARING + code)
        binds = " && ".join(
            f"mount --bind {folder / file} /etc/{file}" for file in ("resolv.conf", "nsswitch.conf")
        )
        return subprocess.run(
            [*_UNSHARE, f"{binds} && exec {sys.executable} {script}"],
            capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
