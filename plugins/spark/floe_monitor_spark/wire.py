"""Connections on which no wait outlives one moment, and Thrift's transports over them.

Thrift's own sockets and HTTP client take a timeout for each operation: an answer that drips byte by byte
keeps them busy for ever, and connecting and the name service have none. Here every operation is given what
is left until the deadline, and an answer has a limit of size.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from thrift.transport.TTransport import CReadableTransport, TTransportBase

from floe_monitor_spark.errors import HttpError, LinkError, StrangeError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
CHUNK = 65536
LIMIT = 8 * 2**20
"""Bytes that one connection may bring; a probe's answers are a few kilobytes."""


class Link:
    """A socket whose waits all end at `expires_at`, on `time.monotonic`'s clock."""

    def __init__(self, address: tuple[str, int], expires_at: float) -> None:
        """Connects. Raises `LinkError` or `TimedOutError`."""
        self.expires_at = expires_at
        self.waits_for = "the TCP connection"
        """For the text of a timeout."""
        self._read = 0
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._guarded(lambda: self._socket.connect(address))
        except BaseException:
            self._socket.close()
            raise

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """A TLS handshake; from then on everything is encrypted."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._encrypted(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """At least one byte; `LinkError` at the end of the stream."""
        size = min(size, CHUNK)
        if self._tls is None:
            data = self._guarded(partial(self._socket.recv, size))
        else:
            data = self._encrypted(partial(self._tls.read, size))
        if not data:
            raise LinkError(f"the server closed the connection while we waited for {self.waits_for}")
        self._read += len(data)
        if self._read > LIMIT:
            raise StrangeError(f"the answer is longer than {LIMIT} bytes")
        return data

    def sendall(self, data: bytes) -> None:
        if self._tls is None:
            self._send(data)
        else:
            self._encrypted(partial(self._tls.write, data))

    def _encrypted(self, operation: Callable[[], _T]) -> _T:
        """OpenSSL works on memory alone: what it wants to read or write goes through this class' waits."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._send(self._outgoing.read())
                if data := self._guarded(partial(self._socket.recv, CHUNK)):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLCertVerificationError as error:
                raise LinkError(f"the server's certificate does not hold: {error.verify_message}") from error
            except ssl.SSLEOFError:
                raise LinkError(
                    f"the server closed the connection while we waited for {self.waits_for}"
                ) from None
            except ssl.SSLError as error:
                raise LinkError(f"TLS failed: {error.reason or error}") from error
            else:
                self._send(self._outgoing.read())
                return result

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._guarded(partial(self._socket.send, rest)) :]

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002 - as http.client asks for it
        return io.BufferedReader(_Raw(self), CHUNK)

    def close(self) -> None:
        self._socket.close()

    def _guarded(self, operation: Callable[[], _T]) -> _T:
        left = self.expires_at - time.monotonic()
        if left <= 0:
            raise TimedOutError(self.waits_for)
        try:
            self._socket.settimeout(left)
            return operation()
        except TimeoutError:
            raise TimedOutError(self.waits_for) from None
        except (ConnectionResetError, BrokenPipeError) as error:
            raise LinkError(
                f"the server reset the connection while we waited for {self.waits_for}"
            ) from error
        except OSError as error:
            raise LinkError(error.strerror or str(error) or "the connection broke") from error


class _Raw(io.RawIOBase):
    def __init__(self, link: Link) -> None:
        self._link = link

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._link.recv(len(buffer))
        except LinkError as error:
            if error.__cause__ is not None:
                raise
            return 0  # an end of file is for http.client to judge
        buffer[: len(data)] = data
        return len(data)


class LinkTransport(TTransportBase):  # type: ignore[misc]  # thrift has no types
    """A connected `Link` as a Thrift transport."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def isOpen(self) -> bool:  # noqa: N802 - thrift's name
        return True

    def open(self) -> None:
        """It is."""

    def read(self, size: int) -> bytes:
        return self._link.recv(size)

    def write(self, data: bytes) -> None:
        self._link.sendall(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._link.close()


class HttpTransport(TTransportBase, CReadableTransport):  # type: ignore[misc]  # thrift has no types
    """Thrift messages as HTTP requests."""

    def __init__(self, exchange: Exchange, path: str, headers: Mapping[str, str]) -> None:
        self._exchange, self._path, self._headers = exchange, path, headers
        self._out, self._in = io.BytesIO(), io.BytesIO()

    def isOpen(self) -> bool:  # noqa: N802 - thrift's name
        return True

    def open(self) -> None:
        """A connection is made with the first request."""

    def read(self, size: int) -> bytes:
        data = self._in.read(size)
        if not data:
            raise StrangeError("the HTTP answer is no Thrift message")
        return data

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def flush(self) -> None:
        body = self._out.getvalue()
        self._out = io.BytesIO()
        headers = {"Content-Type": "application/x-thrift", **self._headers}
        self._in = io.BytesIO(self._exchange.request("POST", self._path, headers, body))

    def close(self) -> None:
        self._exchange.close()

    @property
    def cstringio_buf(self) -> io.BytesIO:
        return self._in

    def cstringio_refill(self, partial: bytes, reqlen: int) -> io.BytesIO:  # noqa: ARG002 - thrift's names
        raise StrangeError("the HTTP answer is no Thrift message")


def tunnel(link: Link, authority: str, credentials: str | None) -> None:
    """Have the HTTP proxy at the other end of `link` pass it on; `credentials` are its user and password."""
    link.waits_for = "the proxy"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if credentials is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    link.sendall("\r\n".join([*lines, "", ""]).encode())
    # What http.client uses of a socket.
    response = http.client.HTTPResponse(link, method="CONNECT")  # type: ignore[arg-type]
    try:
        response.begin()
    except http.client.HTTPException as error:
        raise _of_http(error) from error
    if response.status != 200:
        raise HttpError(response.status, f"{response.reason} (from the proxy)")


class Exchange:
    """HTTP requests one after the other. `dial` gives a new link, for a server that closes each one."""

    def __init__(self, dial: Callable[[], Link], authority: str) -> None:
        self._dial = dial
        self._authority = authority
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """The body of a 200; `HttpError` for any other status."""
        connection = self._connected()
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            fixed = {"Host": self._authority, "User-Agent": "floe-monitor", "Content-Length": str(len(body))}
            for name, value in {**fixed, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            raise _of_http(error) from error
        if response.status != 200:
            reason = response.headers.get("X-Databricks-Reason-Phrase") or response.reason
            raise HttpError(response.status, " ".join(reason.split())[:200], _code(content))
        return content

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None or self._connection.sock is None:
            self._connection = http.client.HTTPConnection("unused")
            self._connection.auto_open = 0
            self._connection.sock = self._dial()
        return self._connection


def _of_http(error: http.client.HTTPException) -> LinkError | StrangeError:
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return LinkError("the server closed the connection in the middle of an HTTP answer")
    return StrangeError(f"the answer is no HTTP ({type(error).__name__})")


def _code(content: bytes) -> str | None:
    """Databricks' `error_code` in an answer's body."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return str(found.get("error_code")) if isinstance(found, dict) else None
