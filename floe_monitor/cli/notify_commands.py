"""`notify`: what has to do with notifications."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from floe_monitor.cli.options import ConfigOption
from floe_monitor.cli.terminal import NO, OK, CliError, unknown, write

if TYPE_CHECKING:
    from floe_monitor.settings import Settings

app = typer.Typer(help="Notifications.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Notifications."""


@app.command("test")
def send_test(
    channels: Annotated[
        Optional[list[str]], typer.Argument(metavar="CHANNEL", help="Channels; all if none is named.")
    ] = None,
    config: ConfigOption = None,
) -> int:
    """Send a test message to channels and say what became of it. Exit status 1 if one was not taken."""
    from floe_monitor.cli.configuration import load_settings

    settings = load_settings(config).settings
    known = settings.notifications.channels
    if not known:
        raise CliError(
            "no channel is configured", "Add one under `notifications.channels` (docs/notifications.md)."
        )
    for name in channels or ():
        if name not in known:
            raise unknown("no channel", name, known)
    outcomes = [_send_trial(settings, name) for name in dict.fromkeys(channels or known)]
    return OK if all(outcomes) else NO


def _send_trial(settings: Settings, name: str) -> bool:
    from floe_monitor.daemon.notifications import transport_of
    from floe_monitor.notifications.messages import MessageMaker, trial_notice
    from floe_monitor.notifications.transports import SendError

    chosen = settings.notifications.channels[name]
    maker = MessageMaker(
        name, socket.gethostname(), settings.http.external_url or "", chosen.title, chosen.body
    )
    message = maker.one(trial_notice(name, time.time()))
    began = time.monotonic()
    try:
        transport_of(chosen, os.environ).send(message)
    except ImportError as error:
        write(f"{name}: not sent: {error.name} is not installed: install floe-monitor[notifications]")
        return False
    except SendError as error:
        write(f"{name}: not sent: {error}")
        return False
    write(f"{name}: sent in {time.monotonic() - began:.1f} s, as {message.key}")
    return True
