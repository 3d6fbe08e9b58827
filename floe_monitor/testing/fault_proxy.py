"""A TCP proxy that misbehaves on demand, for tests of plugins: loopback and the standard library alone.

with FaultProxy(server_port) as proxy:
    ...                                # passes everything
    proxy.set(Fault.FREEZE)            # from now on nothing moves, on open connections either
    assert validate(port=proxy.port).error_type is ErrorType.TIMEOUT

The port stays the same through all faults.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

LOOPBACK = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CHUNK = 65536


class Fault(Enum):
    PASS = "pass"  # noqa: S105 - no password
    REFUSE = "refuse"
    """No socket listens: connecting is refused."""
    BLACKHOLE = "blackhole"
    """Packets of new connections are dropped: connecting never ends (Linux)."""
    HANG = "hang"
    """Accepts, and never reads or answers; what is open already goes on."""
    FREEZE = "freeze"
    """Nothing is forwarded any more, on open connections either."""
    DRIP = "drip"
    """The server's bytes arrive at `rate` a second."""
    HANG_AFTER = "hang_after"
    """Each new connection freezes once `after` bytes of the server's have passed."""
    FREEZE_AFTER = "freeze_after"
    """Everything freezes, new connections too, once `after` bytes of the server's have passed in all."""
    RESET = "reset"
    """Every connection, open or new, is reset."""
    HALF_CLOSE = "half_close"
    """New connections get an end of file and stay open the other way."""
    SLOW_ACCEPT = "slow_accept"
    """New connections are accepted `delay` seconds after they were made; the system has them meanwhile."""


_FROZEN = frozenset({Fault.FREEZE, Fault.FREEZE_AFTER})
_DEAF = frozenset({Fault.REFUSE, Fault.BLACKHOLE})


class FaultProxy:
    """Listens on one loopback port, the same through all faults; a pure fault needs no `upstream_port`."""

    def __init__(
        self,
        upstream_port: int | None = None,
        fault: Fault = Fault.PASS,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        rate: float = 10,
        after: int = 0,
        delay: float = 0,
    ) -> None:
        """`host` may be another loopback address: 127.0.0.2 and so on are all this machine on Linux."""
        self.host = host
        self._upstream_port = upstream_port
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._clients: set[socket.socket] = set()
        """Those of `_open` that were accepted; the others lead upstream."""
        self._fillers: list[socket.socket] = []
        self._closed = False
        self.accepted = 0
        """Connections accepted so far."""
        self.answered = 0
        """Bytes of the server's passed on so far."""
        self.longest = 0
        """The most of them on one connection."""
        self.held = 0
        """How often bytes or connections were held back by a fault."""
        self.newest_held = False
        """Whether answers on the connection that was accepted last are held back."""
        self._newest: socket.socket | None = None
        self._fault, self._rate, self._after, self._delay = fault, rate, after, delay
        self._listener = _bound(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def fault(self) -> Fault:
        return self._fault

    @property
    def open(self) -> int:
        """Connections that were accepted and have not ended."""
        return len(self._clients)

    def set(
        self,
        fault: Fault,
        *,
        rate: float | None = None,
        after: int | None = None,
        delay: float | None = None,
    ) -> None:
        with self._changed:
            deaf_before, self._fault = self._fault in _DEAF, fault
            self._rate = self._rate if rate is None else rate
            self._after = self._after if after is None else after
            self._delay = self._delay if delay is None else delay
            victims = list(self._open) if fault is Fault.RESET else []
            self._changed.notify_all()
        for victim in victims:
            _end(victim, reset=True)
        if deaf_before or fault in _DEAF:
            self._stop_listening()
            self._listener = _bound(self.host, self.port)
            self._listen()

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            victims = list(self._open)
        self._stop_listening()
        for victim in victims:
            _end(victim, reset=True)

    # ------------------------------------------------------------ listening

    def _listen(self) -> None:
        if self._fault is Fault.REFUSE:
            return  # bound, so that no other process gets the port, but not listening
        if self._fault is Fault.BLACKHOLE:
            self._listener.listen(0)
            self._fill()
            return
        self._listener.listen(128)
        threading.Thread(
            target=self._accept, args=(self._listener,), name=f"faultproxy-{self.port}", daemon=True
        ).start()

    def _fill(self) -> None:
        """Occupy the backlog until a connection stays pending: the kernel drops all that come after it."""
        for _ in range(16):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self._fillers.append(filler)
            if not select.select([], [filler], [], 0.1)[1]:
                return
        raise RuntimeError("this system does not drop connections beyond a listener's backlog")

    def _stop_listening(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        # A close alone leaves the thread in accept(), and with it the port.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self.accepted += 1
                self._newest, self.newest_held = client, False
                fault = self._fault
                self._open.add(client)
                self._clients.add(client)
            if fault is Fault.RESET or self._closed:
                self._drop(client)
            elif fault is Fault.HALF_CLOSE:
                client.shutdown(socket.SHUT_WR)
            elif fault is Fault.SLOW_ACCEPT and self._upstream_port is not None:
                self._couple_late(client, self._upstream_port)
            elif fault is not Fault.HANG and self._upstream_port is not None:
                self._couple(client, self._upstream_port)

    def _couple_late(self, client: socket.socket, upstream_port: int) -> None:
        def wait() -> None:
            until = time.monotonic() + self._delay
            with self._changed:
                self.held += 1
                while self._fault is Fault.SLOW_ACCEPT and not self._closed:
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
            if self._closed or self._fault is Fault.RESET:
                self._drop(client)
            else:
                self._couple(client, upstream_port)

        threading.Thread(target=wait, name=f"faultproxy-{self.port}", daemon=True).start()

    def _couple(self, client: socket.socket, upstream_port: int) -> None:
        try:
            server = socket.create_connection((LOOPBACK, upstream_port), timeout=5)
        except OSError:
            self._drop(client)
            return
        server.settimeout(None)
        with self._changed:
            self._open.add(server)
        for source, sink, answers in ((client, server, False), (server, client, True)):
            threading.Thread(
                target=self._pump, args=(source, sink, answers), name=f"faultproxy-{self.port}", daemon=True
            ).start()

    # ------------------------------------------------------------ forwarding

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        passed = 0
        try:
            while data := source.recv(_CHUNK):
                while data:
                    size = self._allowance(answers, passed, newest=sink is self._newest)
                    part, data = data[:size], data[size:]
                    passed += len(part)
                    if answers:
                        with self._changed:
                            self.answered += len(part)
                            self.longest = max(self.longest, passed)
                    sink.sendall(part)
            if self._fault is not Fault.RESET and not self._closed:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one side is gone
        finally:
            if answers:
                self._drop(source)
                self._drop(sink)

    def _allowance(self, answers: bool, passed: int, *, newest: bool) -> int:
        """How many bytes may go on now; waits while none may."""
        with self._changed:
            while not self._closed:
                if self._fault is Fault.DRIP and answers:
                    self.held += 1
                    self._changed.wait(1 / self._rate)
                    return 1
                if self._fault is Fault.HANG_AFTER and answers and passed < self._after:
                    return self._after - passed
                if self._fault is Fault.FREEZE_AFTER and self.answered < self._after:
                    return self._after - self.answered if answers else _CHUNK
                if self._fault in _FROZEN or (self._fault is Fault.HANG_AFTER and answers):
                    self.held += 1
                    self.newest_held = self.newest_held or newest
                    self._changed.wait()
                    continue
                return _CHUNK
        raise OSError("closed")

    def _drop(self, end: socket.socket) -> None:
        with self._changed:
            self._open.discard(end)
            self._clients.discard(end)
            reset = self._fault is Fault.RESET
        _end(end, reset=reset)


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _end(end: socket.socket, *, reset: bool) -> None:
    """Close it, also from under a thread that reads it; `reset` instead of an orderly end."""
    with contextlib.suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # A reader keeps the connection open until it returns; only an orderly end may reach the peer already.
        end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
    end.close()
