"""Profiles kept in step while things change around them."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import yaml

from floe_monitor.domain.events import ProfileReconciled
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.profiles import ProfileSynchronizer
from floe_monitor.profiles.locks import owner_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


def new_state() -> MonitorState:
    return MonitorState(0.0, ConfigStatus(0.0, 0.0))


@asynccontextmanager
async def running(
    made: Any, profiles: list[Any], *targets: Any, **more: Any
) -> AsyncIterator[ProfileSynchronizer]:
    synchronizer = ProfileSynchronizer(
        profiles,
        made.targets(*targets),
        publish=made.publish,
        state=more.pop("state", new_state()),
        environ={},
        **more,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(synchronizer.run)
        yield synchronizer
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - files and threads set no event
            await anyio.sleep(0.01)


async def undone(change: Callable[[], Any], is_undone: Callable[[], Any]) -> None:
    """The change, again and again until it is seen: nothing tells when the thread that watches has begun."""
    with anyio.fail_after(60):
        while True:
            change()
            with anyio.move_on_after(2):
                await until(is_undone)
                return


def results(made: Any) -> list[str]:
    return [event.result for event in made.events if isinstance(event, ProfileReconciled)]


def outputs(made: Any, name: str = "ours") -> Any:
    return yaml.safe_load(made.path.read_text())[name]["outputs"]


async def test_written_at_the_start_and_silent_while_in_step(made: Any) -> None:
    state = new_state()
    async with running(made, [made.profile(reconcile_interval=0.05)], made.target(), state=state):
        await until(lambda: "unchanged" in results(made))
        await anyio.sleep(0.5)
    assert results(made) == ["written", "unchanged"]
    assert outputs(made) == {"dev": {"type": "plain", "threads": 4}}
    assert state.profiles["ours"].result == "unchanged"
    names = sorted(entry.name for entry in made.path.parent.iterdir())
    assert names == [".profiles.yml.floe-monitor.record.json", "profiles.yml"]


async def test_a_new_configuration_is_applied_at_once(made: Any) -> None:
    state = new_state()
    profile = made.profile(reconcile_interval=600)
    async with running(made, [profile], made.target("dev"), state=state) as synchronizer:
        await until(lambda: results(made) == ["written"])
        second = made.profile("second", reconcile_interval=600)
        synchronizer.apply([profile, second], made.targets(made.target("dev", threads=7)))
        await until(lambda: results(made).count("written") == 3)
        assert outputs(made)["dev"]["threads"] == outputs(made, "second")["dev"]["threads"] == 7
        synchronizer.apply([second], made.targets(made.target("dev", threads=7)))
        await until(lambda: list(state.profiles) == ["second"])
        assert "ours" in yaml.safe_load(made.path.read_text()), (
            "what is no longer configured is not ours to remove"
        )
        await until(lambda: owner_lock(made.path, "ours").holder() is None)


async def test_drift_is_undone_soon_without_waiting_for_the_interval(made: Any) -> None:
    async with running(made, [made.profile(reconcile_interval=600)], made.target()):
        await until(lambda: results(made) == ["written"])
        await undone(
            lambda: made.path.write_text("shop: {a: 1} # mine\nours: {target: x, outputs: {}}\n"),
            lambda: "dev" in (outputs(made) or {}),
        )
        assert made.path.read_text().startswith("shop: {a: 1} # mine\n")
        made.path.unlink()
        await until(made.path.exists)
        assert list(outputs(made)) == ["dev"]


async def test_drift_behind_a_link_and_of_the_link_itself(made: Any, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    made.path.symlink_to("real/profiles.yml")
    async with running(made, [made.profile(reconcile_interval=600)], made.target()):
        await until(lambda: results(made) == ["written"])
        real, new, link = tmp_path / "real" / "profiles.yml", tmp_path / "new.yml", tmp_path / "link"
        await undone(lambda: real.write_text(""), lambda: "ours" in real.read_text())
        new.write_text("shop: 1\n")

        def lead_elsewhere() -> None:
            link.symlink_to("new.yml")
            link.rename(made.path)

        await undone(lead_elsewhere, lambda: "ours" in new.read_text())
    assert made.path.is_symlink()
    assert yaml.safe_load((tmp_path / "new.yml").read_text())["shop"] == 1


async def test_a_broken_file_is_left_alone_reported_once_and_taken_up_when_mended(made: Any) -> None:
    broken = "shop: [\nours: {password: canary-1f2e}\n"
    made.path.write_text(broken)
    async with running(made, [made.profile(reconcile_interval=0.05)], made.target()):
        await until(lambda: results(made))
        await anyio.sleep(0.4)
        assert results(made) == ["refused"]
        assert "line 3" in made.events[-1].message
        assert made.path.read_text() == broken
        made.path.write_text("shop: []\n")
        await until(lambda: "written" in results(made))
    assert "canary" not in repr(made.events)


async def test_a_literal_secret_is_kept_said_once_and_no_end_of_the_keeping(made: Any) -> None:
    literal = "ours: {target: dev, outputs: {dev: {type: plain, threads: 4, password: canary-1f2e}}}\n"
    made.path.write_text(literal)
    target = made.target(credentials={"password": {"env": "PW"}})
    async with running(made, [made.profile(reconcile_interval=0.05)], target):
        await until(lambda: results(made))
        await anyio.sleep(0.4)
        assert results(made) == ["refused"]
        assert "password: PW" in made.events[-1].message
        assert made.path.read_text() == literal
        made.path.write_text(literal.replace(", password: canary-1f2e", ""))
        await until(lambda: "written" in results(made))
    assert "canary" not in repr(made.events)


async def test_a_failing_plugin_costs_its_own_output_alone(made: Any) -> None:
    made.path.write_text("ours: {target: a, outputs: {b: {type: kept}, c: {type: gone}}}\n")
    before = made.path.read_text()
    targets = [made.target("a"), made.target("b", problem="no plugin 'b' is installed")]
    state = new_state()
    async with running(made, [made.profile(reconcile_interval=0.05, prune=True)], *targets, state=state):
        await until(lambda: len(results(made)) >= 2)
        await anyio.sleep(0.3)
    assert results(made) == ["failed", "failed"]
    assert made.path.read_text().count("kept") == 1
    assert outputs(made) == {"a": {"type": "plain", "threads": 4}, "b": {"type": "kept"}}
    assert state.profiles["ours"].message == "output 'b' kept as the file has it: no plugin 'b' is installed"
    assert made.path.with_name("profiles.yml.before-floe-monitor").read_text() == before


async def test_a_hang_is_reported_holds_up_nothing_else_and_can_be_stopped(
    made: Any, tmp_path: Path, within: Any
) -> None:
    release = threading.Event()

    def hang(config: Any) -> Any:
        release.wait(30)
        return {"type": "late"}

    other = made.profile("other", path=str(tmp_path / "other.yml"), targets=["fast"])
    state, stopping = new_state(), ExitStack()
    profiles = [made.profile(reconcile_interval=0.05, targets=["slow"]), other]
    try:
        async with running(
            made, profiles, made.target("slow", hang), made.target("fast"), state=state, answer_timeout=0.3
        ):
            assert state.awaited_profiles == {"ours", "other"}
            await until((tmp_path / "other.yml").exists)
            await until(lambda: state.awaited_profiles == {"ours"})
            await until(lambda: "ours" in state.profiles)
            assert not state.awaited_profiles, "a reason told is an answer too"
            assert state.profiles["ours"].result == "failed"
            assert "no answer for 0.3 s" in state.profiles["ours"].message
            stopping.enter_context(within(0, margin=2))
        stopping.close()
    finally:
        release.set()
    await until(lambda: not any(t.name == "profile-ours" for t in threading.enumerate()))
    assert not made.path.exists(), "what returns after the stop writes nothing"


async def test_a_hang_that_ends_is_news(made: Any) -> None:
    release = threading.Event()

    def hang(config: Any) -> Any:
        release.wait(30)
        return {"type": "late"}

    async with running(made, [made.profile()], made.target("slow", hang), answer_timeout=0.1):
        await until(lambda: results(made) == ["failed"])
        release.set()
        await until(lambda: results(made) == ["failed", "written"])


async def test_stopping_lets_go_and_threads_end(made: Any) -> None:
    for _ in range(3):
        async with running(made, [made.profile()], made.target()):
            await until(made.path.exists)
        assert owner_lock(made.path, "ours").holder() is None
    await until(lambda: not any("-ours" in thread.name for thread in threading.enumerate()))


async def test_a_directory_that_cannot_be_made_is_said_and_retried(made: Any, tmp_path: Path) -> None:
    made.path = tmp_path / "blocked" / "profiles.yml"
    made.path.parent.touch()
    async with running(made, [made.profile(reconcile_interval=0.05)], made.target()):
        await until(lambda: results(made) == ["failed"])
        assert "not a directory" in made.events[-1].message
        made.path.parent.unlink()
        await until(lambda: "written" in results(made))
    assert made.path.parent.stat().st_mode & 0o777 == 0o700


async def test_two_synchronizers_in_one_process_agree_too(made: Any) -> None:
    profile = made.profile(reconcile_interval=0.05)
    async with running(made, [profile], made.target()):
        await until(lambda: results(made)[-1:] == ["unchanged"])
        async with running(made, [profile], made.target("other")):
            await until(lambda: "foreign_owner" in results(made))
            assert str(os.getpid()) in made.events[-1].message
    assert list(outputs(made)) == ["dev"]


async def test_the_first_write_keeps_a_copy_and_says_so_and_what_stays(made: Any) -> None:
    before = "ours: {target: lake, outputs: {lake: {type: x}}}\n"
    made.path.write_text(before)
    async with running(made, [made.profile(reconcile_interval=0.05)], made.target()):
        await until(lambda: results(made)[-1:] == ["unchanged"])
    written, unchanged = (event.message for event in made.events if isinstance(event, ProfileReconciled))
    copy = made.path.with_name("profiles.yml.before-floe-monitor")
    assert written.startswith(f"kept a copy of the file as it was: {copy}; left in the file")
    assert unchanged == "left in the file, not configured and not the monitor's: 'lake'"
    assert copy.read_text() == before
    assert yaml.safe_load(made.path.read_text())["ours"]["target"] == "lake"


async def test_an_output_that_is_configured_no_more_goes_with_the_reload_unless_somebody_edited_it(
    made: Any,
) -> None:
    profile = made.profile(reconcile_interval=600)
    async with running(made, [profile], *map(made.target, ["a", "b", "c"])) as synchronizer:
        await until(lambda: results(made) == ["written"])
        made.path.write_text(made.path.read_text().replace("    c:\n", "    c:\n      # mine\n"))
        synchronizer.apply([profile], made.targets(made.target("a")))
        await until(lambda: list(outputs(made)) == ["a", "c"])
    assert "# mine" in made.path.read_text()
    assert not made.path.with_name("profiles.yml.before-floe-monitor").exists(), "the monitor made the file"
