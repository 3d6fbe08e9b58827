"""Asks a running daemon over HTTP: where it is by its configuration or a URL, one request, within a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.cli.configuration import find_config, refused
from floe_monitor.cli.terminal import CliError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.dialling import Dialled
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer
    from floe_monitor.settings.http_models import HttpSettings

MOST_BYTES = 1 << 20
"""Of an answer; the rest is not read."""
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class NoAnswerError(Exception):
    """Its text is the reason."""


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """Where the daemon answers. `path` is that of a Unix socket, `url` of a daemon elsewhere."""

    host: str = "localhost"
    port: int = 80
    scheme: str = "http"
    path: str = ""
    url: str = ""

    def __str__(self) -> str:
        return self.url or self.path or f"{self.host} port {self.port}"


def configured_http(config: Path | None) -> HttpSettings:
    """The section `http` alone: a daemon goes on with its former one where the whole was refused."""
    from floe_monitor.settings import ConfigurationError  # noqa: PLC0415 - as the commands do
    from floe_monitor.settings.loader import load_http  # noqa: PLC0415 - as above

    path = find_config(config)
    try:
        return load_http(path, os.environ)
    except ConfigurationError as error:
        raise refused(path, error) from None


def address_of(http: HttpSettings) -> DaemonAddress:
    """Of page and API, on this machine."""
    if http.socket is not None and http.socket.only:
        return DaemonAddress(path=os.path.abspath(http.socket.path))  # noqa: PTH100 - links stay
    return reachable(http.host, http.port, "http.port", "https" if http.tls else "http")


def reachable(host: str, port: int, key: str, scheme: str = "http") -> DaemonAddress:
    if not port:
        raise CliError(f"{key} is 0: which port the daemon was given is not known", "Configure a port.")
    return DaemonAddress("127.0.0.1" if host in _EVERY_ADDRESS else host, port, scheme)


def exchange(
    where: DaemonAddress,
    method: str,
    route: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    timeout: float,
    verified: bool,
) -> HttpAnswer:
    """One request and its answer. A proxy that the environment names is for other hosts than this one.

    `verified`: whether the certificate must be right, as it must where a credential goes along. Raises
    `NoAnswerError`.
    """
    import ssl  # noqa: PLC0415 - the other commands do without

    from floe_monitor.compute.deadline import Deadline  # noqa: PLC0415 - as above
    from floe_monitor.compute.errors import ComputeError, ComputeTimeoutError  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.bounded_socket import ProtocolError  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.dialling import dial  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.http_address import Origin  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.http_client import HttpClient  # noqa: PLC0415 - as above
    from floe_monitor.compute.toolkit.tls import tls_context  # noqa: PLC0415 - as above

    def connect(host: str, port: int, *, deadline: Deadline) -> Dialled[BoundedSocket]:
        return dial(where.path or host, port, BlockingCalls(), deadline, driver_gives_up=timeout)

    def context(_: Origin) -> ssl.SSLContext:
        if verified:
            return tls_context()
        made = ssl.create_default_context()
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    client = HttpClient(connect, context_for=context, proxy_for=lambda *_: None)
    local = not where.url
    base = f"{Origin(where.scheme, where.host, where.port)}" if local else where.url.rstrip("/")
    # On loopback the daemon answers to that name, whatever address it is.
    sent = {**({"Host": f"localhost:{where.port}"} if local else {}), **headers}
    try:
        return client.request(
            method,
            f"{base}{route}",
            sent,
            body,
            deadline=Deadline.after(timeout),
            body_limit=MOST_BYTES,
            cut_body=True,
        )
    except ComputeTimeoutError:
        raise NoAnswerError(f"no answer within {timeout:g} s") from None
    except (ComputeError, OSError) as error:
        # Before the reason stands where, which the command says itself.
        reason = str(error.strerror if isinstance(error, OSError) else error).rpartition(": ")[2]
        reason = reason[:1].lower() + reason[1:]
        foreign = "what answers is no floe-monitor: " if isinstance(error, ProtocolError) else ""
        raise NoAnswerError(f"{foreign}{reason}") from None
    finally:
        client.close()
