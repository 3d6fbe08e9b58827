"""Runs inside dbt's environment: imports dbt once, then runs the command of each line of its input.

A child forked for each line runs dbt's own command line, so that no state of one case reaches the next.
Needs the standard library and dbt alone.
"""

# ruff: noqa: T201 - it answers on standard output

from __future__ import annotations

import ctypes
import importlib
import json
import os
import struct
import sys
import time
from typing import Any

_OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root pass over file permissions."""


def obey_permissions() -> None:
    """Drop the capabilities by which root passes over file permissions (Linux); others have none."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", 0x20080522, 0)
    found = ctypes.create_string_buffer(24)
    if libc.capget(header, found) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    words = [
        word & ~_OVERRIDES if at in {0, 1} else word for at, word in enumerate(struct.unpack("6I", found.raw))
    ]
    if libc.capset(header, struct.pack("6I", *words)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    for module in ("dbt.cli.main", *sys.argv[1:]):
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        print(json.dumps({"code": _wait(child, request["timeout"])}), flush=True)
    os._exit(0)  # what the adapter's libraries do at an interpreter's end takes seconds, and serves nobody


def _wait(child: int, timeout: float) -> int | None:
    """Its exit code; None where it had to be killed."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, 9)
    os.waitpid(child, 0)
    return None


def _run(request: dict[str, Any]) -> None:
    code = 70
    try:
        os.setsid()  # what dbt starts, such as gcloud's login, ends with it
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # and would take the next line for a user's answer
        os.chdir(request["folder"])
        output = os.open("dbt.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(request["environment"])
        if request["ordinary_user"]:
            obey_permissions()
        importlib.import_module("dbt.cli.main").cli(request["arguments"])
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
