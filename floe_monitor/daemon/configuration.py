"""One reading of the configuration: its targets, and what of targets and profiles is this monitor's part."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit import process_state
from floe_monitor.compute.toolkit.headroom import require_descriptors
from floe_monitor.domain.shards import ShardIndexError, resolve
from floe_monitor.domain.targets import build_targets
from floe_monitor.registry.discovery import discover
from floe_monitor.registry.problems import Problem
from floe_monitor.settings import ConfigurationError, load
from floe_monitor.settings.file_modes import exposed_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from floe_monitor.domain.shards import Shard
    from floe_monitor.domain.targets import Target
    from floe_monitor.registry.problems import KeyPath
    from floe_monitor.settings import LoadedSettings
    from floe_monitor.settings.models import ProfileSettings

log = logging.getLogger("floe_monitor.control")

NAMES_SHOWN = 20
"""Files named in warnings of one load."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """`targets` are all where profiles are kept, and elsewhere `watched`, those that are probed here; of
    others, `loaded` has no settings there either. `configured` counts them all."""

    loaded: LoadedSettings
    targets: Mapping[str, Target]
    watched: Mapping[str, Target]
    configured: int
    shard: Shard | None = None

    @property
    def profiles(self) -> Sequence[ProfileSettings]:
        """Those that are kept here: of several shards one has them all."""
        return self.loaded.settings.profiles if self.shard is None or self.shard.keeps_profiles else ()


def read_configuration(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Blocking. Raises `ConfigurationError` with every problem found, the ordinal of a shard included.

    `MonitorResourceError` where descriptors were short: files and plugins that cannot be opened would count
    as missing.
    """
    require_descriptors()
    process_state.restore()
    loaded = load(path, environ)
    shard = _shard(loaded, environ, socket.gethostname())
    configured = len(loaded.settings.targets)
    if shard is None or (shard.keeps_profiles and loaded.settings.profiles):
        targets = build_targets(loaded.settings, discover(), loaded.locate)
    else:
        targets = build_targets(loaded.settings, discover(), loaded.locate, kept=shard.watches)
        loaded = replace(loaded, settings=loaded.settings.model_copy(update={"targets": {}}))
    process_state.restore()  # the import of a plugin may have changed it
    require_descriptors()
    watched = {name: each for name, each in targets.items() if shard is None or shard.watches(name)}
    return Configuration(loaded, targets, watched, configured, shard)


def _shard(loaded: LoadedSettings, environ: Mapping[str, str], hostname: str) -> Shard | None:
    settings = loaded.settings.shard
    if settings is None:
        return None
    try:
        return resolve(settings, environ, hostname)
    except ShardIndexError as error:
        path: KeyPath = ("shard", "index")
        place = loaded.locate(path if settings.index is not None else ("shard",))
        hint = "give shard.index: the pod's ordinal, or {env: NAME} of a variable with the pod's name"
        raise ConfigurationError([Problem(place, str(error), path, hint)]) from None


def report_exposed_files(loaded: LoadedSettings) -> None:
    """In a thread of its own: a credential's file may lie on a file system that hangs."""

    def report() -> None:
        for warning in itertools.islice(exposed_files(loaded.trusted), NAMES_SHOWN):
            log.warning("%s", warning)

    with suppress(RuntimeError):  # no thread can be started: the next reload tells
        threading.Thread(target=report, name="file-modes", daemon=True).start()
