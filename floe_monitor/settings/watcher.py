"""Watching the configuration files for changes."""

from __future__ import annotations

import fnmatch
import logging
import os
import stat
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import watchfiles

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.headroom import require_threads
from floe_monitor.settings.files import digest_of, is_pattern, matches
from floe_monitor.settings.loader import watched_by

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from floe_monitor.settings import LoadedSettings

T = TypeVar("T")

log = logging.getLogger("floe_monitor.reload")

SETTLE_SECONDS = 0.1
"""After a change, how long to wait for more of it: editors and ConfigMaps write in several steps."""
SETTLE_ROUNDS = 30
RETRY_SECONDS = 60.0
"""After watching has failed, how long to poll before it is tried again."""


class ConfigWatcher:
    """Yields whenever what the configuration files say differs from what was seen last.

    Directories are watched, not files, so that a rename over a file and Kubernetes' swap of `..data` are
    seen; and every `poll_interval` seconds the files' checksum is compared, for file systems that report
    nothing. A change to an invalid configuration is yielded once, like any other; the files that one
    includes are watched too, so that putting them right is seen. Iterate once only.
    """

    def __init__(
        self,
        loaded: Callable[[], LoadedSettings],
        poll_interval: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._loaded = loaded
        self._poll_interval = poll_interval
        self._environ = environ
        self._watched = loaded().watched
        self._seen = loaded().digest
        self.problem: str | None = None
        """Why changes are found by polling alone, if they are."""

    async def __aiter__(self) -> AsyncGenerator[None]:
        while True:
            watched = self._watched
            folders = await self._in_thread(_folders, watched)
            compared = -self._poll_interval
            async with aclosing(self._ticks(folders)) as ticks:
                async for event in ticks:
                    # The first tick comes after watching has begun: nothing falls between two watches.
                    if not event and anyio.current_time() < compared + self._poll_interval:
                        continue
                    compared = anyio.current_time()
                    if await self._differs():
                        yield
                    if self._watched != watched or await self._in_thread(_folders, watched) != folders:
                        break

    async def _ticks(self, folders: frozenset[_Folder]) -> AsyncGenerator[bool]:
        """True for an event, False for time gone by; at least once a second."""
        pause = min(1.0, self._poll_interval)
        if folders:
            matters = _Filter(self._watched)
            try:
                # Its native code aborts the process where it cannot start its threads.
                require_threads()
                async for changes in watchfiles.awatch(
                    *(folder.path for folder in folders),
                    watch_filter=None,
                    debounce=200,
                    step=50,
                    rust_timeout=int(pause * 1000),
                    yield_on_timeout=True,
                    recursive=False,
                ):
                    self.problem = None
                    yield any(matters(path) for _, path in changes)
            except (OSError, RuntimeError, MonitorResourceError) as error:
                self._report(f"files cannot be watched ({type(error).__name__}): polling instead")
        deadline = anyio.current_time() + RETRY_SECONDS
        while anyio.current_time() < deadline:
            await anyio.sleep(pause)
            yield False

    def _report(self, problem: str) -> None:
        if self.problem is None:
            log.warning(problem)
        self.problem = problem

    async def _differs(self) -> bool:
        seen = await self._digest()
        if seen == self._seen:
            return False
        # Wait until it stops changing, so that a configuration half written is not tried.
        for _ in range(SETTLE_ROUNDS):
            await anyio.sleep(SETTLE_SECONDS)
            settled = await self._digest()
            if settled == seen:
                break
            seen = settled
        changed, self._seen = seen != self._seen, seen
        if changed:
            await self._look_for_includes()
        return changed

    async def _look_for_includes(self) -> None:
        loaded = self._loaded()
        try:
            now = await self._in_thread(watched_by, loaded.files[0], self._environ)
        except OSError:  # a directory above an included file that may not be entered: the reload reports it
            return
        watched = tuple(dict.fromkeys((*now, *loaded.watched)))
        if watched != self._watched:
            self._watched = watched
            self._seen = await self._digest()

    async def _digest(self) -> str:
        return await self._in_thread(digest_of, self._watched)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory and which one it is: a new one of the same name has to be watched anew."""

    path: str
    device: int
    inode: int


class _Filter:
    """Which names within the folders matter; logs and databases beside a configuration do not."""

    def __init__(self, watched: Iterable[Path]) -> None:
        self._names = {name for path in watched for name in (path.name, _linked(path).name)}
        self._folders = {str(folder) for path in watched for folder in _folders_of(path)}

    def __call__(self, path: str) -> bool:
        name = os.path.basename(path)  # noqa: PTH119 - called for every event
        if name.startswith("..") or path in self._folders:
            return True
        return any(fnmatch.fnmatchcase(name, wanted) for wanted in self._names)


def _folders(watched: Iterable[Path]) -> frozenset[_Folder]:
    """The directories there are now whose entries decide about what is watched."""
    found = set()
    for folder in {folder for path in watched for folder in _folders_of(path)}:
        try:
            status = folder.stat()
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            found.add(_Folder(str(folder), status.st_dev, status.st_ino))
    return frozenset(found)


def _folders_of(path: Path) -> set[Path]:
    """For a pattern, the directory above its first wildcard and those of its matches; for a file its own,
    and the one it links to."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay
    if "\0" in str(path):
        return set()
    if not is_pattern(path):
        return {whole.parent, _linked(whole).parent}
    parts = whole.parts
    fixed = next(index for index, part in enumerate(parts) if is_pattern(Path(part)))
    return {Path(*parts[:fixed]), *(match.parent for match in matches(whole))}


def _linked(path: Path) -> Path:
    """Where the links lead; unlike `resolve`, also for one that leads to itself."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a NUL in it, which the reload refuses
        return path
