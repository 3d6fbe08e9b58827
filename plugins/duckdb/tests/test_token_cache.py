"""How long a catalog's token is used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from floe_monitor_duckdb.iceberg import token_cache
from floe_monitor_duckdb.iceberg.token_cache import TokenCache

from floe_monitor.compute import Deadline

CATALOG: Any = SimpleNamespace(token_uri="http://127.0.0.1:9/tokens", oauth={"client_id": "dbt"})


@pytest.mark.parametrize(("life", "used_for"), [(0.1, 0.08), (30.1, 24.08), (3600.0, 3570.0)])
def test_a_token_is_replaced_before_it_expires(
    life: float, used_for: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(token_cache, "time", SimpleNamespace(monotonic=lambda: now))
    cache, deadline = TokenCache(), Deadline.after(1e6)

    def is_fresh() -> bool:
        return cache.get(CATALOG, deadline, lambda: ("token", life)).fresh

    assert is_fresh()
    now += used_for - 0.01
    assert not is_fresh()
    now += 0.02
    assert is_fresh()


def test_the_life_begins_before_the_token_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's clock for it runs while its answer is under way."""
    now = 1000.0
    monkeypatch.setattr(token_cache, "time", SimpleNamespace(monotonic=lambda: now))
    cache, deadline = TokenCache(), Deadline.after(1e6)

    def fetch() -> tuple[str, float]:
        nonlocal now
        now += 5
        return "token", 10.0

    assert cache.get(CATALOG, deadline, fetch).fresh
    now += 4
    assert cache.get(CATALOG, deadline, fetch).fresh
