# ruff: noqa: ASYNC240 - files on a local disk are what is tested
"""Watching real files in the ways people and Kubernetes change them, and telling what a reload changes."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import watchfiles

from floe_monitor.domain.target_diff import Changes, diff
from floe_monitor.domain.targets import build_targets
from floe_monitor.registry.discovery import discover
from floe_monitor.settings import ConfigurationError, LoadedSettings, Settings, load
from floe_monitor.settings.files import digest_of
from floe_monitor.settings.watcher import ConfigWatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from floe_monitor.domain.targets import Target

CONFIG = "targets:\n  dev: {plugin: duckdb, threads: %d}\n"
POLL = 30.0
"""Long enough that what is seen within WAIT was told by an event."""
WAIT = 60.0
QUIET = 0.8


class Watched:
    """A watcher at work, reloading as the daemon does."""

    def __init__(self, path: Path, poll: float = POLL) -> None:
        self.path = path
        self.loaded: LoadedSettings = load(path, {})
        self.problems: tuple[str, ...] = ()
        self.seen = 0
        self.watcher = ConfigWatcher(lambda: self.loaded, poll, {})
        self._told = asyncio.Event()

    async def follow(self) -> None:
        async with aclosing(self.watcher.__aiter__()) as changes:
            async for _ in changes:
                try:
                    self.loaded, self.problems = load(self.path, {}), ()
                except ConfigurationError as error:
                    self.problems = tuple(map(str, error.problems))
                self.seen += 1
                self._told.set()

    async def until(self, condition: Callable[[], bool], within: float = WAIT) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._told.clear()
                await self._told.wait()

    def threads(self) -> int:
        return self.loaded.settings.targets["dev"].threads


@asynccontextmanager
async def watching(path: Path, poll: float = POLL) -> AsyncIterator[Watched]:
    watched = Watched(path, poll)
    task = asyncio.create_task(watched.follow(), name="watcher")
    # The first comparison follows the start of watching: once it has been made, events are seen.
    await asyncio.sleep(0.3)
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "config.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG % 1)
    return path


async def test_a_file_written_in_place(config: Path) -> None:
    async with watching(config) as watched:
        config.write_text(CONFIG % 2)
        await watched.until(lambda: watched.threads() == 2)


async def test_a_file_replaced_by_rename_as_editors_do(config: Path) -> None:
    async with watching(config) as watched:
        for threads in (2, 3):
            new = config.with_name(".config.yaml.swp")
            new.write_text(CONFIG % threads)
            new.replace(config)
            await watched.until(lambda wanted=threads: watched.threads() == wanted)  # type: ignore[misc]


async def test_a_configmap_swap(tmp_path: Path) -> None:
    """Kubernetes: the file is a link into `..data`, a link to a dated directory that is replaced whole."""
    volume = tmp_path / "volume"
    volume.mkdir()

    def publish(version: str, threads: int) -> None:
        content = volume / f"..{version}"
        content.mkdir()
        (content / "config.yaml").write_text(CONFIG % threads)
        (volume / "..data_tmp").symlink_to(content.name)
        (volume / "..data_tmp").rename(volume / "..data")

    publish("2026_01", 1)
    (volume / "config.yaml").symlink_to("..data/config.yaml")
    async with watching(volume / "config.yaml") as watched:
        publish("2026_02", 2)
        shutil.rmtree(volume / "..2026_01")
        await watched.until(lambda: watched.threads() == 2)
        publish("2026_03", 3)
        await watched.until(lambda: watched.threads() == 3)


async def test_a_link_whose_real_file_lies_elsewhere(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "c.yaml", tmp_path / "here" / "config.yaml"
    real.parent.mkdir()
    link.parent.mkdir()
    real.write_text(CONFIG % 1)
    link.symlink_to(real)
    async with watching(link) as watched:
        real.write_text(CONFIG % 2)
        await watched.until(lambda: watched.threads() == 2)


async def test_a_file_created_later_that_an_include_matches(config: Path) -> None:
    config.write_text('include: ["targets.d/*.yaml"]\n' + CONFIG % 1)
    (config.parent / "targets.d").mkdir()
    async with watching(config) as watched:
        more = config.parent / "targets.d" / "more.yaml"
        more.write_text("targets: {late: {plugin: duckdb}}\n")
        await watched.until(lambda: "late" in watched.loaded.settings.targets)
        more.unlink()
        await watched.until(lambda: "late" not in watched.loaded.settings.targets)


async def test_a_directory_of_includes_created_later_is_found_by_polling(config: Path) -> None:
    config.write_text('include: ["targets.d/*.yaml"]\n' + CONFIG % 1)
    async with watching(config, poll=0.2) as watched:
        (config.parent / "targets.d").mkdir()
        (config.parent / "targets.d" / "a.yaml").write_text("targets: {late: {plugin: duckdb}}\n")
        await watched.until(lambda: "late" in watched.loaded.settings.targets)


async def test_a_broken_include_that_only_the_refused_configuration_names_is_watched(config: Path) -> None:
    async with watching(config) as watched:
        other = config.parent / "other.yaml"
        other.write_text("targets: {b: {plugin: 7}}\n")
        config.write_text('include: ["other.yaml"]\n' + CONFIG % 1)
        await watched.until(lambda: bool(watched.problems))
        assert "other.yaml:1:" in watched.problems[0]
        other.write_text("targets: {b: {plugin: duckdb}}\n")
        await watched.until(lambda: "b" in watched.loaded.settings.targets)


async def test_a_deleted_file_is_told_once_and_its_return_too(config: Path) -> None:
    async with watching(config) as watched:
        config.unlink()
        await watched.until(lambda: bool(watched.problems))
        assert "does not exist" in watched.problems[0]
        await asyncio.sleep(QUIET)
        assert watched.seen == 1
        config.write_text(CONFIG % 2)
        await watched.until(lambda: watched.threads() == 2)


async def test_a_directory_that_vanishes_and_returns(config: Path) -> None:
    async with watching(config, poll=0.2) as watched:
        shutil.rmtree(config.parent)
        await watched.until(lambda: bool(watched.problems))
        config.parent.mkdir()
        config.write_text(CONFIG % 2)
        await watched.until(lambda: watched.threads() == 2)
        # Events work again: a change is noticed in the new directory too.
        config.write_text(CONFIG % 3)
        await watched.until(lambda: watched.threads() == 3)


async def test_what_does_not_change_the_content_is_not_told(config: Path) -> None:
    async with watching(config) as watched:
        config.write_text(CONFIG % 1)
        config.touch()
        (config.parent / "unrelated.db").write_text("x")
        await asyncio.sleep(QUIET)
        assert watched.seen == 0


async def test_a_burst_of_writes_is_one_change(config: Path) -> None:
    async with watching(config) as watched:
        for threads in range(2, 12):
            config.write_text(CONFIG % threads)
            await asyncio.sleep(0.02)
        await watched.until(lambda: watched.threads() == 11)
        assert watched.seen <= 3


async def test_a_change_made_between_loading_and_watching_is_told(config: Path) -> None:
    watched = Watched(config)
    config.write_text(CONFIG % 2)
    task = asyncio.create_task(watched.follow())
    await watched.until(lambda: watched.threads() == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_file_events_polling_does_it_and_says_so(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    # The limit itself belongs to the whole machine and cannot be lowered for one test.
    monkeypatch.setattr(watchfiles, "awatch", refuse)
    async with watching(config, poll=0.1) as watched:
        config.write_text(CONFIG % 2)
        await watched.until(lambda: watched.threads() == 2)
        assert watched.watcher.problem == "files cannot be watched (OSError): polling instead"
    assert caplog.text.count("polling instead") == 1


async def test_a_busy_directory_costs_no_reading(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(watched: Iterable[Path]) -> str:
        calls.append(1)
        return digest_of(watched)

    monkeypatch.setattr("floe_monitor.settings.watcher.digest_of", counted)
    async with watching(config):
        before = len(calls)
        for number in range(200):
            (config.parent / f"{number}.log").write_text("x")
            await asyncio.sleep(0.002)
        assert len(calls) - before <= 1


def targets(threads: int, *more: str, interval: str = "30s") -> dict[str, Target]:
    document = {
        "probe": {"interval": interval},
        "targets": {"dev": {"plugin": "duckdb", "threads": threads}}
        | {m: {"plugin": "duckdb"} for m in more},
    }
    return build_targets(Settings.model_validate(document), discover())


def test_the_differences_are_told_by_name() -> None:
    assert diff(targets(1, "a", "b"), targets(2, "b", "c")) == Changes(("c",), ("dev",), ("a",), ("b",))
    assert diff({}, targets(1)).added == ("dev",)
    assert diff(targets(1), targets(1)) == Changes(unchanged=("dev",))
    assert diff(targets(1), targets(1, interval="31s")).changed == ("dev",)


async def test_a_link_that_leads_to_itself_is_survived_and_its_mending_seen(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG % 1)
    watched = Watched(path)
    following = asyncio.create_task(watched.follow())
    try:
        path.unlink()
        path.symlink_to(path)
        await watched.until(lambda: bool(watched.problems))
        path.unlink()
        path.write_text(CONFIG % 2)
        await watched.until(
            lambda: not watched.problems and watched.loaded.settings.targets["dev"].threads == 2
        )
    finally:
        following.cancel()
        await asyncio.wait([following])
