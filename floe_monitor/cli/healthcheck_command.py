"""`healthcheck`: what an image's HEALTHCHECK runs, against the daemon that has the same configuration."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from floe_monitor.cli.configuration import find_config, refused
from floe_monitor.cli.options import ConfigOption, parse_duration
from floe_monitor.cli.terminal import NO, OK, CliError, note, write

_MOST_BYTES = 65_536
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


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
    host, port = _address(config)
    route = "/readyz" if ready else "/healthz"
    try:
        status, said = _ask(host, port, route, timeout)
    except OSError as error:
        reason = error.strerror or f"no answer within {timeout:g} s"
        note(f"no answer from {host} port {port}: {reason.lower()}")
        return NO
    if status == 200:
        write(said or "ok")
        return OK
    note(f"{host} port {port} answers {status} to {route}" + (f":\n{said.rstrip()}" if said else ""))
    return NO


def _address(config: ConfigOption) -> tuple[str, int]:
    """Of the configuration's `http` alone: a daemon goes on with its former one where it was refused."""
    from floe_monitor.settings import ConfigurationError
    from floe_monitor.settings.loading import load_http

    path = find_config(config)
    try:
        http = load_http(path, os.environ)
    except ConfigurationError as error:
        raise refused(path, error) from None
    if not http.port:
        raise CliError("http.port is 0: which port the daemon was given is not known", "Configure a port.")
    return ("127.0.0.1" if http.host in _EVERY_ADDRESS else http.host), http.port


def _ask(host: str, port: int, route: str, timeout: float) -> tuple[int, str]:
    """Status and text of one answer. A proxy that the environment names is for other hosts than this one.

    Raises `OSError`; one without a reason where the time is over.
    """
    import http.client  # the other commands do without

    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", route, headers={"host": f"localhost:{port}", "accept": "text/plain"})
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES).decode("utf-8", "replace")
    except TimeoutError:
        raise OSError from None
    except http.client.HTTPException as error:
        raise OSError(0, f"what answers is no floe-monitor ({type(error).__name__})") from None
    finally:
        connection.close()
