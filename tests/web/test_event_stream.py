"""Server-sent events over real sockets: what is told, what is made up for, and what ends a stream."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.declarations import Announcement, Declarations
from floe_monitor.domain.events import (
    ConfigReloaded,
    DeclarationsChanged,
    IncidentChanged,
    MaintenanceBegan,
    MaintenanceEnded,
    ProbeFinished,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import Health, HealthStatus, Transition
from floe_monitor.domain.incidents import Member, Reason, begin, without_member
from floe_monitor.web import event_stream
from floe_monitor.web.protocol import Limits
from tests.web.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    name: str
    data: Any


class Listener:
    """Reads the stream of one response, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self, *names: str) -> Event:
        """The next event, or the next one with such a name."""
        fields: dict[str, str] = {}
        with anyio.fail_after(PATIENCE):
            async for line in self._lines:
                if line:
                    key, _, value = line.partition(": ")
                    fields[key] = value
                    continue
                if "event" in fields and (not names or fields["event"] in names):
                    return Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                fields = {}
        raise EOFError

    async def rest(self) -> list[str]:
        with anyio.fail_after(PATIENCE):
            return [line async for line in self._lines]


@asynccontextmanager
async def listening(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Listener]:
    async with client.stream("GET", path, headers=headers, timeout=PATIENCE) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listener(response)


def moved(result: Any, before: HealthStatus, after: HealthStatus) -> ProbeFinished:
    return ProbeFinished(result, Health(after, NOW), Transition(before, after, NOW, 5.0))


def published(surface: Any, *events: Any) -> None:
    """From a thread, as the daemon's sinks have it."""
    thread = threading.Thread(target=lambda: [surface.feed.handle(event) for event in events])
    thread.start()
    thread.join()


async def test_a_listener_is_told_how_all_is_and_then_what_changes(
    surface: Any, serving: Any, result_of: Any
) -> None:
    async with serving(surface.app()) as client, listening(client, "/api/v1/events") as listener:
        snapshot = await listener.next()
        assert (snapshot.name, snapshot.data["targets"]["warehouse"]) == ("snapshot", "unhealthy")
        summary = await listener.next()
        assert summary.name == "summary"
        assert summary.data["counts"] == {"unknown": 1, "healthy": 1, "degraded": 1, "unhealthy": 1}
        failed = result_of("dev", ConnectionStatus.UNHEALTHY)
        surface.add(surface.state.targets["dev"].target, failed)
        published(surface, moved(failed, HealthStatus.HEALTHY, HealthStatus.UNHEALTHY))
        status = await listener.next()
        assert status.name == "status"
        assert status.data == {
            "target": "dev",
            "status": "unhealthy",
            "before": "healthy",
            "at": "2026-11-18T11:06:40.000Z",
            "error_type": "connection",
            "message": "connection refused",
        }
        assert (await listener.next("summary")).data["counts"]["unhealthy"] == 2


async def test_whoever_comes_back_is_told_what_was_missed(surface: Any, serving: Any, result_of: Any) -> None:
    async with serving(surface.app()) as client:
        path = "/api/v1/events?events=snapshot,status"
        async with listening(client, path) as listener:
            known = (await listener.next("snapshot")).id
        published(surface, TargetStale("dev", "duckdb", 90.0))
        async with listening(client, path, **{"last-event-id": known}) as listener:
            missed = await listener.next()
            assert (missed.name, missed.data["target"], missed.data["status"]) == ("status", "dev", "unknown")
        # Of more than is kept, of another process, and of nonsense nothing is known: all is told anew.
        published(surface, *[TargetStale("dev", "duckdb", 90.0)] * 60)
        for former in (known, "deadbeef-1", "-", missed.id.replace("-1", "-99999"), "é"):
            async with listening(client, path, **{"last-event-id": former.encode("latin-1")}) as listener:  # type: ignore[arg-type]
                assert (await listener.next()).name == "snapshot"


async def test_one_target_alone_with_every_result_of_it(surface: Any, serving: Any, result_of: Any) -> None:
    async with (
        serving(surface.app()) as client,
        listening(client, "/api/v1/events?target=dev&events=probe,status") as listener,
        listening(client, "/api/v1/events?target=warehouse&events=status,probe") as other,
    ):
        await anyio.wait_all_tasks_blocked()
        well = ProbeFinished(result_of("dev"), Health(HealthStatus.HEALTHY, NOW), None)
        await until(lambda: set(surface.feed._watched) == {"dev", "warehouse"})
        published(
            surface,
            well,
            ProbeFinished(result_of("lake"), Health(), None),
            TargetStale("warehouse", "p", 9.0),
        )
        probe = await listener.next()
        assert (probe.name, probe.data["target"], probe.data["correlation_id"]) == (
            "probe",
            "dev",
            "c0ffee00",
        )
        assert (await other.next()).data["target"] == "warehouse"
    await until(lambda: not surface.feed._watched)
    before = surface.feed.newest
    published(surface, well)
    assert surface.feed.newest == before, "nobody looks: it costs nothing"


async def until(condition: Any) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other tasks
            await anyio.sleep(0.01)


async def test_every_kind_of_change(surface: Any, serving: Any, result_of: Any) -> None:
    member = Member("dev", "duckdb", NOW, NOW, HealthStatus.UNHEALTHY, HealthStatus.UNHEALTHY)
    opened = begin(member, Reason(NOW, "dev", HealthStatus.UNHEALTHY))
    said = Announcement("1", "late today", "Anna", "local", NOW, NOW + 60)
    hung = Transition(HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, NOW, 5.0)
    async with (
        serving(surface.app()) as client,
        listening(
            client, "/api/v1/events?events=status,incident,maintenance,configuration,snapshot,announcement"
        ) as listener,
    ):
        await listener.next("snapshot")
        published(
            surface,
            TargetHung("dev", "duckdb", hung),
            IncidentChanged(opened),
            IncidentChanged(opened),
            IncidentChanged(without_member(opened, "dev", NOW + 60, "recovered")),
            MaintenanceBegan(("dev",), "disks", NOW + 60),
            MaintenanceEnded(("dev",), "disks", NOW, NOW + 60),
            ConfigReloaded(NOW, ("line 1: bad",)),
            DeclarationsChanged(Declarations(announcements=(said,))),
        )
        told = [await listener.next() for _ in range(7)]
    assert [event.name for event in told] == [
        "status", "incident", "incident", "maintenance", "maintenance", "configuration", "announcement",
    ]  # fmt: skip
    assert told[0].data["message"] == "the validation still hangs"
    assert [event.data["state"] for event in told[1:5]] == ["open", "ended", "begun", "ended"]
    assert told[5].data["problems"] == ["line 1: bad"]
    assert told[6].data == {"announcements": ["late today"]}
    ids = [int(event.id.partition("-")[2]) for event in told]
    assert ids == sorted(set(ids))


async def test_a_silent_line_is_shown_to_stand(
    surface: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT", 0.05)
    async with serving(surface.app()) as client, listening(client, "/api/v1/events") as listener:
        assert (await listener.next("heartbeat")).id == ""


async def test_a_stream_ends_so_that_its_client_is_let_in_anew(
    surface: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream.EventStreams.__init__, "__defaults__", (0.0,))
    async with serving(surface.app()) as client, listening(client, "/api/v1/events") as listener:
        assert [line for line in await listener.rest() if line] == ["retry: 2000"]


async def test_it_ends_at_once_when_the_daemon_stops(surface: Any, serving: Any) -> None:
    async with (
        serving(surface.app(), grace=PATIENCE) as client,
        listening(client, "/api/v1/events") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(surface.feed.run)
        await listener.next("summary")
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            assert [line for line in await listener.rest() if line.startswith("event")] == []


async def test_no_more_listen_than_there_is_room_for(surface: Any, serving: Any) -> None:
    surface.streams = 2
    async with (
        serving(surface.app()) as client,
        listening(client, "/api/v1/events") as one,
        listening(client, "/api/v1/events"),
    ):
        refused = await client.get("/api/v1/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (await client.get("/api/v1/status")).status_code == 200
        await one.response.aclose()

        async def let_in() -> bool:
            async with client.stream("GET", "/api/v1/events") as response:
                return bool(response.status_code == 200)

        with anyio.fail_after(PATIENCE):
            while not await let_in():  # noqa: ASYNC110 - the server notes the end when it comes to it
                await anyio.sleep(0.01)


async def test_a_client_that_does_not_read_is_cut_off(surface: Any, serving: Any, result_of: Any) -> None:
    """What waits for it is bounded meanwhile: the log, and what the sockets hold."""
    surface.streams = 1
    limits = Limits(answer=0.5)
    async with serving(surface.app(), limits=limits) as client:
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(silent, (client.base_url.host, client.base_url.port))
            await loop.sock_sendall(
                silent, b"GET /api/v1/events?events=status HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            long = moved(
                result_of("dev", ConnectionStatus.UNHEALTHY, message="x" * 100_000),
                HealthStatus.HEALTHY,
                HealthStatus.UNHEALTHY,
            )

            async def cut_off() -> bool:
                async with client.stream("GET", "/api/v1/events") as response:
                    return bool(response.status_code == 200)

            with anyio.fail_after(PATIENCE):
                while not await cut_off():
                    published(surface, *[long] * 10)
                    await anyio.sleep(0.05)
            with suppress(ConnectionResetError):
                while await loop.sock_recv(silent, 1 << 16):
                    pass
    assert len(surface.feed._log) == 50


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("event=status", "did you mean 'events'?"),
        ("events=statu", "did you mean 'status'?"),
        ("events=probe", "needs target=NAME"),
        ("target=" + ",".join(f"t{n}" for n in range(101)), "100 targets at most"),
    ],
)
async def test_what_is_not_understood_is_said(surface: Any, serving: Any, query: str, said: str) -> None:
    async with serving(surface.app()) as client:
        answer = await client.get(f"/api/v1/events?{query}")
        assert answer.status_code == 400
        assert said in answer.json()["detail"]
        assert (await client.head("/api/v1/events")).status_code == 200
        assert (await client.post("/api/v1/events")).status_code == 405
