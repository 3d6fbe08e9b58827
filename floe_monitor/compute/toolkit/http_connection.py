"""One connection that speaks HTTP/1.1: a request is sent, and its answer read within limits.

The answer is parsed by `http.client`. What that leaves open is closed here: an end of the connection within
headers or within a body whose length was given, informational answers, and the size of the whole.
"""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.errors import ComputeConfigurationError, ComputeConnectionError
from floe_monitor.compute.toolkit.bounded_socket import ClosedError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket

BODY_LIMIT = 1 << 20
HEAD_LIMIT = 128 << 10
"""Bytes of status line and headers, of which `http.client` takes a hundred at most."""
MOST_INFORMATIONAL = 8
_BUFFER = 16384
_LONGEST_REASON = 200
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]+")
_UNSENDABLE = re.compile(r"[\r\n\0]")


class Headers(Mapping[str, str]):
    """By name, in whatever case; several of one name are joined by a comma."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        """In lower case."""
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    reason: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    cut: bool = False
    """Whether there was more of the body than was asked for."""
    moved_to: str | None = None
    """Scheme, host and port of where a redirect leads that was not followed."""
    warnings: tuple[str, ...] = ()
    """Of the connections that were made for it."""


class HttpConnection:
    def __init__(self, connection: BoundedSocket) -> None:
        self.connection = connection
        self._source = _Source(connection)
        self._reader = _Reader(self._source, _BUFFER)
        self.reusable = True
        """Whether another request may follow, unless the other side ends the connection meanwhile."""

    @property
    def alive(self) -> bool:
        """Whether it is open and silent. Does not wait."""
        return self.reusable and self.connection.alive

    @property
    def answered(self) -> bool:
        """Whether anything has come since the last request began."""
        return self._source.count > 0

    def close(self) -> None:
        self.connection.close()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
        """Raises `ComputeConfigurationError`, which names no value, for a header that cannot be sent."""
        self.reusable = False
        self._source.begin()
        self.connection.sendall(_request(method, target, headers, body))

    def read(self, method: str, body_limit: int, *, cut: bool) -> HttpAnswer:
        """A body longer than `body_limit` is cut there if that is asked for, and an error if not."""
        try:
            response = self._head(method)
            body = response.read(body_limit + 1)
        except http.client.HTTPException as error:
            raise self._named(error) from None
        except ValueError:
            raise ProtocolError("the answer is no HTTP: a chunk of no size") from None
        longer = len(body) > body_limit
        if longer and not cut:
            raise ProtocolError(f"the answer is longer than {body_limit} bytes")
        if not longer and response.length:
            raise self._broken()
        self.reusable = not longer and not response.will_close and self._at_rest()
        reason = " ".join(response.reason.split())[:_LONGEST_REASON]
        headers = Headers(response.getheaders())
        return HttpAnswer(response.status, reason, headers, body[:body_limit], cut=longer)

    def read_head(self, method: str) -> tuple[int, str]:
        """Status and reason alone. After a success the connection is another's."""
        try:
            response = self._head(method)
        except http.client.HTTPException as error:
            raise self._named(error) from None
        if response.status < 300 and not self._at_rest():
            raise ProtocolError("more came than an answer")
        return response.status, " ".join(response.reason.split())[:_LONGEST_REASON]

    def makefile(self, *_: Any) -> io.BufferedReader:
        """For `http.client`."""
        return self._reader

    def _head(self, method: str) -> http.client.HTTPResponse:
        self._source.head_limit = HEAD_LIMIT
        for _ in range(MOST_INFORMATIONAL + 1):
            response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]  # as much of a socket as is used
            response.begin()
            if self._source.ended:
                # `http.client` takes an end within the headers for theirs.
                raise self._broken()
            if response.status == http.client.SWITCHING_PROTOCOLS:
                raise ProtocolError("the server changes to a protocol that was not asked for")
            if response.status >= 200:
                self._source.head_limit = None
                return response
        raise ProtocolError(f"more than {MOST_INFORMATIONAL} informational answers")

    def _at_rest(self) -> bool:
        """Whether all that came has been read. Does not wait."""
        if self._source.ended:
            return False
        self._source.paused = True
        try:
            return not self._reader.peek(1)
        finally:
            self._source.paused = False

    def _named(self, error: http.client.HTTPException) -> ComputeConnectionError:
        if isinstance(error, http.client.RemoteDisconnected) and not self.answered:
            return ClosedError("the server closed the connection without an answer")
        if self._source.ended:
            return self._broken()
        if isinstance(error, http.client.IncompleteRead):
            return ProtocolError("the answer is no HTTP: a chunk of no size")
        if type(error) is http.client.HTTPException:
            return ProtocolError("the answer has too many headers")
        return ProtocolError(f"the answer is no HTTP ({type(error).__name__})")

    def _broken(self) -> ComputeConnectionError:
        return ComputeConnectionError("the server closed the connection in the middle of an HTTP answer")


class _Source(io.RawIOBase):
    """What arrives, counted."""

    def __init__(self, connection: BoundedSocket) -> None:
        super().__init__()
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        self.count = 0
        self.ended = False
        self.paused = False
        self.head_limit: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.paused:
            return None
        try:
            data = self._connection.recv(len(buffer))
        except ClosedError:
            self.ended = True
            return 0
        self.count += len(data)
        if self.head_limit is not None and self.count > self.head_limit:
            raise ProtocolError(f"the head of the answer is longer than {self.head_limit} bytes")
        buffer[: len(data)] = data
        return len(data)


class _Reader(io.BufferedReader):
    """Goes on to the next answer: `http.client` closes its own at the end of each."""

    def close(self) -> None:
        """Nothing is its own: whoever has the connection closes it."""

    def flush(self) -> None:
        """Nothing is written. `http.client` flushes too, when an answer is dropped, be the source closed."""


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    if not _METHOD.fullmatch(method):
        raise ComputeConfigurationError(f"{method!r} is no HTTP method")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ComputeConfigurationError(f"{name!r} is no name of an HTTP header")
        if _UNSENDABLE.search(value):
            raise ComputeConfigurationError(f"the HTTP header {name} cannot be sent: it has a line break")
        lines.append(f"{name}: {value}")
    try:
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
    except UnicodeEncodeError:
        raise ComputeConfigurationError("an HTTP header has characters that HTTP does not have") from None
    return head + (body or b"")
