"""Databricks: a stand-in for a workspace, with a Thrift front for dbt's driver."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.cases import Case, Engine, Situation
from conformance.databricks_standin import (
    CLIENT,
    CLUSTER,
    CLUSTER_PATH,
    EXPIRED,
    IDENTITY_TOKEN,
    SECRET,
    TOKEN,
    WAREHOUSE,
    WAREHOUSE_PATH,
    StandIn,
    cluster,
    grant,
    warehouse,
)
from conformance.loopback_server import LOOPBACK, server_tls
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE = "CONFORMANCE_DATABRICKS_SECRET"
_QUICK = {
    "enable_telemetry": False, "use_cloud_fetch": False, "_socket_timeout": 30, "_retry_delay_min": 0.1,
    "_retry_stop_after_attempts_count": 1, "_retry_stop_after_attempts_duration": 30,
}  # fmt: skip
"""dbt's driver makes one attempt of each request: its usual thirty take minutes, to the same end."""
_PATIENCE = 15.0
_GROUP = "transformers"


def _situation(
    port: int, folder: Path, secret: tuple[str, str] = ("token", TOKEN), **changes: Any
) -> Situation:
    there = f"{LOOPBACK}:{port}"
    path = str(changes.get("http_path", WAREHOUSE_PATH))
    parameters = {**_QUICK, "_connection_uri": f"https://{there}/{path.lstrip('/')}"}
    base = {
        "host": there, "http_path": path, "database": "main", "schema": "marts", "connect_retries": 0,
        "connection_parameters": {**parameters, "_tls_trusted_ca_file": str(folder / "root.pem")},
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    name, value = secret
    roots = str(folder / "root.pem")
    environment = {"REQUESTS_CA_BUNDLE": roots, "CURL_CA_BUNDLE": "", VARIABLE: value}
    return Situation({"connection": connection}, {name: VARIABLE}, environment, stand_in=True)


@contextmanager
def _workspace(
    folder: Path,
    *,
    secret: tuple[str, str] = ("token", TOKEN),
    trusted: bool = True,
    target: dict[str, Any] | None = None,
    **state: Any,
) -> Iterator[Situation]:
    """`state` is the stand-in's; a value that is callable is made anew for each run."""
    tls, _ = server_tls(folder)
    made = {name: value() if callable(value) else value for name, value in state.items()}
    with StandIn(tls, **made) as standin:
        found = _situation(standin.port, folder, secret, **(target or {}))
        if not trusted:
            server_tls(folder)  # another root in the place of its own
        yield found


@contextmanager
def _federated(folder: Path) -> Iterator[Situation]:
    place = folder / "identity.jwt"
    place.write_text(IDENTITY_TOKEN)
    login = {"auth_type": "file-oidc", "client_id": CLIENT, "oidc_token_filepath": str(place)}
    with _workspace(folder, target=login) as found:
        yield Situation(found.fields, {}, found.environment, stand_in=True)


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:
    tls, _ = server_tls(folder)
    with StandIn(tls) as standin, FaultProxy(standin.port, fault, **options) as proxy:
        yield _situation(proxy.port, folder)


def _denied(said: str) -> tuple[int, dict[str, str]]:
    return 403, {"error_code": "PERMISSION_DENIED", "message": said}


def _everywhere(status: int) -> dict[str, tuple[int, dict[str, str]]]:
    return dict.fromkeys(("/api/", "/sql/"), (status, {"error_code": "UNAVAILABLE", "message": "not now"}))


def _warehouse(state: str, **changes: Any) -> Any:
    return partial(_workspace, warehouses=lambda: {WAREHOUSE: warehouse(state, **changes)})


def _cluster(state: str, **changes: Any) -> Any:
    target = {"http_path": CLUSTER_PATH}
    return partial(_workspace, target=target, clusters=lambda: {CLUSTER: cluster(state, **changes)})


def _service_principal(client_secret: str, **state: Any) -> Any:
    login = {"auth_type": "oauth", "client_id": CLIENT}
    return partial(_workspace, secret=("client_secret", client_secret), target=login, **state)


_unheard = partial(Case, waits=True, patience=_PATIENCE)
"""Where no answer of the workspace's comes."""

ENGINE = Engine(
    plugin="databricks",
    requirements="dbt-databricks.txt",
    modules=("dbt.adapters.databricks", "databricks.sql"),
    about="dbt-core 1.11.16, dbt-databricks 1.12.7, databricks-sql-connector 4.4.0, databricks-sdk 0.117.0. "
    "No workspace can be had here: **every row runs against a stand-in of our own**, which answers the REST "
    "API and OAuth in their published forms, and dbt's driver over Thrift as far as `dbt debug` goes: a "
    "session starts compute that rests, and a statement answers 1. What a real warehouse says of a "
    "catalog or of rights in a session is not in it. dbt's driver makes one attempt here "
    "(`connection_parameters`), of thirty. Where the host does not answer, dbt's SDK tries again for 300 "
    "s, which no key shortens: such a "
    f"`dbt debug` took 310 s, and is given up here after {_PATIENCE:.0f} s.",
    cases=(
        Case("all well", _workspace),
        Case("all well, a cluster", _cluster("RUNNING")),
        Case("all well, hive_metastore", partial(_workspace, target={"database": None})),
        Case("wrong token", partial(_workspace, secret=("token", "dapi-wrong-0123456789"))),
        Case("expired token", partial(_workspace, secret=("token", EXPIRED))),
        Case("all well, service principal", _service_principal(SECRET)),
        Case("service principal, wrong secret", _service_principal("dose-wrong-secret-0123")),
        Case("service principal, its token is refused", _service_principal(SECRET, tokens=frozenset())),
        Case("all well, identity token of a file", _federated),
        Case("warehouse stopped, serverless", _warehouse("STOPPED")),
        Case("warehouse stopped, classic", _warehouse("STOPPED", enable_serverless_compute=False)),
        Case("warehouse stopping", _warehouse("STOPPING")),
        Case("warehouse stopped, does not resume", _warehouse("STOPPED", auto_resume=False)),
        Case("warehouse stopped, its last start failed", _warehouse(
            "STOPPED", health={"status": "FAILED", "summary": "cannot launch"},
        )),
        Case("warehouse starting", _warehouse("STARTING"), waits=True),
        Case("warehouse running, called degraded", _warehouse(
            "RUNNING", health={"status": "DEGRADED", "summary": "1 of 2 clusters failed"},
        )),
        Case("warehouse deleted", _warehouse("DELETED")),
        Case("warehouse being deleted", _warehouse("DELETING")),
        Case("warehouse missing", partial(_workspace, warehouses=dict)),
        Case("cluster terminated", _cluster("TERMINATED")),
        Case("cluster starting", _cluster("PENDING"), waits=True),
        Case("cluster of a job, terminated", _cluster("TERMINATED", cluster_source="JOB")),
        Case("cluster in error", _cluster("ERROR")),
        Case("cluster missing", partial(
            _workspace, target={"http_path": CLUSTER_PATH}, clusters=dict,
        )),
        Case("may not see the warehouse", partial(_workspace, refused={
            "/sql/warehouses/": _denied("no permission on endpoint"),
            WAREHOUSE_PATH: (403, {}),
        })),
        Case("catalog missing", partial(_workspace, target={"database": "nowhere"})),
        Case("may not use the catalog", partial(_workspace, refused={
            "/catalogs/": _denied("no USE CATALOG on Catalog 'main'"),
        })),
        Case("schema missing", partial(_workspace, target={"schema": "gone"})),
        Case("schema missing, and none may be created", partial(
            _workspace, target={"schema": "gone"}, grants=(grant(_GROUP, "USE_CATALOG"),),
        )),
        Case("may not use the schema", partial(_workspace, refused={
            "/schemas/": _denied("no USE SCHEMA on Schema 'main.marts'"),
        })),
        Case("may not create tables", partial(
            _workspace, grants=(grant(_GROUP, "USE_CATALOG", "USE_SCHEMA"),),
        )),
        Case("rights are not shown", partial(_workspace, refused={
            "/effective-permissions/": _denied("not an owner"),
        })),
        Case("answers 429", partial(_workspace, refused=_everywhere(429), retry_after="7")),
        Case("answers 503", partial(_workspace, refused=_everywhere(503))),
        Case("answers 500", partial(_workspace, status=500)),
        _unheard("redirects to a login", partial(_workspace, moved="https://login.invalid/")),
        Case("a page of a login", partial(_workspace, page=True)),
        _unheard("certificate under unknown roots", partial(_workspace, trusted=False)),
        _unheard("unknown host", partial(_workspace, target={
            "host": "nowhere.invalid", "connection_parameters": dict(_QUICK),
        })),
        _unheard("connection refused", partial(_fault, fault=Fault.REFUSE)),
        _unheard("packets dropped", partial(_fault, fault=Fault.BLACKHOLE)),
        _unheard("accepts and never answers", partial(_fault, fault=Fault.HANG)),
        _unheard("connection reset", partial(_fault, fault=Fault.RESET)),
        _unheard("hangs after the first answers", partial(
            _fault, fault=Fault.HANG_AFTER, after=1900,
        )),
        _unheard("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1)),
    ),
)  # fmt: skip
