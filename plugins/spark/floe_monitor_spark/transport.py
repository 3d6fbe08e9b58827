"""Thrift's transports over the toolkit's connections, on which no wait outlives one deadline.

Thrift's own sockets and HTTP client take a timeout for each operation: an answer that drips byte by byte
keeps them busy for ever, and connecting and the name service have none.
"""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from thrift.transport.TTransport import CReadableTransport, TTransportBase

from floe_monitor.compute import ComputeTimeoutError
from floe_monitor.compute.toolkit.bounded_socket import BYTE_LIMIT
from floe_monitor_spark.errors import HttpStatusError, UnexpectedAnswerError, translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor.compute.toolkit.http_client import HttpClient

_LONGEST_REASON = 200


class BoundedTransport(ABC, TTransportBase):  # type: ignore[misc]  # thrift has no types
    """Its waits end at `deadline`, and another validation gives it another one."""

    def __init__(self, carrier: BoundedSocket | HttpClient, deadline: Deadline) -> None:
        self._carrier = carrier
        self.deadline = deadline

    @property
    def deadline(self) -> Deadline:
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._deadline = self._carrier.deadline = deadline

    @property
    def waits_for(self) -> str:
        """For the text of a timeout."""
        return self._carrier.waits_for

    @waits_for.setter
    def waits_for(self, what: str) -> None:
        self._carrier.waits_for = what

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the connections lead that are open."""
        return self._carrier.endpoints

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether another call can be sent. Does not wait."""

    def renew(self, deadline: Deadline) -> None:
        """For another validation: its deadline, and the whole limit of bytes."""
        self._carrier.renew(deadline)
        self.deadline = deadline

    def check_time(self) -> None:
        """For whoever works long on what was received."""
        if self.deadline.expired:
            raise ComputeTimeoutError(f"no answer in time while waiting for {self.waits_for}")

    def isOpen(self) -> bool:  # noqa: N802 - thrift's name
        return True

    def open(self) -> None:
        """A socket is connected already; an HTTP client connects with the first request."""

    def close(self) -> None:
        self._carrier.close()


class SocketTransport(BoundedTransport):
    """A connected socket."""

    def __init__(self, connection: BoundedSocket) -> None:
        super().__init__(connection, connection.deadline)
        self._connection = connection

    @property
    def alive(self) -> bool:
        return self._connection.alive

    def read(self, size: int) -> bytes:
        with translated():
            return self._connection.recv(size)

    def write(self, data: bytes) -> None:
        with translated():
            self._connection.sendall(data)

    def flush(self) -> None:
        """Nothing is held back."""


class HttpTransport(BoundedTransport, CReadableTransport):  # type: ignore[misc]  # thrift has no types
    """Each message a POST, over a new connection wherever the last one has ended or failed."""

    alive = True  # the next message may have a new connection

    def __init__(self, client: HttpClient, deadline: Deadline, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(client, deadline)
        self._client, self._url = client, url
        self._headers = {"Content-Type": "application/x-thrift", **headers}
        self._out, self._in = io.BytesIO(), io.BytesIO()

    def read(self, size: int) -> bytes:
        data = self._in.read(size)
        if not data:
            raise UnexpectedAnswerError("the HTTP answer is no Thrift message")
        return data

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def flush(self) -> None:
        body = self._out.getvalue()
        self._out = io.BytesIO()
        self._in = io.BytesIO(request(self._client, "POST", self._url, self._headers, body))

    @property
    def cstringio_buf(self) -> io.BytesIO:
        return self._in

    def cstringio_refill(self, partial: bytes, reqlen: int) -> io.BytesIO:  # noqa: ARG002 - thrift's names
        raise UnexpectedAnswerError("the HTTP answer is no Thrift message")


def request(
    client: HttpClient, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    """The body of a 200; `HttpStatusError` for any other status."""
    with translated():
        answer = client.request(method, url, headers, body, body_limit=BYTE_LIMIT)
    if answer.status == 200:
        return answer.body
    reason = answer.headers.get("X-Databricks-Reason-Phrase") or answer.reason
    text = f"HTTP {answer.status} {' '.join(reason.split())[:_LONGEST_REASON]}".rstrip()
    raise HttpStatusError(text, answer.status, _code(answer.body))


def _code(content: bytes) -> str | None:
    """Databricks' `error_code` in an answer's body."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return str(found.get("error_code")) if isinstance(found, dict) else None
