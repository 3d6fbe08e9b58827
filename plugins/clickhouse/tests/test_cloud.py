"""ClickHouse Cloud: a service that may be idle is not connected to; its state is asked of Cloud's own API."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.clickhouse_standin import StandIn
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
SECRET = "cloud key canary 0123"
ORGANIZATION, SERVICE = "2e2124ca-c5ac-459d-a6f2-abc123549d2a", "123abcd0-e9b5-4f55-9e42-0fb04392445c"


class CloudApi(ThreadingHTTPServer):
    """Answers each request with `state`, or with `status` and `body`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.state, self.status = "running", 200
        self.body: bytes | None = None
        self.asked: list[tuple[str, str, str]] = []


class _Requests(BaseHTTPRequestHandler):
    server: CloudApi

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        body = self.server.body
        if body is None:
            body = json.dumps({"status": 200, "result": {"state": self.server.state}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[CloudApi]:
    with CloudApi() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def service(probe: Probe, api: CloudApi) -> Callable[..., ConnectionResult]:
    def run(**changes: Any) -> ConnectionResult:
        keys = {
            "cloud_organization_id": ORGANIZATION, "cloud_service_id": SERVICE, "cloud_key_id": "key",
            "cloud_api": f"http://127.0.0.1:{api.server_address[1]}",
        }  # fmt: skip
        credentials = {"password": "it's \\ secret", "cloud_key_secret": SECRET}
        return probe(credentials=credentials, **{**keys, **changes})

    return run


@pytest.mark.parametrize(
    ("state", "status", "error_type", "connects"),
    [
        ("running", HEALTHY, None, True),
        ("partially_running", HEALTHY, None, True),
        ("idle", HEALTHY, None, False),
        ("awaking", DEGRADED, ErrorType.CONNECTION, False),
        ("starting", DEGRADED, ErrorType.CONNECTION, False),
        ("stopped", UNHEALTHY, ErrorType.CONNECTION, False),
        ("terminated", UNHEALTHY, ErrorType.CONNECTION, False),
        ("unheard of", UNHEALTHY, ErrorType.CONNECTION, False),
    ],
)
def test_states(
    service: Probe,
    api: CloudApi,
    standin: StandIn,
    state: str,
    status: ConnectionStatus,
    error_type: ErrorType | None,
    connects: bool,
) -> None:
    api.state = state
    result = service()
    assert (result.status, result.error_type) == (status, error_type), result
    assert result.checks[0].name == "asleep"
    assert (standin.state.connections > 0) is connects
    login = base64.b64encode(f"key:{SECRET}".encode()).decode()
    assert api.asked == [("GET", f"/v1/organizations/{ORGANIZATION}/services/{SERVICE}", f"Basic {login}")]
    if state == "idle":
        assert "first statement waits" in result.message
        assert "first statement waits" in result.checks[0].message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b"{}"),
        (403, b""),
        (404, b""),
        (503, b""),
        (200, b"[]"),
        (200, b"no JSON"),
        (200, b'{"result":{}}'),
    ],
)
def test_an_api_that_does_not_tell_leaves_the_service_alone(
    service: Probe, api: CloudApi, standin: StandIn, status: int, body: bytes
) -> None:
    api.status, api.body = status, body
    result = service()
    assert (result.status, standin.state.connections) == (DEGRADED, 0)
    assert "is not known" in result.message
    assert SECRET not in str(result)


def test_an_api_that_is_down(service: Probe, standin: StandIn) -> None:
    result = service(cloud_api="http://127.0.0.1:1")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION)
    assert standin.state.connections == 0


@pytest.mark.parametrize("host", ["abc.eu-west-1.aws.clickhouse.cloud", "ABC.aws.ClickHouse.Cloud."])
def test_a_service_of_unknown_state_is_not_connected_to(probe: Probe, host: str) -> None:
    result = probe(host=host)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
    assert [check.name for check in result.checks] == ["asleep"]
    assert "wake_service" in result.message


def test_it_is_where_the_target_says_so(service: Probe, api: CloudApi, standin: StandIn) -> None:
    api.state = "idle"
    result = service(wake_service=True)
    assert (result.status, len(api.asked), standin.state.connections) == (HEALTHY, 1, 1)
    states = [each.state for each in result.engine_states]
    assert states == [EngineState.SUSPENDED, EngineState.STARTING, EngineState.RUNNING]


def test_it_is_though_its_state_is_not_told(service: Probe, api: CloudApi) -> None:
    api.state = "idle"
    result = service(wake_service=True, cloud_api="http://127.0.0.1:1")
    assert (result.status, result.warnings) == (HEALTHY, []), result
    assert EngineState.STARTING not in [each.state for each in result.engine_states]


def test_a_service_that_wakes_while_it_is_watched(service: Probe, api: CloudApi) -> None:
    seen = []
    for api.state in ("idle", "awaking", "running"):
        seen += [each.state for each in service().engine_states]
    assert list(dict.fromkeys(seen)) == [EngineState.SUSPENDED, EngineState.STARTING, EngineState.RUNNING]
