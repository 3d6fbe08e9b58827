"""Whatever a plugin does, one attempt gives exactly one honest `ProbeResult`, in time."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ConnectionStatus, EngineState, ErrorType
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target

    MakeTarget = Callable[..., Target]
    Probe = Callable[[Target], Any]

CANARY = "c4nary-Sup3r/s3cret+value="


@pytest.fixture
async def pool() -> WorkerPool:
    return WorkerPool(4, 4)


@pytest.fixture
async def runner(pool: WorkerPool) -> AsyncIterator[Runner]:
    runner = Runner(pool)
    yield runner
    runner.close()
    pool.close()


@pytest.fixture
def probe(pool: WorkerPool, runner: Runner) -> Probe:
    async def run(target: Target) -> ProbeResult:
        return await runner.run(Attempt(target), await pool.acquire("lab"), "schedule")

    return run


HONEST = [
    ("healthy", ConnectionStatus.HEALTHY, None, "fine"),
    ("degraded", ConnectionStatus.DEGRADED, ErrorType.EXTENSION, "an extension is missing"),
    ("unhealthy", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION, "refused"),
    ("raise", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "ValueError: it broke"),
    ("raise_compute_error", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION, "refused by the door"),
    (
        "lack_a_driver",
        ConnectionStatus.UNHEALTHY,
        ErrorType.PLUGIN,
        "module no_such_driver is not installed: install floe-monitor-lab with its dependencies",
    ),
    ("raise_base", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "KeyboardInterrupt"),
    ("exit", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "SystemExit: 3"),
    ("generator_exit", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "GeneratorExit"),
    ("unreadable", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "UnreadableError"),
    ("exiting_text", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "ExitingError"),
    ("unreadable_check", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "SystemExit: 3"),
    ("nothing", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "nothing"),
    ("a_string", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "str"),
    ("a_dictionary", ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN, "dict"),
    ("negative_latency", ConnectionStatus.HEALTHY, None, ""),
    ("infinite_latency", ConnectionStatus.HEALTHY, None, ""),
    ("binary", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION, "bin"),
    ("surrogates", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION, "lone"),
    ("megabyte", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION, "xxx"),
]


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_every_behaviour_becomes_one_result(
    probe: Probe, make_target: MakeTarget, isolation: str
) -> None:
    for behaviour, status, error_type, text in HONEST:
        result = await probe(make_target(behaviour, isolation=isolation))
        assert (behaviour, result.status, result.error_type) == (behaviour, status, error_type)
        assert text in result.message
        assert len(result.message) <= 2_000
        result.message.encode()  # no lone surrogate is left
        assert result.duration >= 0
        assert result.worker == "returned"


async def test_a_hang_is_a_timeout_on_time_and_stays_stuck(
    probe: Probe, pool: WorkerPool, make_target: MakeTarget, lab: Any, within: Any
) -> None:
    started = time.monotonic()
    with within(0.2):
        result = await probe(make_target("hang", timeout=0.2))
    assert time.monotonic() - started >= 0.2
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT)
    assert (result.message, result.worker) == ("no answer within 0.2 s", "stuck")
    assert (pool.counts["lab"].busy, pool.counts["lab"].stuck) == (1, 1)
    lab.FOREVER.set()
    for _ in range(1000):
        if not pool.counts["lab"].busy:
            break
        await asyncio.sleep(0.02)
    assert (pool.counts["lab"].busy, pool.counts["lab"].stuck) == (0, 0)


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_timeout_names_the_check_it_hangs_in(
    probe: Probe, make_target: MakeTarget, isolation: str, unhurried: Callable[[float], float]
) -> None:
    result = await probe(make_target("hang_in_a_check", timeout=unhurried(0.3), isolation=isolation))
    assert "check 'query' did not return" in result.message
    assert [(check.name, check.status.value, check.error_type) for check in result.checks] == [
        ("connect", "healthy", None),
        ("query", "unhealthy", ErrorType.TIMEOUT),
    ]


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_timeout_has_the_status_that_its_check_names(
    probe: Probe, make_target: MakeTarget, isolation: str, unhurried: Callable[[float], float]
) -> None:
    result = await probe(make_target("hang_in_an_extension", timeout=unhurried(0.3), isolation=isolation))
    assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, ErrorType.TIMEOUT)
    assert "check 'extension:x' did not return" in result.message
    assert [(check.name, check.status.value) for check in result.checks] == [
        ("query", "healthy"),
        ("extension:x", "degraded"),
    ]


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("hang", [False, True])
async def test_what_a_validation_learns_is_in_its_result(
    probe: Probe, make_target: MakeTarget, unhurried: Callable[[float], float], isolation: str, hang: bool
) -> None:
    ends = time.time() + 86_400
    behaviour = {"behave": "learn", "ends": ends, "hang": hang}
    timeout = unhurried(1) if hang else 60
    result = await probe(make_target(behaviour, timeout=timeout, isolation=isolation))
    assert result.status is (ConnectionStatus.UNHEALTHY if hang else ConnectionStatus.HEALTHY)
    assert result.server_address == "db.example.com"
    assert [(each.what.value, each.at, each.of) for each in result.expiries] == [
        ("password", ends, "the password of role 'dbt'")
    ]
    assert result.warnings[0].startswith("the password of role 'dbt' expires in 23 hours: ")
    assert [each.state for each in result.engine_states] == [EngineState.STARTING]


async def test_web_tokens_of_the_configuration_are_warned_of_in_any_plugin(
    probe: Probe, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def token(ends: float) -> str:
        parts = ({"alg": "none"}, {"exp": ends})
        return (
            ".".join(
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
            )
            + ".x"
        )

    ends = int(time.time()) + 600
    monkeypatch.setenv("TOKEN", token(ends))
    given = {"credentials": {"token": {"env": "TOKEN"}}}
    target = make_target({"behave": "healthy", "session": [token(ends + 60)]}, extra=given)
    result = await probe(target)
    assert [(each.what.value, each.at, each.of) for each in result.expiries] == [
        ("token", ends, "the token in credentials.token")
    ]
    [warning] = result.warnings
    assert re.match(r"the token in credentials\.token expires in (9|10) minutes: 2", warning)
    assert (
        await probe(make_target({"behave": "healthy"}, extra=given, token_expiry_warning="1m"))
    ).warnings == ()
    assert (await probe(make_target({"behave": "healthy"}, extra=given, expiry_warning=0))).warnings == ()


async def test_the_deadline_is_visible_to_the_plugin(probe: Probe, make_target: MakeTarget) -> None:
    result = await probe(make_target("obey_the_deadline", timeout=0.4))
    assert result.worker == "returned"
    assert 0.3 < float(result.message.split()[3]) <= 0.4


@pytest.mark.process
async def test_a_child_is_killed_with_what_it_started_and_its_slot_is_free(
    probe: Probe, pool: WorkerPool, make_target: MakeTarget, within: Any
) -> None:
    await probe(
        make_target("healthy", isolation="process")
    )  # the child is up: only the deadline counts below
    with within(0.3):
        result = await probe(make_target("spawn_and_hang", timeout=0.3, isolation="process"))
    assert result.error_type is ErrorType.TIMEOUT
    assert result.worker in {"reclaimed", "stuck"}, "stuck until the kernel has ended it"
    for _ in range(1000):
        if pool.counts["lab"].busy == 0:
            break
        await asyncio.sleep(0.02)
    assert pool.counts["lab"].busy == 0
    for _ in range(1000):
        if not _sessions_of_children():
            break
        await asyncio.sleep(0.02)
    assert _sessions_of_children() == []


def _sessions_of_children() -> list[int]:
    """Processes still running that this test's children started (Linux: their sessions are not ours)."""
    left = []
    for entry in Path("/proc").iterdir() if Path("/proc").exists() else ():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        ours = b"floe_monitor.probing.worker_process" in command and state != "Z"
        if ours and _started_by_us(int(entry.name)):
            left.append(int(entry.name))
    return left


def _started_by_us(pid: int) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"PYTEST_CURRENT_TEST={os.environ['PYTEST_CURRENT_TEST'].split('::')[0]}".encode() in environment


@pytest.mark.process
@pytest.mark.parametrize(
    ("behaviour", "text"), [("segfault", "SIGSEGV"), ("os_exit", "status 7")], ids=["segfault", "exit"]
)
async def test_a_child_that_dies_says_how(
    probe: Probe, make_target: MakeTarget, behaviour: str, text: str
) -> None:
    result = await probe(make_target(behaviour, isolation="process"))
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN)
    assert text in result.message
    assert (await probe(make_target("healthy", isolation="process"))).status is ConnectionStatus.HEALTHY


@pytest.mark.process
async def test_a_child_is_used_again(probe: Probe, make_target: MakeTarget) -> None:
    target = make_target("tell_pid", isolation="process")
    pids = {(await probe(target)).message for _ in range(5)}
    assert len(pids) == 1
    assert pids != {str(os.getpid())}


@pytest.mark.process
async def test_children_end_with_the_runner(probe: Probe, runner: Runner, make_target: MakeTarget) -> None:
    pid = int((await probe(make_target("tell_pid", isolation="process"))).message)
    runner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_closing_standard_output_hurts_nobody(
    probe: Probe, make_target: MakeTarget, capfd: pytest.CaptureFixture[str]
) -> None:
    keep = os.dup(1)
    try:
        result = await probe(make_target("close_stdout"))
        assert result.status is ConnectionStatus.HEALTHY
        os.fstat(1)  # open again: no later socket can get its number
    finally:
        os.dup2(keep, 1)
        os.close(keep)


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("behaviour", ["raise_secret", "return_secret"])
async def test_no_credential_gets_out(
    probe: Probe,
    make_target: MakeTarget,
    monkeypatch: pytest.MonkeyPatch,
    isolation: str,
    behaviour: str,
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", CANARY)
    target = make_target(
        behaviour, extra={"credentials": {"password": {"env": "LAB_PASSWORD"}}}, isolation=isolation
    )
    result = await probe(target)
    assert result.status is ConnectionStatus.UNHEALTHY
    assert CANARY not in repr(result)
    assert "***" in result.message


async def test_a_rotated_credential_is_used_at_the_next_probe(
    probe: Probe, make_target: MakeTarget, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("four\n")
    target = make_target("tell_credentials", extra={"credentials": {"password": {"file": str(secret)}}})
    assert "'password': 4" in (await probe(target)).message
    secret.write_text("sevenxx\n")
    assert "'password': 7" in (await probe(target)).message


async def test_a_missing_credential_is_named_not_guessed(probe: Probe, make_target: MakeTarget) -> None:
    target = make_target("healthy", extra={"credentials": {"password": {"env": "NOT_SET_ANYWHERE"}}})
    result = await probe(target)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.CONFIGURATION)
    assert "NOT_SET_ANYWHERE" in result.message


async def test_a_missing_plugin_is_a_result_too(runner: Runner) -> None:
    from floe_monitor.domain.targets import build_targets
    from floe_monitor.registry.discovery import discover
    from floe_monitor.settings.models import Settings

    settings = Settings.model_validate({"targets": {"dev": {"plugin": "snowflaek"}}})
    target = build_targets(settings, discover())["dev"]
    result = runner.without_worker(Attempt(target), "schedule")
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN)
    assert "snowflaek" in result.message
