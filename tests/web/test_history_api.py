"""The routes of the history, over a real file that a recorder has written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from floe_monitor.daemon import history as daemon_history
from floe_monitor.daemon.history import KeptHistory
from floe_monitor.history.past import HistoryPast
from floe_monitor.web.history_api import MOST_ROWS, MOST_WAITING, READERS
from floe_monitor.web.interfaces import HistoryReadError
from floe_monitor.web.openapi import build_document
from tests.history.conftest import HEALTHY, UNHEALTHY, Monitor
from tests.web.test_badges import words
from tests.web.test_openapi import described

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

TARGET = "/api/v1/history/targets/{name}/{kind}"
RESULTS = "/api/v1/history/targets/warehouse/results"


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    made = Monitor(f"sqlite:///{tmp_path}/history.db")
    made.at = made.at // 3600 * 3600 - 3 * 3600 + 300  # all of it within one hour
    for number in range(50):
        made.probe("warehouse", UNHEALTHY if 20 <= number < 25 else HEALTHY, duration=number / 1000)
        made.probe("lake", after=0.0)
    made.stop()
    return made


def kept(monitor: Monitor) -> KeptHistory:
    assert monitor.settings.url is not None
    return KeptHistory(monitor.settings.url, {})


@pytest.fixture
async def client(surface: Any, serving: Any, monitor: Monitor) -> AsyncIterator[httpx.AsyncClient]:
    surface.history = kept(monitor)
    async with serving(surface.app()) as connected:
        yield connected


async def test_results_newest_first(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"{RESULTS}?limit=1000")).json()
    assert answer["target"] == "warehouse"
    assert answer["next"] is None
    rows = answer["results"]
    assert len(rows) == 50
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert rows[0]["duration_seconds"] == 0.049
    assert [row["error_type"] for row in rows if row["status"] == "unhealthy"] == ["connection"] * 5


@pytest.mark.parametrize("limit", [1, 7, 25, 50])
async def test_the_parts_are_the_whole(client: httpx.AsyncClient, limit: int) -> None:
    whole = (await client.get(f"{RESULTS}?limit=1000")).json()["results"]
    rows, until = [], ""
    for _ in range(60):
        answer = (await client.get(f"{RESULTS}?limit={limit}{until}")).json()
        assert len(answer["results"]) <= limit
        rows += answer["results"]
        if answer["next"] is None:
            break
        until = f"&until={answer['next']}"
    assert rows == whole


async def test_changes_hours_and_days(client: httpx.AsyncClient) -> None:
    base = "/api/v1/history/targets/warehouse"
    changes = (await client.get(f"{base}/changes")).json()["changes"]
    assert [(row["before"], row["after"]) for row in changes] == [
        ("unhealthy", "healthy"),
        ("healthy", "unhealthy"),
        ("unknown", "healthy"),
    ]
    assert changes[1]["message"] == "connection refused"
    for kind in ("hours", "days"):
        periods = (await client.get(f"{base}/{kind}")).json()["periods"]
        assert sum(row["results"] for row in periods) == 50
        assert sum(row["unhealthy_seconds"] for row in periods) == 150
        assert all(row["latency_p95_seconds"] > 0 for row in periods)
    hours = (await client.get(f"{base}/hours?limit=1")).json()
    assert hours["periods"] == []
    assert hours["next"] is not None, "the present hour had no result, those before it may have"


async def test_a_span_chosen(client: httpx.AsyncClient) -> None:
    rows = (await client.get(f"{RESULTS}?limit=1000")).json()["results"]
    fifth, tenth = rows[4]["at"], rows[9]["at"]
    part = (await client.get(f"{RESULTS}?since={tenth}&until={fifth}")).json()
    assert [row["at"] for row in part["results"]] == [row["at"] for row in rows[5:10]]
    assert (part["since"], part["until"]) == (tenth, fifth)
    assert (await client.get(f"{RESULTS}?since=1m")).json()["results"] == []
    assert (await client.get(f"{RESULTS}?since={fifth}&until={tenth}")).json()["results"] == []
    zoned = fifth.replace("Z", "+00:00")  # the `+` not encoded
    assert (await client.get(f"{RESULTS}?since={tenth}&until={zoned}")).json() == part


async def test_incidents_that_are_not_in_memory_any_more(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/history/incidents?since=1d")).json()
    [row] = answer["incidents"]
    assert (row["state"], row["targets"], row["duration_seconds"]) == ("ended", ["warehouse"], 150.0)
    detail = (await client.get(f"/api/v1/incidents/{row['id']}")).json()
    assert [member["target"] for member in detail["members"]] == ["warehouse"]
    page = await client.get(f"/incidents/{row['id']}", headers={"accept": "text/html"})
    assert "connection refused" in page.text
    assert (await client.get("/api/v1/history/incidents?target=lake")).json()["incidents"] == []
    missing = await client.get("/api/v1/incidents/none")
    assert (missing.status_code, missing.json()["detail"]) == (404, "no incident 'none' is known")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/history/targets/warehous/results", 404, "did you mean 'warehouse'?"),
        ("/api/v1/history/targets/warehouse/result", 404, "did you mean 'results'?"),
        (f"{RESULTS}?limit=0", 400, "from 1 to 1000"),
        (f"{RESULTS}?limit={MOST_ROWS + 1}", 400, "from 0 to 1000"),
        (f"{RESULTS}?since=30", 400, "since is a duration back from now"),
        (f"{RESULTS}?until=", 400, "until is a duration back from now"),
        (f"{RESULTS}?since=yesterday", 400, "since is a duration back from now"),
        (f"{RESULTS}?until=2026-11-26T10:00:00", 400, "until is a duration back from now"),
        (f"{RESULTS}?sinc=1d", 400, "did you mean 'since'?"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, path: str, status: int, said: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["results", "changes", "hours", "days", "none"])
async def test_answers_are_as_described(client: httpx.AsyncClient, kind: str) -> None:
    document = build_document()
    described(document, "get", TARGET, await client.get(f"/api/v1/history/targets/lake/{kind}"))
    incidents = "/api/v1/history/incidents"
    described(document, "get", incidents, await client.get(f"{incidents}?target=warehouse"))


async def test_moments_far_away_are_no_fault(client: httpx.AsyncClient) -> None:
    for since in ("0001-01-01T00:00:00%2B14:00", "1969-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "365d"):
        for kind in ("results", "changes", "hours", "days"):
            for key in ("since", "until"):
                path = f"/api/v1/history/targets/lake/{kind}?{key}={since}"
                assert (await client.get(path)).status_code == 200, path


async def test_the_badge_of_uptime_counts_what_is_kept(
    surface: Any, serving: Any, monitor: Monitor, target_of: Any
) -> None:
    assert monitor.settings.url is not None
    surface.past = HistoryPast(monitor.settings.url, {})
    surface.add(target_of("warehouse"))
    async with serving(surface.app()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(surface.past.run)
        with anyio.fail_after(120):
            while (answer := await client.get("/badges/warehouse/uptime.svg")).headers[
                "cache-control"
            ] == "no-cache":
                assert words(answer.content) == ["warehouse uptime", "no result yet"]
        assert words(answer.content)[1].startswith("90.0 % of "), "five results of fifty were failures"
        tasks.cancel_scope.cancel()


async def test_without_a_history(surface: Any, serving: Any) -> None:
    async with serving(surface.app()) as client:
        for path in (RESULTS, "/api/v1/history/incidents"):
            answer = await client.get(path)
            assert answer.status_code == 409
            assert "no history is kept" in answer.json()["detail"]


async def test_a_file_that_is_not_there_is_told(surface: Any, serving: Any, tmp_path: Path) -> None:
    surface.history = kept(Monitor(f"sqlite:///{tmp_path}/none.db"))
    async with serving(surface.app()) as client:
        answer = await client.get(RESULTS)
    assert answer.status_code == 503
    assert "there is no history yet" in answer.json()["detail"]


async def test_what_takes_too_long_is_broken_off(
    surface: Any, serving: Any, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time at all, by a query that takes enough steps for SQLite to look at the clock."""
    monitor.begin_anew()
    for _ in range(3_000):
        monitor.probe("other", after=0.001)
    monitor.stop()
    monkeypatch.setattr(daemon_history, "READ_SECONDS", 0.0)
    surface.history = kept(monitor)
    async with serving(surface.app()) as client:
        answer = await client.get(f"{RESULTS}?limit=1000")
        assert answer.status_code == 503
        assert "takes longer than there is time for" in answer.json()["detail"]
        assert (await client.get("/healthz")).status_code == 200


class Slow:
    """A history that answers once it is let: what a slow disk would do."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def incidents(self, _names: Any, _span: Any, _limit: int) -> Any:
        with self._lock:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if not self.let.wait(120):
                raise HistoryReadError("never let")
            return {"since": None, "until": None, "next": None, "incidents": []}
        finally:
            with self._lock:
                self.at_once -= 1


async def test_few_read_at_once_and_others_are_answered(surface: Any, serving: Any) -> None:
    surface.history = slow = Slow()
    answers: list[int] = []
    async with serving(surface.app()) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            answers.append((await client.get("/api/v1/history/incidents", timeout=180)).status_code)

        for _ in range(MOST_WAITING + 4):
            tasks.start_soon(ask)
        with anyio.fail_after(120):
            while len(answers) < 4 or slow.asked < READERS:  # noqa: ASYNC110 - told by a thread
                await anyio.sleep(0.01)
        assert answers == [503] * 4
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/v1/targets")).status_code == 200
        slow.let.set()
    assert sorted(answers) == [200] * MOST_WAITING + [503] * 4
    assert slow.most_at_once <= READERS
