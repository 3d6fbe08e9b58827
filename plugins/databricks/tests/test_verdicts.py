"""What a probe makes of a workspace's answers, and which requests it makes for that."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_databricks.errors import classify

from conformance.databricks_standin import (
    CLUSTER,
    CLUSTER_PATH,
    EXPIRED,
    TOKEN,
    USER,
    WAREHOUSE,
    WAREHOUSE_PATH,
    StandIn,
    cluster,
    grant,
    warehouse,
)
from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
DENIED = {"error_code": "PERMISSION_DENIED", "message": "User does not have it"}
COMPUTE = ["network", "tls", "login", "warehouse"]
UNITY = ["catalog", "schema", "write"]


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def said(result: ConnectionResult, check: str) -> str:
    return next(each.message for each in result.checks if each.name == check)


def test_all_well(probe: Probe, standin: StandIn) -> None:
    result = probe()
    assert (result.status, result.warnings, names(result)) == (HEALTHY, [], [*COMPUTE, *UNITY])
    assert standin.state.requests == [
        "GET /api/2.0/preview/scim/v2/Me",
        f"GET /api/2.0/sql/warehouses/{WAREHOUSE}",
        "GET /api/2.1/unity-catalog/catalogs/main",
        "GET /api/2.1/unity-catalog/schemas/main.marts",
        "GET /api/2.1/unity-catalog/effective-permissions/schema/main.marts?max_results=0",
    ]
    for headers in standin.state.headers:
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert headers["user-agent"].startswith("floe-monitor-databricks/")
        assert "x-databricks-org-id" not in headers


def test_the_workspace_of_a_host_with_several_is_named(probe: Probe, standin: StandIn) -> None:
    probe(http_path=f"{WAREHOUSE_PATH}?o=1234567890")
    assert {headers["x-databricks-org-id"] for headers in standin.state.headers} == {"1234567890"}


# ---------------------------------------------------------------- nothing is started

EVERY_STATE = ["RUNNING", "STARTING", "STOPPED", "STOPPING", "DELETED", "DELETING", "NEW"]
EVERY_CLUSTER_STATE = [
    "RUNNING", "PENDING", "RESTARTING", "RESIZING", "TERMINATING", "TERMINATED", "ERROR", "UNKNOWN",
]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("STOPPED", EngineState.SUSPENDED),
        ("STARTING", EngineState.STARTING),
        ("RUNNING", EngineState.RUNNING),
        ("DELETED", None),
    ],
)
def test_a_warehouse_that_wakes_is_seen(
    probe: Probe, standin: StandIn, state: str, seen: EngineState | None
) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse(state)
    assert [each.state for each in probe().engine_states] == ([] if seen is None else [seen])


@pytest.mark.parametrize("state", EVERY_STATE)
def test_no_probe_starts_a_warehouse(probe: Probe, standin: StandIn, state: str) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse(state)
    probe(schema="gone")
    probe(run_query=state != "RUNNING")
    assert standin.state.started == []
    assert standin.state.warehouses[WAREHOUSE]["state"] == state
    assert all(request.startswith("GET /api/") for request in standin.state.requests)


@pytest.mark.parametrize("state", EVERY_CLUSTER_STATE)
def test_no_probe_starts_a_cluster(probe: Probe, standin: StandIn, state: str) -> None:
    standin.state.clusters[CLUSTER] = cluster(state)
    probe(http_path=CLUSTER_PATH, run_query=True)
    assert standin.state.started == []
    assert standin.state.clusters[CLUSTER]["state"] == state
    assert all(request.startswith("GET /api/") for request in standin.state.requests)


def test_a_query_where_it_is_asked_for(probe: Probe, standin: StandIn) -> None:
    result = probe(run_query=True)
    assert (result.status, names(result)) == (HEALTHY, [*COMPUTE, "query", *UNITY])
    assert standin.state.started == ["transform"]


@pytest.mark.parametrize(
    ("state", "status", "error_type"),
    [("CANCELED", DEGRADED, ErrorType.TIMEOUT), ("FAILED", UNHEALTHY, ErrorType.QUERY)],
)
def test_a_query_that_does_not_end_well(
    probe: Probe, standin: StandIn, state: str, status: ConnectionStatus, error_type: ErrorType
) -> None:
    standin.state.statement = state
    result = probe(run_query=True)
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, "query")


# ---------------------------------------------------------------- compute


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "some seconds; dbt waits for up to 600 s"),
        ({"enable_serverless_compute": False}, "some minutes, up to 5; dbt waits for up to 600 s"),
        ({"state": "STOPPING"}, "is stopping and starts with dbt's first statement"),
        ({"auto_resume": True}, "some seconds"),
    ],
)
def test_a_warehouse_that_rests_is_healthy(
    probe: Probe, standin: StandIn, changes: dict[str, Any], says: str
) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse(**{"state": "STOPPED", **changes})
    result = probe()
    assert (result.status, result.warnings, names(result)) == (HEALTHY, [], [*COMPUTE, "asleep", *UNITY])
    assert says in said(result, "asleep")
    assert result.message == said(result, "asleep"), "whoever reads one line reads it"


def test_dbt_that_does_not_wait_for_a_start(probe: Probe, standin: StandIn) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse("STOPPED", enable_serverless_compute=False)
    result = probe(parameters={"_socket_timeout": 60})
    assert (result.status, len(result.warnings)) == (HEALTHY, 1)
    assert "no more than 60 s" in result.warnings[0]
    standin.state.warehouses[WAREHOUSE] = warehouse("STOPPED")
    assert probe(parameters={"_socket_timeout": 60}).warnings == []


def test_a_warehouse_whose_last_start_failed(probe: Probe, standin: StandIn) -> None:
    health = {"status": "FAILED", "summary": "cannot launch", "failure_reason": {"code": "QUOTA_EXCEEDED"}}
    standin.state.warehouses[WAREHOUSE] = warehouse("STOPPED", health=health)
    result = probe()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION)
    assert "cannot launch, QUOTA_EXCEEDED" in result.message


@pytest.mark.parametrize(
    ("changes", "status", "error_type", "says"),
    [
        ({"state": "STARTING"}, DEGRADED, ErrorType.CONNECTION, "is starting"),
        ({"state": "DELETED"}, UNHEALTHY, ErrorType.CONFIGURATION, "is deleted"),
        ({"state": "DELETING"}, UNHEALTHY, ErrorType.CONFIGURATION, "is deleted"),
        (
            {"state": "STOPPED", "auto_resume": False},
            UNHEALTHY,
            ErrorType.CONFIGURATION,
            "does not start by itself",
        ),
        ({"state": "NEW"}, DEGRADED, ErrorType.CONNECTION, "in state NEW"),
        ({"health": {"status": "DEGRADED"}}, DEGRADED, ErrorType.CONNECTION, "called degraded"),
        ({"health": {"status": "FAILED", "summary": "odd"}}, DEGRADED, ErrorType.CONNECTION, "failed: odd"),
        ({"health": None, "name": None}, HEALTHY, None, ""),
    ],
)
def test_warehouses(
    probe: Probe,
    standin: StandIn,
    changes: dict[str, Any],
    status: ConnectionStatus,
    error_type: ErrorType | None,
    says: str,
) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse(**changes)
    result = probe()
    assert (result.status, result.error_type) == (status, error_type), result
    assert says in result.message
    assert ("catalog" in names(result)) is (status is not UNHEALTHY)


@pytest.mark.parametrize(
    ("changes", "status", "last", "says"),
    [
        ({}, HEALTHY, "write", ""),
        ({"state": "RESIZING"}, HEALTHY, "write", ""),
        ({"state": "PENDING"}, DEGRADED, "write", "some minutes, up to 10"),
        ({"state": "RESTARTING"}, DEGRADED, "write", "is starting"),
        ({"state": "ERROR", "state_message": "odd"}, UNHEALTHY, "cluster", "in state ERROR: odd"),
        ({"state": "UNKNOWN"}, DEGRADED, "write", "in state UNKNOWN"),
        ({"state": "TERMINATED", "cluster_source": "JOB"}, UNHEALTHY, "asleep", "one of a job"),
        (
            {"state": "TERMINATED", "termination_reason": {"type": "CLOUD_FAILURE", "code": "NO_CAPACITY"}},
            DEGRADED,
            "write",
            "NO_CAPACITY",
        ),
    ],
)
def test_clusters(
    probe: Probe, standin: StandIn, changes: dict[str, Any], status: ConnectionStatus, last: str, says: str
) -> None:
    standin.state.clusters[CLUSTER] = cluster(**changes)
    result = probe(http_path=CLUSTER_PATH)
    assert (result.status, names(result)[-1]) == (status, last), result
    assert (EngineState.STARTING in [each.state for each in result.engine_states]) == (
        "starting" in result.message
    )
    assert says in result.message
    assert f"GET /api/2.1/clusters/get?cluster_id={CLUSTER}" in standin.state.requests


def test_a_cluster_that_rests_is_healthy(probe: Probe, standin: StandIn) -> None:
    standin.state.clusters[CLUSTER] = cluster("TERMINATED")
    result = probe(http_path=CLUSTER_PATH)
    # Its start may take ten minutes, and dbt waits for ten.
    assert (result.status, result.warnings) == (HEALTHY, [])
    assert "is terminated and starts with dbt's first statement" in said(result, "asleep")


@pytest.mark.parametrize("path", [WAREHOUSE_PATH, CLUSTER_PATH])
def test_compute_that_is_not_there(probe: Probe, launch: Callable[..., StandIn], path: str) -> None:
    result = probe(port=launch(warehouses={}, clusters={}).port, http_path=path)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert "there is no such" in result.message


def test_compute_that_may_not_be_seen(probe: Probe, standin: StandIn) -> None:
    standin.state.refused["/sql/warehouses/"] = (403, DENIED)
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
    assert "User does not have it (PERMISSION_DENIED)" in result.message


# ---------------------------------------------------------------- who asks


@pytest.mark.parametrize("token", ["dapi-wrong-0123456789", EXPIRED])
def test_a_token_that_is_refused(probe: Probe, token: str) -> None:
    result = probe(credentials={"token": token})
    assert (result.status, result.error_type, names(result)[-1]) == (
        UNHEALTHY,
        ErrorType.AUTHENTICATION,
        "login",
    )
    assert token not in result.message


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        ((403, {"message": "Source IP address: 192.0.2.7 is blocked by Databricks IP ACL"}), None),
        ((403, {"message": "Provided OAuth token does not have required scopes: scim"}), None),
        ((401, {"message": "no"}), ErrorType.AUTHENTICATION),
        ((403, {"message": "Invalid access token. [ReqId: 1]"}), ErrorType.AUTHENTICATION),
        ((403, {"message": "The access token is expired"}), ErrorType.AUTHENTICATION),
        ((400, {"message": "Unable to load OAuth Config"}), ErrorType.CONFIGURATION),
    ],
)
def test_who_asks_is_not_told(
    probe: Probe, standin: StandIn, answer: tuple[int, dict[str, Any]], error_type: ErrorType | None
) -> None:
    """A token may be good for statements, and not for that question: what follows tells."""
    standin.state.refused["/scim/"] = answer
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY if error_type else HEALTHY, error_type)


# ---------------------------------------------------------------- Unity Catalog


def test_hive_metastore_is_not_asked(probe: Probe, standin: StandIn) -> None:
    result = probe(database=None)
    assert (result.status, names(result)) == (HEALTHY, COMPUTE)
    assert not any("unity" in request for request in standin.state.requests)


@pytest.mark.parametrize(
    ("state", "changes", "error_type", "last"),
    [
        ({}, {"database": "nowhere"}, ErrorType.CONFIGURATION, "catalog"),
        ({"refused": {"/catalogs/": (403, DENIED)}}, {}, ErrorType.PERMISSION, "catalog"),
        ({"catalogs": {"main": {"browse_only": True}}}, {}, ErrorType.PERMISSION, "catalog"),
        (
            {"catalogs": {"main": {"catalog_type": "DELTASHARING_CATALOG"}}},
            {},
            ErrorType.CONFIGURATION,
            "catalog",
        ),
        ({"refused": {"/schemas/": (403, DENIED)}}, {}, ErrorType.PERMISSION, "schema"),
        ({"schemas": {"main.marts": {"browse_only": True}}}, {}, ErrorType.PERMISSION, "schema"),
        (
            {"grants": (grant(USER, "USE_CATALOG", "USE_SCHEMA", "SELECT"),)},
            {},
            ErrorType.PERMISSION,
            "write",
        ),
        (
            {"grants": (grant("transformers", "USE_CATALOG"),)},
            {"schema": "gone"},
            ErrorType.PERMISSION,
            "write",
        ),
    ],
)
def test_what_dbt_could_not_build_in(
    probe: Probe,
    launch: Callable[..., StandIn],
    state: dict[str, Any],
    changes: dict[str, Any],
    error_type: ErrorType,
    last: str,
) -> None:
    result = probe(port=launch(**state).port, **changes)
    assert (result.status, result.error_type, names(result)[-1]) == (DEGRADED, error_type, last), result


@pytest.mark.parametrize(
    "state",
    [
        {"grants": (grant(USER, "USE_SCHEMA", "CREATE_TABLE"),)},
        {"grants": (grant("account users", "ALL_PRIVILEGES"),)},
        {"grants": (), "schemas": {"main.marts": {"owner": USER}}},
        {"grants": (), "schemas": {"main.marts": {"owner": "transformers"}}},
        {"pages": 3},
    ],
)
def test_rights_that_are_shown(probe: Probe, launch: Callable[..., StandIn], state: dict[str, Any]) -> None:
    result = probe(port=launch(**state).port)
    assert (result.status, result.warnings) == (HEALTHY, []), result


@pytest.mark.parametrize(
    "state",
    [
        # Of how the user got USE SCHEMA nothing is shown, so that what is shown is not all.
        {"grants": ()},
        {"grants": (grant("analysts", "USE_SCHEMA"),)},
        # The user may be in that group by another one.
        {"grants": (grant(USER, "USE_SCHEMA"), grant("builders", "CREATE_TABLE"))},
        {"refused": {"/effective-permissions/": (403, DENIED)}},
        {"refused": {"/scim/": (403, DENIED)}},
    ],
)
def test_rights_that_are_not_shown(
    probe: Probe, launch: Callable[..., StandIn], state: dict[str, Any]
) -> None:
    result = probe(port=launch(**state).port)
    assert (result.status, len(result.warnings)) == (HEALTHY, 1), result
    assert "is not shown" in result.warnings[0]


def test_a_grant_to_another_user_is_none_of_a_group(probe: Probe, standin: StandIn) -> None:
    others = (
        grant("someone@acme.example", "ALL_PRIVILEGES"),
        grant("6c1c2d3e-0000-4000-8000-00000000beef", "CREATE_TABLE"),
    )
    standin.state.grants = (grant(USER, "USE_SCHEMA"), *others)
    assert probe().status is DEGRADED


def test_a_missing_schema_that_dbt_may_create(probe: Probe, standin: StandIn) -> None:
    result = probe(schema="gone")
    assert (result.status, result.warnings) == (HEALTHY, ["schema 'gone' is not there; dbt creates it"])
    assert standin.state.requests[-1].startswith(
        "GET /api/2.1/unity-catalog/effective-permissions/catalog/main?"
    )


def test_names_in_paths_are_quoted(probe: Probe, standin: StandIn) -> None:
    probe(database="Main?x/y", schema="A b")
    assert "GET /api/2.1/unity-catalog/catalogs/main%3Fx%2Fy" in standin.state.requests


# ---------------------------------------------------------------- what answers in the workspace's place


@pytest.mark.parametrize(
    ("state", "status", "error_type", "says"),
    [
        ({"status": 429, "retry_after": "7"}, DEGRADED, ErrorType.CONNECTION, "tried again after 7 s"),
        ({"status": 503}, DEGRADED, ErrorType.CONNECTION, "not now"),
        ({"status": 500}, UNHEALTHY, ErrorType.CONNECTION, "500"),
        ({"status": 504}, UNHEALTHY, ErrorType.TIMEOUT, "504"),
        ({"status": 404}, UNHEALTHY, ErrorType.CONFIGURATION, "404"),
        (
            {"moved": "https://login.example/?next=canary"},
            UNHEALTHY,
            ErrorType.CONFIGURATION,
            "a redirect to https://login.example",
        ),
        ({"page": True}, UNHEALTHY, ErrorType.CONFIGURATION, "text/html"),
    ],
)
def test_answers_of_others(
    probe: Probe,
    launch: Callable[..., StandIn],
    state: dict[str, Any],
    status: ConnectionStatus,
    error_type: ErrorType,
    says: str,
) -> None:
    result = probe(port=launch(**state).port)
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, "login"), result
    assert says in result.message
    assert "canary" not in result.message


@pytest.mark.parametrize("part", ["/warehouses/", "/catalogs/", "/schemas/", "/effective-permissions/"])
def test_too_many_requests_are_a_limitation_anywhere(probe: Probe, standin: StandIn, part: str) -> None:
    standin.state.refused[part] = (429, {"message": "slow down"})
    result = probe()
    expected = HEALTHY if part == "/effective-permissions/" else DEGRADED
    assert (result.status, bool(result.warnings)) == (expected, expected is HEALTHY)


# ---------------------------------------------------------------- the way


@pytest.mark.parametrize(
    ("changes", "error_type", "last"),
    [
        ({"port": 1}, ErrorType.CONNECTION, "network"),
        ({"host": "nowhere.invalid"}, ErrorType.CONNECTION, "network"),
    ],
)
def test_a_workspace_that_is_not_reached(
    probe: Probe, changes: dict[str, Any], error_type: ErrorType, last: str
) -> None:
    result = probe(**changes)
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, error_type, last)


def test_roots_that_dbts_driver_alone_knows(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    result = probe(parameters={"_tls_trusted_ca_file": str(root)})
    assert (result.status, len(result.warnings)) == (HEALTHY, 1)
    assert "tries again for 300 s" in result.warnings[0]
    assert probe().error_type is ErrorType.CONNECTION
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert probe().error_type is ErrorType.CONFIGURATION


def test_what_a_probe_does_not_reach_is_said(probe: Probe) -> None:
    elsewhere = probe(parameters={"_connection_uri": f"https://nowhere.invalid{WAREHOUSE_PATH}"})
    assert elsewhere.status is HEALTHY
    assert "dbt's statements go to https://nowhere.invalid" in elsewhere.warnings[0]
    unverified = probe(parameters={"_tls_no_verify": True})
    assert "_tls_no_verify" in unverified.warnings[0]


def test_by_a_proxy_that_is_closed(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert probe(host="localhost").error_type is ErrorType.CONNECTION


def test_errors_of_versions_to_come() -> None:
    assert classify(ValueError("odd")).message == "ValueError: odd"


def test_no_name_is_looked_up_but_the_hosts(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, asked = socket.getaddrinfo, []

    def seen(host: Any, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return system(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", seen)
    assert probe(host="localhost", port=standin.port).status is HEALTHY
    assert set(asked) <= {"localhost"}
