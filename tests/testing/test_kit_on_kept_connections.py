"""The kit finds a plugin that shares a kept connection, one that keeps them all, and one that keeps none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testing.conftest import Verdicts

pytestmark = [pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(450)]

EXPECTED: dict[str, dict[str, str]] = {
    "Pooling": {},
    "Hoarding": {"parallel_probes_share_nothing": "connections stay open, where one probe leaves 1"},
    "Sharing": {"parallel_probes_share_nothing": "two of them may have used the same connection"},
    "Closing": {"connection_is_kept": "each further probe of a target with connection_reuse makes"},
}


@pytest.fixture(scope="module")
def verdicts(verdicts_on: Callable[[str, list[str]], Verdicts], starts_processes: None) -> Verdicts:
    entries = [f"{name.lower()} = kept_plugins:{name}" for name in EXPECTED]
    return verdicts_on("kit_on_kept_connections.py", entries)


@pytest.mark.parametrize("plugin", EXPECTED)
def test_each_fault_is_found_where_it_should_be(verdicts: Verdicts, plugin: str) -> None:
    assert set(verdicts[plugin]) == {"connection_is_kept", "parallel_probes_share_nothing"}
    failed = {name: message for name, message in verdicts[plugin].items() if message}
    assert set(failed) == set(EXPECTED[plugin]), failed
    for name, message in EXPECTED[plugin].items():
        assert message in failed[name]
