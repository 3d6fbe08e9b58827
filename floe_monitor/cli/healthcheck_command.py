"""`healthcheck`: what an image's HEALTHCHECK runs, against the daemon that has the same configuration."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from floe_monitor.cli.configuration import find_config, refused
from floe_monitor.cli.options import ConfigOption, parse_duration
from floe_monitor.cli.terminal import NO, OK, CliError, note, write

if TYPE_CHECKING:
    import ssl

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.dialling import Dialled

_MOST_BYTES = 65_536
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class _NoAnswerError(Exception):
    """Its text is the reason."""


def healthcheck(
    config: ConfigOption = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", "-t", parser=parse_duration, metavar="DURATION", help="Give up after this time."
        ),
    ] = 4.0,
    ready: Annotated[bool, typer.Option("--ready", help="Ask /readyz instead of /healthz.")] = False,
) -> int:
    """Ask the daemon on this machine whether it is healthy. Exit 1: it is not, or gives no answer."""
    where = _address(config)
    route = "/readyz" if ready else "/healthz"
    try:
        status, said = _ask(where, route, timeout)
    except _NoAnswerError as error:
        note(f"no answer from {where}: {error}")
        return NO
    if status == 200:
        write(said or "ok")
        return OK
    note(f"{where} answers {status} to {route}" + (f":\n{said.rstrip()}" if said else ""))
    return NO


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the daemon answers for its health; `path` is that of a Unix socket."""

    host: str = "localhost"
    port: int = 80
    scheme: str = "http"
    path: str = ""

    def __str__(self) -> str:
        return self.path or f"{self.host} port {self.port}"


def _address(config: ConfigOption) -> _Address:
    """Of the configuration's `http` alone: a daemon goes on with its former one where it was refused."""
    from floe_monitor.settings import ConfigurationError
    from floe_monitor.settings.loading import load_http

    path = find_config(config)
    try:
        http = load_http(path, os.environ)
    except ConfigurationError as error:
        raise refused(path, error) from None
    if http.health is not None:
        return _Address(*_reachable(http.health.host or http.host, http.health.port, "http.health.port"))
    if http.socket is not None and http.socket.only:
        return _Address(path=os.path.abspath(http.socket.path))  # noqa: PTH100 - links stay
    return _Address(*_reachable(http.host, http.port, "http.port"), "https" if http.tls else "http")


def _reachable(host: str, port: int, key: str) -> tuple[str, int]:
    if not port:
        raise CliError(f"{key} is 0: which port the daemon was given is not known", "Configure a port.")
    return ("127.0.0.1" if host in _EVERY_ADDRESS else host), port


def _ask(where: _Address, route: str, timeout: float) -> tuple[int, str]:
    """Status and text of one answer. A proxy that the environment names is for other hosts than this one.

    Raises `_NoAnswerError`.
    """
    import ssl  # the other commands do without

    from floe_monitor.compute.deadline import Deadline
    from floe_monitor.compute.errors import ComputeError, ComputeTimeoutError
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import ProtocolError
    from floe_monitor.compute.toolkit.dialling import dial
    from floe_monitor.compute.toolkit.http_address import Origin
    from floe_monitor.compute.toolkit.http_client import HttpClient

    def connect(host: str, port: int, *, deadline: Deadline) -> Dialled[BoundedSocket]:
        there = where.path or host
        return dial(there, port, BlockingCalls(), deadline, driver_gives_up=timeout)

    def unverified(_: Origin) -> ssl.SSLContext:
        # Nothing secret is sent, and the certificate has the name that others reach the monitor by. One that
        # the daemon does not take, and so does not show, must not make it look ill.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    client = HttpClient(connect, context_for=unverified, proxy_for=lambda *_: None)
    headers = {"Host": f"localhost:{where.port}", "Accept": "text/plain"}
    try:
        answer = client.request(
            "GET",
            f"{Origin(where.scheme, where.host, where.port)}{route}",
            headers,
            deadline=Deadline.after(timeout),
            body_limit=_MOST_BYTES,
            cut_body=True,
        )
    except ComputeTimeoutError:
        raise _NoAnswerError(f"no answer within {timeout:g} s") from None
    except (ComputeError, OSError) as error:
        # Before the reason stands where, which the command says itself.
        reason = str(error.strerror if isinstance(error, OSError) else error).rpartition(": ")[2]
        reason = reason[:1].lower() + reason[1:]
        foreign = "what answers is no floe-monitor: " if isinstance(error, ProtocolError) else ""
        raise _NoAnswerError(f"{foreign}{reason}") from None
    finally:
        client.close()
    return answer.status, answer.body.decode("utf-8", "replace")
