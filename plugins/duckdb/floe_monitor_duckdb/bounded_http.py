"""One HTTP exchange that ends by its deadline whatever the other side does.

`http.client` over a socket whose timeout is set anew, to the time that is left, before every operation: an
answer that arrives byte by byte cannot outlast it. Names are looked up aside.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls, family_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline

MAX_BODY = 1 << 20
MAX_REDIRECTS = 3

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_ONE_SITE = frozenset({"Authorization", "Host", "X-Amz-Security-Token"})
_calls = BlockingCalls()


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is cut at `MAX_BODY` bytes; `moved_to` is where a redirect leads that was not followed."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    moved_to: str | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are accepted: those of `ca_file`, else the system's; without `verify`, anybody's."""

    ca_file: str | None = None
    verify: bool = True


def exchange(
    method: str,
    url: str,
    *,
    deadline: Deadline,
    headers: Mapping[str, str],
    body: bytes | None = None,
    trust: Trust,
) -> Answer:
    """Raises `ComputeTimeoutError` at the deadline and `ComputeConnectionError` for what fails before.

    A GET follows redirects, as DuckDB does; what authorizes goes only where scheme, host and port stay.
    """
    sent = dict(headers)
    for _ in range(MAX_REDIRECTS + 1):
        answer = _once(method, url, deadline, sent, body, trust)
        target = answer.headers.get("location")
        if answer.status not in REDIRECTS or not target or method != "GET":
            return answer
        there = urljoin(url, target)
        if urlsplit(there).scheme not in {"http", "https"}:
            return Answer(answer.status, answer.body, answer.headers, moved_to=_site(there))
        if _site(there) != _site(url):
            sent = {name: item for name, item in sent.items() if name not in _OF_ONE_SITE}
        url = there
    raise ComputeConnectionError(f"more than {MAX_REDIRECTS} redirects")


def site_of(url: str) -> str:
    """Scheme, host and port: what a message may say of a URL."""
    return _site(url)


def _once(
    method: str,
    url: str,
    deadline: Deadline,
    headers: Mapping[str, str],
    body: bytes | None,
    trust: Trust,
) -> Answer:
    parts = urlsplit(url)
    where = _site(url)
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise ComputeConnectionError(f"{where} is no address") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    raw: socket.socket | None = None
    step = "connecting"
    try:
        raw = _connect(host, port, deadline)
        if parts.scheme == "https":
            step = "the TLS handshake"
            raw.settimeout(_left(deadline))
            raw = _tls(trust, _age(trust.ca_file)).wrap_socket(raw, server_hostname=host)
        step = "an answer"
        connection = http.client.HTTPConnection(host, port)
        connection.sock = _Timed(raw, deadline)  # as much of a socket as is used
        connection.request(method, path, body=body, headers={"Connection": "close", **headers})
        response = connection.getresponse()
        content = response.read(MAX_BODY)
        found = {key.lower(): item for key, item in response.getheaders()}
        return Answer(response.status, content, found)
    except ComputeTimeoutError:
        raise ComputeTimeoutError(f"no answer from {where} in time ({step})") from None
    except TimeoutError:
        raise ComputeTimeoutError(f"no answer from {where} in time ({step})") from None
    except ssl.SSLCertVerificationError as error:
        raise ComputeConnectionError(f"{where}: its certificate is refused: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise ComputeConnectionError(f"{where}: TLS fails: {error.reason or 'closed'}") from None
    except http.client.HTTPException as error:
        raise ComputeConnectionError(f"{where} does not speak HTTP ({type(error).__name__})") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ComputeConnectionError(f"{where}: {reason}") from None
    finally:
        if raw is not None:
            raw.close()


class _Timed(io.RawIOBase):
    """A connected socket, as far as `http.client` needs one, that waits no longer than is left."""

    def __init__(self, raw: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._raw = raw
        self._deadline = deadline

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """`http.client` closes its end before the answer is read; the socket's owner closes the socket."""

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(_left(self._deadline))
        return self._raw.recv_into(buffer)

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(_left(self._deadline))
        self._raw.sendall(data)  # Python counts this timeout over the whole of it


def _connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """To the first address that accepts; the time left is shared among those that are to be tried."""
    addresses = _calls.resolve(host, deadline.remaining())
    failure: OSError | None = None
    for index, address in enumerate(addresses):
        candidate = socket.socket(family_of(address), socket.SOCK_STREAM)
        try:
            candidate.settimeout(_left(deadline) / (len(addresses) - index))
            candidate.connect((address, port))
        except OSError as error:
            candidate.close()
            failure = error
        else:
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return candidate
    raise failure or OSError("the name has no address")


def _left(deadline: Deadline) -> float:
    left = deadline.remaining()
    if left <= 0:
        raise ComputeTimeoutError("no time left")
    return left


def _site(url: str) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{netloc}"


@functools.lru_cache(maxsize=8)
def _tls(trust: Trust, age: int | None) -> ssl.SSLContext:  # noqa: ARG001 - a file that was replaced is read anew
    context = ssl.create_default_context(cafile=trust.ca_file)
    if not trust.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _age(file: str | None) -> int | None:
    return None if file is None else Path(file).stat().st_mtime_ns
