"""Sends notifications, where channels are configured: which file keeps them, and whether others send too."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.liveness import Verdict
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.stores import Store
    from floe_monitor.notifications.notifier import Notifier
    from floe_monitor.notifications.transports import Transport
    from floe_monitor.settings import Settings
    from floe_monitor.settings.notification_models import ChannelSettings

log = logging.getLogger("floe_monitor.notifications")

FILE_NAME = "notifications.db"


def build_notifier(
    settings: Settings,
    state: MonitorState,
    environ: Mapping[str, str],
    verdict: Callable[[], Verdict],
) -> Notifier | None:
    """None where no channel is configured, or none can be used. Imports what they need otherwise."""
    common = settings.notifications
    if not common.channels:
        return None
    from floe_monitor.notifications.delivery import Delivery  # noqa: PLC0415 - for those who have channels
    from floe_monitor.notifications.messages import MessageMaker  # noqa: PLC0415 - as above
    from floe_monitor.notifications.notifier import Allowance, Channel, Notifier  # noqa: PLC0415 - as above
    from floe_monitor.notifications.observation import Rule  # noqa: PLC0415 - as above
    from floe_monitor.notifications.outbox import Outbox  # noqa: PLC0415 - as above

    try:
        store: Store | None = store_of(settings, environ)
    except ImportError as error:
        state.notification_problem = f"{error.name} is not installed: install floe-monitor[history]"
        log.warning("what is told and to be sent is kept in memory alone: %s", state.notification_problem)
        store = None
    outbox = Outbox(tuple(common.channels), store, time.monotonic)
    channels, lacking = [], ""
    for name, chosen in common.channels.items():
        try:
            transport = transport_of(chosen, environ)
        except ImportError as error:
            lacking = f"channel {name}: {error.name} is not installed: install floe-monitor[notifications]"
            log.warning("a channel is not used: %s", lacking)
            continue
        maker = MessageMaker(
            name, socket.gethostname(), settings.http.external_url or "", chosen.title, chosen.body
        )
        channels.append(
            Channel(
                Rule.of(name, chosen, common),
                maker,
                Delivery(name, transport, outbox, common.give_up),
                Allowance(time.monotonic()),
            )
        )
    _warn_of_others(settings, environ)
    if not channels:
        state.notification_problem = lacking
        return None
    return Notifier(state, verdict, channels, outbox, lacking=state.notification_problem or lacking)


def transport_of(channel: ChannelSettings, environ: Mapping[str, str]) -> Transport:
    """`ImportError` where Apprise is not installed."""
    if channel.webhook is not None:
        from floe_monitor.notifications.webhook import Webhook  # noqa: PLC0415 - for those who have one

        return Webhook(channel.webhook, channel.timeout, environ)
    from floe_monitor.notifications.apprise_service import AppriseService  # noqa: PLC0415 - as above

    assert channel.apprise is not None  # noqa: S101 - the model has one of both
    return AppriseService(channel.apprise.reference, channel.timeout, environ)


def store_of(settings: Settings, environ: Mapping[str, str]) -> Store:
    """With a group the history's server; else a file: that of the setting, beside the history's, or in the
    state directory. `ImportError` where what it needs is not installed."""
    url, group = settings.history.url, settings.notifications.group
    if url is not None and group is not None:
        from floe_monitor.history.notification_store import NotificationStore  # noqa: PLC0415 - 35 MB, as above

        return NotificationStore(url, group, environ)
    from floe_monitor.notifications.outbox_file import OutboxFile  # noqa: PLC0415 - as above

    given = settings.notifications.outbox
    if given is not None:
        return OutboxFile(_path(given))
    prefix = "sqlite:///"
    if url is not None and url.plain is not None and url.plain.startswith(prefix):
        return OutboxFile(_path(url.plain.removeprefix(prefix).partition("?")[0]).with_name(FILE_NAME))
    folder = environ.get("STATE_DIRECTORY", "").split(":")[0] or "var"
    return OutboxFile(_path(folder) / FILE_NAME)


def _path(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - never raises


def _warn_of_others(settings: Settings, environ: Mapping[str, str]) -> None:
    """Pods of one DaemonSet or Deployment do not know of one another."""
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return
    if settings.shard is not None or settings.notifications.group is not None:
        return
    log.warning(
        "notifications: if there is more than one pod with this configuration (a DaemonSet), each sends its "
        "own: give them `shard`, or `notifications.group` with a history on a server"
    )
