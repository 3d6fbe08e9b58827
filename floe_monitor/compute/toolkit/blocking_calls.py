"""Calls that take no timeout and cannot be interrupted, within a deadline all the same.

`getaddrinfo` and the Kerberos library are finite: each gives up by itself, after 10 to 40 seconds in usual
set-ups. So such a call runs in a daemon thread, which a validation abandons at its deadline. Calls of one
key share a thread: the next look-up of a name joins the one under way. There are never more threads than
`LIMIT`, and no worker is stuck with one.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from floe_monitor.compute.errors import (
    ComputeConnectionError,
    ComputeTimeoutError,
    MonitorResourceError,
    resource_error_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LIMIT = 16
"""Calls under way at once, over all targets of a plugin."""
_T = TypeVar("_T")


class BlockingCalls:
    """One for a plugin, shared by all its validations; safe to use from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._pending: dict[Hashable, _Call[object]] = {}

    @property
    def pending(self) -> int:
        """Calls that have not returned, abandoned ones included."""
        return len(self._pending)

    def run(self, timeout: float, key: Hashable, function: Callable[[], _T]) -> _T:
        """`function`'s result, or that of the call of the same key that is under way already.

        Raises what it raises; `ComputeTimeoutError` after `timeout` seconds or when too many are under way;
        `MonitorResourceError` where no thread can be started.
        """
        call = self._join(key, function)
        if not call.done.wait(max(0.0, timeout)):
            raise ComputeTimeoutError("no answer in time")
        if call.error is not None:
            raise call.error
        return call.value

    def resolve(self, name: str, timeout: float) -> list[str]:
        """Addresses of `name` in the system's order of preference.

        Raises `ComputeTimeoutError` after `timeout` seconds, `ComputeConnectionError` for an unknown name.
        """
        if is_address(name):
            return [name]
        try:
            found = self.run(
                timeout, ("name", name), lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            )
        except ComputeTimeoutError as error:
            raise ComputeTimeoutError(f"{error} from the name service about {name!r}") from None
        except OSError as error:
            if error.errno == socket.EAI_MEMORY:
                raise MonitorResourceError("the monitor has no more memory") from None
            raise _shortage_behind(error) or ComputeConnectionError(
                f"cannot resolve {name!r}: {error.strerror}"
            ) from None
        except UnicodeError:
            raise ComputeConnectionError(f"cannot resolve {name!r}: not a valid host name") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _join(self, key: Hashable, function: Callable[[], _T]) -> _Call[_T]:
        with self._lock:
            call = self._pending.get(key)
            if call is None:
                if len(self._pending) >= self._limit:
                    raise ComputeTimeoutError(f"{self._limit} earlier calls are still without an answer")
                call = self._pending[key] = _Call(function)
                name = f"blocking-{key}"[:60]
                try:
                    threading.Thread(target=self._run, args=(key, call), name=name, daemon=True).start()
                except RuntimeError:
                    del self._pending[key]
                    raise MonitorResourceError("the monitor could start no thread for it") from None
        return call  # type: ignore[return-value]  # a key is always used with one kind of function

    def _run(self, key: Hashable, call: _Call[object]) -> None:
        try:
            call.run()
        finally:
            with self._lock:
                self._pending.pop(key, None)
            call.done.set()


class _Call(Generic[_T]):
    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self.done = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error


def is_address(host: str) -> bool:
    """Whether it is an IP address, without brackets, rather than a name to be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def family_of(address: str) -> socket.AddressFamily:
    """Of an address that `resolve` gave."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _shortage_behind(error: OSError) -> MonitorResourceError | None:
    """Without a descriptor the resolver reads no file and asks no server, and may call the name unknown."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as shortage:
        return resource_error_in(shortage)
    return resource_error_in(error)
