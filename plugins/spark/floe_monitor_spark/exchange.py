"""HTTP over a `Link`: Thrift messages as requests, a proxy's tunnel, and what else is asked that way."""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
from typing import TYPE_CHECKING

from thrift.transport.TTransport import CReadableTransport, TTransportBase

from floe_monitor_spark.errors import HttpError, LinkError, SparkError, StrangeError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor_spark.wire import Link


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
    response = http.client.HTTPResponse(_Lent(link), method="CONNECT")  # type: ignore[arg-type]
    try:
        response.begin()
    except http.client.HTTPException as error:
        raise _of_http(error) from error
    if response.status != 200:
        raise HttpError(response.status, f"{response.reason} (from the proxy)")


class Exchange:
    """HTTP requests one after the other, over a new link wherever the last one has ended or failed."""

    starts_over = True
    """A request that fails does no harm to the next."""
    alive = True

    def __init__(self, link: Link, dial: Callable[[float], Link], authority: str) -> None:
        """`dial` takes the moment at which it has to give up."""
        self.expires_at = link.expires_at
        self.waits_for = "the answer to an HTTP request"
        self._dial = dial
        self._authority = authority
        self._link: Link | None = link

    def renew(self, expires_at: float) -> None:
        """For another validation. A link that the server has closed meanwhile is not used again."""
        self.expires_at = expires_at
        if self._link is not None and self._link.alive:
            self._link.renew(expires_at)
        else:
            self.close()

    def check_time(self) -> None:
        if time.monotonic() >= self.expires_at:
            raise TimedOutError(self.waits_for)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """The body of a 200; `HttpError` for any other status."""
        try:
            connection = self._connected()
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            fixed = {"Host": self._authority, "User-Agent": "floe-monitor", "Content-Length": str(len(body))}
            for name, value in {**fixed, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
            if connection.sock is None:
                self.close()
        except http.client.HTTPException as error:
            self.close()
            raise _of_http(error) from error
        except SparkError:
            self.close()
            raise
        if response.status != 200:
            reason = response.headers.get("X-Databricks-Reason-Phrase") or response.reason
            raise HttpError(response.status, " ".join(reason.split())[:200], _code(content))
        return content

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._link is None:
            self._link = self._dial(self.expires_at)
        self._link.expires_at = self.expires_at
        self._link.waits_for = self.waits_for
        connection = http.client.HTTPConnection("unused")
        connection.auto_open = 0
        connection.sock = _Lent(self._link)
        return connection


class _Lent:
    """What http.client uses of a socket. It closes one at an answer's head that announces the end."""

    def __init__(self, link: Link) -> None:
        self.sendall = link.sendall
        self.makefile = link.makefile

    def close(self) -> None:
        """The rest of the answer is still to come."""


def _of_http(error: http.client.HTTPException) -> LinkError | StrangeError:
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return LinkError("the server closed the connection in the middle of an HTTP answer")
    return StrangeError(f"the answer is no HTTP ({type(error).__name__})")


def _code(content: bytes) -> str | None:
    """Databricks' `error_code` in an answer's body."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return str(found.get("error_code")) if isinstance(found, dict) else None
