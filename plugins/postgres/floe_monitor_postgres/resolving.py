"""Names to addresses within a deadline.

`getaddrinfo` takes no timeout and cannot be interrupted. It is finite all the same: the system's resolver
gives up by itself, after 10 to 40 seconds in its usual set-ups. So a look-up runs in a daemon thread that a
validation leaves behind at its deadline; the next one for that name joins it instead of starting another.
There is never more than one thread per name, nor more than `LIMIT` in all, and no worker is stuck with one.
"""

from __future__ import annotations

import ipaddress
import socket
import threading

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError

LIMIT = 16
"""Look-ups under way at once, over all targets."""


class _Lookup:
    def __init__(self, name: str) -> None:
        self.name = name
        self.done = threading.Event()
        self.addresses: list[str] = []
        self.error: OSError | UnicodeError | None = None

    def run(self) -> None:
        try:
            found = socket.getaddrinfo(self.name, None, type=socket.SOCK_STREAM)
            self.addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            self.error = error


class Resolver:
    """Look-ups shared by all validations; safe to call from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._under_way: dict[str, _Lookup] = {}

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def resolve(self, name: str, timeout: float) -> list[str]:
        """Addresses of `name` in the system's order of preference.

        Raises `ComputeTimeoutError` after `timeout` seconds, `ComputeConnectionError` for an unknown name.
        """
        if _is_address(name):
            return [name]
        lookup = self._join(name)
        if not lookup.done.wait(timeout):
            raise ComputeTimeoutError(f"no answer from the name service about {name!r}")
        if lookup.error is not None:
            reason = lookup.error.strerror if isinstance(lookup.error, OSError) else "not a valid host name"
            raise ComputeConnectionError(f"cannot resolve {name!r}: {reason}")
        return lookup.addresses

    def _join(self, name: str) -> _Lookup:
        with self._lock:
            lookup = self._under_way.get(name)
            if lookup is None:
                if len(self._under_way) >= self._limit:
                    raise ComputeTimeoutError(f"{self._limit} name look-ups are still unanswered")
                lookup = self._under_way[name] = _Lookup(name)
                threading.Thread(
                    target=self._run, args=(lookup,), name=f"resolve-{name}", daemon=True
                ).start()
            return lookup

    def _run(self, lookup: _Lookup) -> None:
        try:
            lookup.run()
        finally:
            with self._lock:
                self._under_way.pop(lookup.name, None)
            lookup.done.set()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
