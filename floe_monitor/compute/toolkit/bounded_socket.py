"""A TCP connection, with TLS where asked for, on which no wait outlives one deadline.

A timeout of each operation is no bound: a server whose answer drips in byte by byte stays within it for ever,
and a TLS handshake is many operations. Here each operation gets what is left until the deadline, OpenSSL
works on memory alone and leaves the waiting to this class, and what a server may send is limited in size.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import ssl
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from floe_monitor.compute.errors import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    resource_error_in,
)
from floe_monitor.compute.evidence import note_expiry
from floe_monitor.compute.models import ExpiryKind
from floe_monitor.compute.toolkit.blocking_calls import family_of
from floe_monitor.compute.toolkit.certificates import valid_until
from floe_monitor.compute.toolkit.endpoints import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from floe_monitor.compute.deadline import Deadline

_T = TypeVar("_T")
CHUNK = 65536
BYTE_LIMIT = 8 * 2**20
"""Bytes that one connection may bring in a validation, whose answers are a few kilobytes."""


class ClosedError(ComputeConnectionError):
    """The other side ended the connection in good order, where more was to come."""


class ProtocolError(ComputeConnectionError):
    """An answer came, but it is not in the protocol that was expected, or it is too long."""


class BoundedSocket:
    """A connected socket. Not for two threads at once.

    Operations raise `ComputeTimeoutError` at `deadline`, and `ComputeConnectionError` for what fails before.
    """

    def __init__(
        self,
        address: str,
        port: int,
        deadline: Deadline,
        *,
        host: str | None = None,
        byte_limit: int = BYTE_LIMIT,
    ) -> None:
        """Connects to an IP address: looking up a name would be a wait that nothing bounds. One that begins
        with `/` is the path of a Unix socket.

        `host` is the name that has it.
        """
        is_path = address.startswith("/")
        if not is_path:
            ipaddress.ip_address(address)
        self.endpoint = Endpoint(host or address, address, port)
        self.deadline = deadline
        self.waits_for = "the TCP connection"
        """For the text of a timeout."""
        self.tls_version: str | None = None
        self._certificates: dict[str, float | None] = {}
        """When those of the servers within end, by their names."""
        self._byte_limit = byte_limit
        self._received = 0
        self._probing = False
        self._half_sent = False
        family = socket.AF_UNIX if is_path else family_of(address)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._stream: _Stream = _Tcp(self._receive, self._send)
        try:
            if not is_path:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._bounded(lambda: self._socket.connect(address if is_path else (address, port)))
        except OverflowError:
            self.close()
            raise ComputeConfigurationError(f"{port} is no TCP port") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return (self.endpoint,)

    def renew(self, deadline: Deadline) -> None:
        """For another validation: its deadline, and the whole limit of bytes."""
        self.deadline = deadline
        self._received = 0

    @property
    def alive(self) -> bool:
        """Whether it is open and silent, as it is between two answers. Does not wait."""
        if self._half_sent:
            return False
        self._probing = True
        try:
            # Within TLS what comes may be its own affair: tickets, new keys.
            self._stream.recv(1)
        except BlockingIOError:
            return True
        except (OSError, ComputeError):
            return False
        finally:
            self._probing = False
        return False

    def check_time(self) -> None:
        """For whoever works long on what was received."""
        if self.deadline.expired:
            raise self._timeout()

    def encrypt(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """A TLS handshake; from then on everything is encrypted. Within TLS another one may follow."""
        self.waits_for = "the TLS handshake"
        try:
            stream = _Tls(self._stream, context, server_hostname)
        except ValueError:
            raise ComputeConfigurationError(f"{server_hostname!r} is no host name that TLS knows") from None
        with self._mapped():
            stream.handshake()
        self._stream, self.tls_version = stream, stream.version
        self._certificates[server_hostname] = valid_until(stream.certificate)
        self.note_certificates()

    def note_certificates(self) -> None:
        """For another validation that it has served: the handshake was an earlier one's."""
        for name, ends in self._certificates.items():
            note_expiry(ExpiryKind.SERVER_CERTIFICATE, ends, f"the certificate of {name}")

    def recv(self, size: int) -> bytes:
        """At least one byte; `ClosedError` at the end of the stream."""
        with self._mapped():
            data = self._stream.recv(min(size, CHUNK))
        if not data:
            raise self._closed()
        return data

    def send(self, data: bytes) -> int:
        with self._sending():
            return self._stream.send(memoryview(data))

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        with self._sending():
            while rest:
                rest = rest[self._stream.send(rest) :]

    @contextmanager
    def _sending(self) -> Iterator[None]:
        self.check_time()
        self._half_sent = True
        with self._mapped():
            yield
        self._half_sent = False

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """A reader of what arrives, as `http.client` asks for one; its end of file is the connection's."""
        return io.BufferedReader(_RawReader(self), CHUNK)

    def close(self) -> None:
        self._socket.close()

    def _receive(self, size: int) -> bytes:
        data = self._bounded(partial(self._socket.recv, size))
        self._received += len(data)
        if self._received > self._byte_limit:
            raise ProtocolError(f"the answer is longer than {self._byte_limit} bytes")
        return data

    def _send(self, data: memoryview) -> int:
        return self._bounded(partial(self._socket.send, data))

    def _bounded(self, operation: Callable[[], _T]) -> _T:
        """One operation of the system's, with the time that is left."""
        left = 0.0 if self._probing else self.deadline.remaining()
        if left <= 0 and not self._probing:
            raise self._timeout()
        try:
            self._socket.settimeout(left)
            return operation()
        except BlockingIOError:
            raise  # as a probe expects it
        except TimeoutError:
            raise self._timeout() from None
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            raise ComputeConnectionError(
                f"the server reset the connection while we waited for {self.waits_for}"
            ) from error
        except OSError as error:
            if resource_error_in(error) is not None:
                raise  # as it is, for the caller to name
            raise ComputeConnectionError(error.strerror or str(error) or "the connection broke") from error

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """OpenSSL's errors in the contract's words."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise ComputeConnectionError(
                f"the server's certificate is refused: {error.verify_message}"
            ) from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise self._closed() from None
        except ssl.SSLError as error:
            raise ComputeConnectionError(f"TLS failed: {error.reason or error}") from error

    def _timeout(self) -> ComputeTimeoutError:
        return ComputeTimeoutError(f"no answer in time while waiting for {self.waits_for}")

    def _closed(self) -> ClosedError:
        return ClosedError(f"the server closed the connection while we waited for {self.waits_for}")


class _Stream(Protocol):
    def recv(self, size: int) -> bytes:
        """b"" at the end."""

    def send(self, data: memoryview) -> int: ...


class _Tcp:
    def __init__(self, recv: Callable[[int], bytes], send: Callable[[memoryview], int]) -> None:
        self.recv, self.send = recv, send


class _Tls:
    """TLS over another stream; it raises OpenSSL's errors as they are."""

    def __init__(self, below: _Stream, context: ssl.SSLContext, server_hostname: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    @property
    def version(self) -> str | None:
        return self._tls.version()

    @property
    def certificate(self) -> bytes | None:
        """The server's, in DER, verified or not."""
        return self._tls.getpeercert(binary_form=True)

    def handshake(self) -> None:
        try:
            self._drive(self._tls.do_handshake)
        except ssl.SSLError:
            with suppress(OSError, ComputeError):  # the server's log should say why
                self._flush()
            raise

    def recv(self, size: int) -> bytes:
        return self._drive(partial(self._tls.read, size))

    def send(self, data: memoryview) -> int:
        return self._drive(partial(self._tls.write, data[:CHUNK]))

    def _drive(self, operation: Callable[[], _T]) -> _T:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._below.recv(CHUNK):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        rest = memoryview(self._outgoing.read())
        while rest:
            rest = rest[self._below.send(rest) :]


class _RawReader(io.RawIOBase):
    """What a `BoundedSocket` receives, as a raw stream."""

    def __init__(self, connection: BoundedSocket) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        try:
            data = self._connection.recv(len(buffer))
        except ClosedError:
            return 0
        buffer[: len(data)] = data
        return len(data)
