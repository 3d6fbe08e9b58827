"""`healthcheck`: what an image's HEALTHCHECK runs, against the daemon that has the same configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from floe_monitor.cli.daemon_client import (
    DaemonAddress,
    NoAnswerError,
    address_of,
    configured_http,
    exchange,
    reachable,
)
from floe_monitor.cli.options import ConfigOption, parse_duration
from floe_monitor.cli.terminal import NO, OK, note, write


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
    except NoAnswerError as error:
        note(f"no answer from {where}: {error}")
        return NO
    if status == 200:
        write(said or "ok")
        return OK
    note(f"{where} answers {status} to {route}" + (f":\n{said.rstrip()}" if said else ""))
    return NO


def _address(config: ConfigOption) -> DaemonAddress:
    """Of the configuration's `http` alone: a daemon goes on with its former one where it was refused."""
    http = configured_http(config)
    if http.health is not None:
        return reachable(http.health.host or http.host, http.health.port, "http.health.port")
    return address_of(http)


def _ask(where: DaemonAddress, route: str, timeout: float) -> tuple[int, str]:
    """Raises `NoAnswerError`."""
    # The certificate is not looked at: one that the daemon does not take, and so does not show, must not make
    # it look ill, and nothing secret is sent.
    answer = exchange(where, "GET", route, {"Accept": "text/plain"}, timeout=timeout, verified=False)
    return answer.status, answer.body.decode("utf-8", "replace")
