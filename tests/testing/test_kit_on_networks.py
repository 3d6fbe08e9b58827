"""The kit finds a plugin that waits without a bound, under each fault of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from floe_monitor.testing.network_faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testing.conftest import Verdicts

pytestmark = [pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(450)]

SILENCE = {
    f"fault_of_the_network[{name}]"
    for name in ("drops packets", "accepts late", "accepts, never answers", "answers in drips")
}
FROZEN = {
    f"fault_of_the_network[{how} after {what}]"
    for how in ("freezes", "hangs each connection")
    for what in (
        "the first byte",
        *(f"{part} of its answers" for part in ("a quarter", "half", "three quarters", "nearly all")),
    )
}
NAMELESS = {"silent_name_service"}
EXPECTED: dict[str, set[str]] = {
    "Bounded": set(),
    "Reclaimed": set(),
    "Blocking": SILENCE | FROZEN | NAMELESS,
    "Restarting": {"fault_of_the_network[answers in drips]"} | NAMELESS,
    "Forgiving": {
        f"fault_of_the_network[{name}]"
        for name in ("refuses connections", "resets connections", "ends its side at once")
    },
    "Misnaming": SILENCE | FROZEN | NAMELESS,
}


@pytest.fixture(scope="module")
def verdicts(verdicts_on: Callable[[str, list[str]], Verdicts], starts_processes: None) -> Verdicts:
    return verdicts_on(
        "kit_on_networks.py", [f"{name.lower()} = networked_plugins:{name}" for name in EXPECTED]
    )


@pytest.mark.parametrize("plugin", EXPECTED)
def test_each_fault_is_found_where_it_should_be(verdicts: Verdicts, plugin: str) -> None:
    failed = {name: message for name, message in verdicts[plugin].items() if message}
    if plugin == "Misnaming":
        # A busy machine may end a probe before the plugin has said anything: the kit has nothing to judge.
        assert set(failed) <= EXPECTED[plugin], failed
        assert len(failed) > len(EXPECTED[plugin]) / 2, failed
    else:
        assert set(failed) == EXPECTED[plugin], failed


@pytest.mark.parametrize(
    ("plugin", "test", "message"),
    [
        ("Blocking", "fault_of_the_network[accepts, never answers]", "the worker is stuck in query"),
        ("Forgiving", "fault_of_the_network[refuses connections]", "reported HEALTHY"),
        ("Blocking", "silent_name_service", "blocking_calls"),
    ],
)
def test_the_message_names_the_fault(verdicts: Verdicts, plugin: str, test: str, message: str) -> None:
    assert message in verdicts[plugin][test]


def test_the_message_says_what_silence_is_called(verdicts: Verdicts) -> None:
    failed = [message for message in verdicts["Misnaming"].values() if message]
    assert any("connection: silence is a timeout" in message for message in failed), failed


def test_every_plugin_and_every_fault_is_covered(verdicts: Verdicts) -> None:
    assert set(verdicts) == set(EXPECTED)
    tried = {f"fault_of_the_network[{fault}]" for fault in FAULTS}
    assert set(verdicts["Bounded"]) == tried | NAMELESS
    assert tried | NAMELESS == {name for names in EXPECTED.values() for name in names}
