"""A pause of the process excuses a failure, and so does the gate, once; neither goes unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.repeats import TOLERATED

pytestmark = pytest.mark.gate

pytest_plugins = ("pytester",)

CONFTEST = 'pytest_plugins = ["tests.harness.repeats"]\n'
HOLDS_EVERY_TURN = "import ctypes; ctypes.PyDLL(None).usleep(1_900_000)"
"""Without giving the interpreter's lock up."""
BODY = """
tries = []

def test_it():
    tries.append(1)
    {pause}
    assert len(tries) > {failures}, "too early"
"""


def _run(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(body)
    return pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:asyncio")


@pytest.mark.parametrize(
    ("pause", "failures", "gate", "outcome"),
    [
        pytest.param(HOLDS_EVERY_TURN, 1, "", {"passed": 1}, marks=pytest.mark.slow),
        pytest.param(HOLDS_EVERY_TURN, 9, "", {"failed": 1}, marks=pytest.mark.slow),
        ("pass", 1, "", {"failed": 1}),
        ("pass", 1, "1", {"passed": 1}),
        ("pass", 2, "1", {"failed": 1}),
    ],
    ids=["paused once", "paused always", "not paused", "once in the gate", "twice in the gate"],
)
def test_what_is_repeated(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    pause: str,
    failures: int,
    gate: str,
    outcome: dict[str, int],
) -> None:
    monkeypatch.setenv("FLOE_MONITOR_CI", gate)
    result = _run(pytester, BODY.format(pause=pause, failures=failures))
    result.assert_outcomes(**outcome)
    told = "= repeated =" in result.stdout.str()
    assert told is (pause != "pass" or gate == "1")
    if told:
        result.stdout.fnmatch_lines(["*too early*"])


def test_what_tests_share_is_begun_anew(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_MONITOR_CI", "1")
    body = """
        import pytest

        begun = []

        @pytest.fixture(scope="module")
        def server():
            begun.append(1)
            if len(begun) == 1:
                raise OSError("did not come up")
            yield len(begun)
            begun.append("ended")

        def test_one(server):
            assert server == 2

        def test_two(server):
            assert server == 2
            assert begun == [1, 1]
        """
    _run(pytester, body).assert_outcomes(passed=2)


@pytest.mark.parametrize("count", [TOLERATED, TOLERATED + 1])
def test_many_are_a_failure_of_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("FLOE_MONITOR_CI", "1")
    body = f"""
        import pytest

        tries = set()

        @pytest.mark.parametrize("number", range({count}))
        def test_it(number):
            known = number in tries
            tries.add(number)
            assert known
        """
    result = _run(pytester, body)
    result.assert_outcomes(passed=count)
    assert result.ret == (pytest.ExitCode.OK if count <= TOLERATED else pytest.ExitCode.TESTS_FAILED)


@pytest.mark.process
def test_with_workers_the_run_tells_all_the_same(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOE_MONITOR_CI", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BODY.format(pause="pass", failures=1))
    result = pytester.runpytest_subprocess("-n", "1", "-p", "no:asyncio")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*= repeated =*", "*test_it: failed in the gate", "*too early*"])
