from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain import incident_serialization
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incidents import Member, Reason
from floe_monitor.domain.resources import Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

NOW = 1_795_000_000.0
DB = Resource("host", "db:5432")
PAGE = Path(__file__).parents[2] / "docs" / "http-api.md"


def fail(surface: Any, target: str, at: float, *shared: Resource) -> str:
    status, error = HealthStatus.UNHEALTHY, ErrorType.CONNECTION
    member = Member(target, "postgres", at, at, status, status, error, error, shared)
    [incident, *_] = surface.state.incidents.worsened(
        member, Reason(at, target, status, error, "connection refused")
    )
    identity: str = incident.id
    return identity


@pytest.fixture
async def client(surface: Any, serving: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(surface.app()) as connected:
        yield connected


async def test_no_incident(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/incidents")).json() == {"total": 0, "open": 0, "incidents": []}


async def test_open_ones_come_first_and_each_in_full(surface: Any, client: httpx.AsyncClient) -> None:
    over = fail(surface, "over", NOW)
    surface.state.incidents.left("over", NOW + 60)
    both = fail(surface, "a", NOW + 100, DB)
    assert fail(surface, "b", NOW + 101, DB) == both
    alone = fail(surface, "alone", NOW + 102)
    answer = (await client.get("/api/v1/incidents")).json()
    assert [row["id"] for row in answer["incidents"]] == [alone, both, over]
    assert (answer["total"], answer["open"]) == (3, 2)
    ended = answer["incidents"][2]
    assert (ended["state"], ended["end"], ended["duration_seconds"]) == ("ended", "recovered", 60.0)
    row = answer["incidents"][1]
    assert row["cause"] == {"kind": "host", "name": "db:5432"}
    assert (row["targets"], row["targets_total"]) == (["a", "b"], 2)
    assert (row["state"], row["duration_seconds"], row["error_type"]) == ("open", None, "connection")
    full = (await client.get(f"/api/v1/incidents/{both}")).json()
    assert {key: full[key] for key in row} == row
    assert [member["target"] for member in full["members"]] == ["a", "b"]
    assert full["members"][0]["shares"] == [{"kind": "host", "name": "db:5432"}]
    assert [reason["message"] for reason in full["reasons"]] == ["connection refused"] * 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=open", ["b", "a"]),
        ("state=ended", ["over"]),
        ("state=open,ended", ["b", "a", "over"]),
        ("target=a,over", ["a", "over"]),
        ("limit=1&offset=1", ["a"]),
        ("limit=0", []),
        ("target=nobody", []),
    ],
)
async def test_a_part_of_them(surface: Any, client: httpx.AsyncClient, query: str, found: list[str]) -> None:
    fail(surface, "over", NOW)
    surface.state.incidents.left("over", NOW + 60)
    fail(surface, "a", NOW + 100)
    fail(surface, "b", NOW + 101)
    answer = (await client.get(f"/api/v1/incidents?{query}")).json()
    assert [row["targets"][0] for row in answer["incidents"]] == found


@pytest.mark.parametrize(
    ("query", "near"), [("stat=open", "state"), ("state=opne", "open"), ("limit=x", None)]
)
async def test_what_is_not_understood_is_refused(
    client: httpx.AsyncClient, query: str, near: str | None
) -> None:
    answer = await client.get(f"/api/v1/incidents?{query}")
    assert answer.status_code == 400
    assert answer.json().get("nearest") == near


async def test_an_incident_that_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/incidents/5f2c")
    assert answer.status_code == 404
    assert "5f2c" in answer.json()["detail"]


async def test_unchanged_answers_are_304(surface: Any, client: httpx.AsyncClient) -> None:
    identity = fail(surface, "a", NOW)
    for path in ("/api/v1/incidents", f"/api/v1/incidents/{identity}"):
        first = await client.get(path)
        headers = {"if-none-match": first.headers["etag"]}
        assert (await client.get(path, headers=headers)).status_code == 304


def test_the_page_describes_every_field(surface: Any) -> None:
    identity = fail(surface, "a", NOW, DB)
    full = incident_serialization.incident_detail(surface.state.incidents.find(identity))
    (section,) = re.findall(r"## Incidents\n(.*?)\n## ", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    documented = set(re.findall(r"`(\w+)`", section))
    assert {*full, *full["members"][0], *full["reasons"][0]} <= documented
