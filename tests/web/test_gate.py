"""The gate: open where every target asked about can be used, and never by mistake."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.shards import Shard, assigned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus.HEALTHY, ConnectionStatus.DEGRADED, ConnectionStatus.UNHEALTHY


@pytest.fixture
def add(surface: Any, target_of: Any, result_of: Any) -> Callable[..., None]:
    """A target whose last probe, if any, found this status."""

    def run(name: str, status: ConnectionStatus | None = HEALTHY, ago: float = 0, **settings: Any) -> None:
        results = [] if status is None else [result_of(name, status, started_at=time.time() - ago)]
        surface.add(target_of(name, **settings), *results)

    surface.state.targets.clear()
    return run


@pytest.fixture
async def client(surface: Any, serving: Any, add: Any) -> AsyncIterator[httpx.AsyncClient]:
    add("well", labels={"team": "core"})
    add("limited", DEGRADED, labels={"team": "core"})
    add("down", UNHEALTHY, labels={"team": "web"})
    async with serving(surface.app()) as connected:
        yield connected


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ("targets=well", []),
        ("targets=well,limited", []),
        ("targets=well&targets=limited", []),
        ("targets=limited&strict=true", ["limited: degraded: connection refused"]),
        ("targets=limited&strict=false", []),
        ("targets=down", ["down: unhealthy: connection refused"]),
        ("targets=well,down", ["down: unhealthy: connection refused"]),
        ("label=team=core", []),
        ("label=team", ["down: unhealthy: connection refused"]),
        ("targets=well,down&label=team=core", []),
        ("targets=well&max_age=1d", []),
    ],
)
async def test_open_and_closed(client: httpx.AsyncClient, query: str, reasons: list[str]) -> None:
    answer = await client.get(f"/api/v1/gate?{query}")
    body = answer.json()
    assert answer.status_code == (503 if reasons else 200)
    assert body["open"] is (not reasons)
    assert body["reasons"] == reasons
    assert answer.headers["cache-control"] == "no-store"
    assert sum(row["obstacle"] is not None for row in body["targets"]) == len(reasons)


async def test_every_target_without_a_name(client: httpx.AsyncClient, surface: Any) -> None:
    body = (await client.get("/api/v1/gate")).json()
    assert {row["name"] for row in body["targets"]} == set(surface.state.targets)
    assert not body["open"]


async def test_an_old_result_closes_it(client: httpx.AsyncClient, add: Any) -> None:
    add("old", ago=600)
    answer = await client.get("/api/v1/gate?targets=old&max_age=5m")
    assert answer.status_code == 503
    assert answer.json()["reasons"][0].startswith("old: healthy, but last probed ")
    assert (await client.get("/api/v1/gate?targets=old&max_age=1h")).status_code == 200
    assert (await client.get("/api/v1/gate?targets=old")).status_code == 200


async def test_what_was_never_probed_closes_it(client: httpx.AsyncClient, add: Any) -> None:
    add("new", None)
    answer = await client.get("/api/v1/gate?targets=new")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["new: not probed yet"])


async def test_a_shard_says_which_one_to_ask(client: httpx.AsyncClient, surface: Any) -> None:
    surface.state.shard = Shard(0, 2, 1)
    other = next(name for name in map(str, range(50)) if assigned(name, 2, 1) == (1,))
    answer = await client.get(f"/api/v1/gate?targets={other}")
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith("one of that name would be on 1")


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("targets=wel", 404, "no target 'wel'; did you mean 'well'?"),
        ("targets=", 400, "targets names none"),
        ("targets=,", 400, "targets names none"),
        ("label=team=none", 404, "a gate of nothing is not open"),
        ("target=well", 400, "did you mean 'targets'?"),
        ("max_age=soon", 400, "is not a duration"),
        ("strict=perhaps", 400, "true or false"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, query: str, status: int, detail: str) -> None:
    answer = await client.get(f"/api/v1/gate?{query}")
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
