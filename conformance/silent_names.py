"""A place where the name service takes every question and answers none: a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREPARING = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
deaf.bind(("127.0.0.1", 53))
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


_PROBING = """
import sys, threading, time
from floe_monitor.compute import Deadline
from floe_monitor.registry.config_validation import build_config
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.discovery import discover
plugin = discover().get(PLUGIN).plugin
config = build_config(plugin, FIELDS)
plugin.prepare(config)
before = set(threading.enumerate())
aside = lambda: [each for each in threading.enumerate() if each not in before]
for _ in range(3):
    started = time.monotonic()
    with running_until(Deadline.after(0.4)):
        result = plugin.validate_connection(config)
    in_time = time.monotonic() - started < 0.5
    print(result.error_type.value, result.checks[-1].name, in_time, len(aside()))
until = time.monotonic() + 30
while aside() and time.monotonic() < until:
    time.sleep(0.05)
print(len(aside()))
"""


def probe_thrice(plugin: str, fields: Mapping[str, Any]) -> list[str]:
    """What three validations in a row come to there: error type, last check, whether in time, threads left
    behind; and at the end how many of those stay once the system's resolver has given up."""
    given = {"plugin": plugin, **fields}
    done = run(_PROBING.replace("PLUGIN", repr(plugin)).replace("FIELDS", repr(given)))
    return done.stdout.splitlines() or [done.stderr]
