"""Noticing that the configuration may have changed, and what a new one changes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import watchfiles

from floe_monitor.settings.loading import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from floe_monitor.settings import LoadedSettings
    from floe_monitor.targets import Target

log = logging.getLogger("floe_monitor.reload")

SETTLE_SECONDS = 0.1
"""After a change, how long to wait for more of it: editors and ConfigMaps write in several steps."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of targets, each in the order of its configuration."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def diff(old: Mapping[str, Target], new: Mapping[str, Target]) -> Changes:
    """What `new` changes, told by fingerprint."""
    kept = [name for name in new if name in old]
    return Changes(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in kept if old[name].fingerprint != new[name].fingerprint),
        removed=tuple(name for name in old if name not in new),
        unchanged=tuple(name for name in kept if old[name].fingerprint == new[name].fingerprint),
    )


class ConfigWatcher:
    """Yields whenever what the configuration files say differs from what was seen last.

    Directories are watched, not files, so that a rename over a file and Kubernetes' swap of `..data` are
    seen; and every `poll_interval` seconds the files' checksum is compared, for file systems that tell
    nothing. A change to an invalid configuration is yielded once, like any other.
    """

    def __init__(self, loaded: Callable[[], LoadedSettings], poll_interval: float) -> None:
        self._loaded = loaded
        self._poll_interval = poll_interval
        self._seen = loaded().digest
        self._told = False

    async def __aiter__(self) -> AsyncIterator[None]:
        while True:
            await self._wait()
            if await self._differs():
                yield

    async def _differs(self) -> bool:
        seen = await self._digest()
        if seen == self._seen:
            return False
        # Wait until it holds still, so that a configuration half written is not tried.
        while True:
            await anyio.sleep(SETTLE_SECONDS)
            settled = await self._digest()
            if settled == seen:
                break
            seen = settled
        if seen == self._seen:
            return False
        self._seen = seen
        return True

    async def _digest(self) -> str:
        return await anyio.to_thread.run_sync(digest_of, self._loaded().watched, abandon_on_cancel=True)

    async def _wait(self) -> None:
        """Until something happens in the directories, or the poll interval is over."""
        folders = {_folder(path) for path in self._loaded().watched}
        present = [folder for folder in folders if folder.is_dir()]
        with anyio.move_on_after(self._poll_interval):
            if len(present) == len(folders):
                try:
                    async for _ in watchfiles.awatch(
                        *present, watch_filter=None, debounce=50, step=20, recursive=False
                    ):
                        return
                except (OSError, RuntimeError) as error:
                    if not self._told:
                        self._told = True
                        log.warning("files cannot be watched (%s): polling instead", type(error).__name__)
            await anyio.sleep(self._poll_interval)


def _folder(path: Path) -> Path:
    """The directory whose entries decide about `path`; for a pattern, the one above its first wildcard."""
    parts = Path(path).parent.parts
    for index, part in enumerate(parts):
        if any(sign in part for sign in "*?["):
            return Path(*parts[:index]) if index else Path()
    return Path(path).parent
