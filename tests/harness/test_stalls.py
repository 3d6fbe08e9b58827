"""A pause of the process excuses one failure, and no more than pauses do."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)

CONFTEST = 'pytest_plugins = ["tests.harness.stalls"]\n'
HOLDS_EVERY_TURN = "import ctypes; ctypes.PyDLL(None).usleep(1_900_000)"
"""Without giving the interpreter's lock up."""
BODY = """
tries = []

def test_it():
    tries.append(1)
    {pause}
    assert len(tries) > {failures}
"""


@pytest.mark.parametrize(
    ("pause", "failures", "outcome"),
    [
        (HOLDS_EVERY_TURN, 1, {"passed": 1}),
        (HOLDS_EVERY_TURN, 9, {"failed": 1}),
        ("pass", 1, {"failed": 1}),
    ],
    ids=["paused once", "paused always", "not paused"],
)
def test_what_failed_while_the_process_stood_still(
    pytester: pytest.Pytester, pause: str, failures: int, outcome: dict[str, int]
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BODY.format(pause=pause, failures=failures))
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:asyncio")
    result.assert_outcomes(**outcome)
    told = "repeated, for the process stood still" in result.stdout.str()
    assert told is (pause != "pass")
