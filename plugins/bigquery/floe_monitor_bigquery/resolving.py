"""Names to addresses in limited time.

`getaddrinfo` takes no timeout and cannot be interrupted, but the system's resolver gives up by itself,
after 10 to 40 seconds in its usual set-ups. So each look-up has a daemon thread, which a validation leaves
behind at its deadline; whoever asks for the same name meanwhile waits for the same thread.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from typing import Any

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError

LIMIT = 16
"""Look-ups under way at once, over all targets."""

Address = tuple[socket.AddressFamily, Any]

_lock = threading.Lock()
_under_way: dict[tuple[str, int], Future[list[Address]]] = {}


def resolve(host: str, port: int, timeout: float) -> list[Address]:
    """Addresses in the system's order of preference.

    Raises `ComputeTimeoutError` after `timeout` seconds, `ComputeConnectionError` for an unknown name.
    """
    try:
        return _look_up(host, port).result(timeout)
    except TimeoutError:
        raise ComputeTimeoutError(f"no answer from the name service about {host!r}") from None
    except OSError as error:
        raise ComputeConnectionError(f"cannot resolve {host!r}: {error.strerror}") from None
    except UnicodeError:
        raise ComputeConnectionError(f"cannot resolve {host!r}: not a valid host name") from None


def _look_up(host: str, port: int) -> Future[list[Address]]:
    with _lock:
        found = _under_way.get((host, port))
        if found is None:
            if len(_under_way) >= LIMIT:
                raise ComputeTimeoutError(f"{LIMIT} name look-ups are still unanswered")
            found = _under_way[host, port] = Future()
            threading.Thread(
                target=_run, args=(host, port, found), name=f"resolve-{host}", daemon=True
            ).start()
        return found


def _run(host: str, port: int, result: Future[list[Address]]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        outcome: Exception | list[Address] = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        outcome = error
    with _lock:
        del _under_way[host, port]
    if isinstance(outcome, Exception):
        result.set_exception(outcome)
    else:
        result.set_result(outcome)
