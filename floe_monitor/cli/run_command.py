"""`run`: the daemon, and where to look at it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from floe_monitor import __version__
from floe_monitor.cli import startup_collections
from floe_monitor.cli.configuration import find_config, refused
from floe_monitor.cli.options import ConfigOption
from floe_monitor.cli.terminal import CliError
from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from pathlib import Path

    from floe_monitor.daemon.http_surface import Listeners
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.settings import Settings


def run(config: ConfigOption = None) -> int:
    """Watch, export and reconcile until told to stop."""
    from floe_monitor.daemon.signals import Signals  # before what takes long to import

    signals = Signals()
    from floe_monitor.compute.errors import MonitorResourceError
    from floe_monitor.daemon import composition  # with everything
    from floe_monitor.settings import ConfigurationError
    from floe_monitor.web.listeners import ListenError

    startup_collections.resume()
    path = find_config(config)

    def announce(listeners: Listeners, state: MonitorState, settings: Settings) -> list[str]:
        return startup_lines(listeners, path, settings, state)

    try:
        return composition.run(path, environ=os.environ, announce=announce, signals=signals)
    except ConfigurationError as error:
        raise refused(path, error) from None
    except (ListenError, MonitorResourceError) as error:
        raise CliError(str(error)) from None


def startup_lines(listeners: Listeners, path: Path, settings: Settings, state: MonitorState) -> list[str]:
    """Where to look, one thing to a line."""
    url = listeners.main[0].url
    health = listeners.health.url if listeners.health is not None else url
    page = settings.http.external_url or url
    lines = [
        f"floe-monitor {__version__} watches {_watched(state, path)}",
        f"  status page  {page}/",
        f"  metrics      {url}/metrics",
        f"  health       {health}/healthz  {health}/readyz",
        f"  API          {url}/api/v1/targets",
    ]
    lines += [f"  also at      {listener.url}" for listener in listeners.main[1:]]
    http = settings.http
    if not (listeners.main[0].identity.local or http.tokens or http.users or http.proxy):
        closed = "validate and reload" if http.public_read else "status page, API, validate and reload"
        lines.append(f"  closed       {closed}: no credential is configured (http.tokens, http.users)")
    if state.shard is not None and not state.shard.keeps_profiles:
        return lines
    return lines + [f"  profile      {profile.name} in {profile.path}" for profile in settings.profiles]


def _watched(state: MonitorState, path: Path) -> str:
    shard, count = state.shard, len(state.targets)
    if shard is None:
        return f"{counted(count, 'target')} of {path}"
    all_of_them = counted(state.configured, "target")
    return f"{count} of {all_of_them} of {path} ({shard}, each on {shard.replicas})"
