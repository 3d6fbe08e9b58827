"""Trino: a real server, and a stand-in for what that is not brought into here."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import trino_server, trino_standin
from conformance.cases import Case, Engine, Situation
from conformance.engines import rest_catalogs
from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET, NAMESPACE
from conformance.loopback_server import LOOPBACK, server_tls
from conformance.rest_catalogs import WAREHOUSE, IcebergRest, Nessie
from conformance.shared_servers import kept_folder, kept_open, started_once
from conformance.trino_catalogs import iceberg_over_rest
from conformance.trino_standin import PASSWORD, basic
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.trino_server import TrinoServer

VARIABLE = "CONFORMANCE_TRINO_SECRET"
_ENVIRONMENT = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", "PYTHONWARNINGS": "ignore"}


@started_once
def server() -> TrinoServer:
    """The one that all cases share."""
    if problem := trino_server.unavailable(build=True):
        raise RuntimeError(problem)
    return kept_open(trino_server.TrinoServer(kept_folder("trino"), _icebergs()))


def _icebergs() -> dict[str, dict[str, object]]:
    """Over Iceberg's own REST catalog and Nessie's; `away` leads to where nobody listens."""
    made = partial(
        iceberg_over_rest,
        warehouse=WAREHOUSE,
        store=rest_catalogs.store().store,
        keys=(CLIENT_ID, CLIENT_SECRET),
    )
    away = kept_open(FaultProxy(fault=Fault.REFUSE))
    return {
        "lake": made(rest_catalogs.serving(IcebergRest).uri),
        "nessie": made(rest_catalogs.serving(Nessie).uri),
        "away": made(f"http://{LOOPBACK}:{away.port}"),
    }


def _situation(port: int, secret: tuple[str, str] | None = None, **changes: Any) -> Situation:
    base = {
        "method": "none", "host": LOOPBACK, "port": port, "user": "dbt", "database": "memory",
        "schema": "marts", "retries": 1,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    if secret is None:
        return Situation({"connection": connection}, environment=_ENVIRONMENT)
    name, value = secret
    return Situation({"connection": connection}, {name: VARIABLE}, {**_ENVIRONMENT, VARIABLE: value})


@contextmanager
def _server(folder: Path, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    yield _situation(server().port, **changes)


@contextmanager
def _https(
    folder: Path,
    *,
    password: str | None = PASSWORD,
    token: Callable[[TrinoServer], str] | None = None,
    certificate: bool = False,
    bundle: bool = False,
    **changes: Any,
) -> Iterator[Situation]:
    """`bundle`: the roots are those of REQUESTS_CA_BUNDLE, whatever `cert` says."""
    real = server()
    login: dict[str, Any] = {"method": "ldap", "secret": ("password", password)}
    if token is not None:
        login = {"method": "jwt", "secret": ("jwt_token", token(real)), "user": None}
    elif certificate:
        files = {
            "client_certificate": str(real.client_certificate),
            "client_private_key": str(real.client_key),
        }
        login = {"method": "certificate", "user": None, **files}
    roots = str(shutil.copy(real.authority, folder / "roots.pem"))
    found = _situation(real.tls_port, **{"host": "localhost", "cert": roots, **login, **changes})
    yield replace(found, environment={**found.environment, "REQUESTS_CA_BUNDLE": roots}) if bundle else found


@contextmanager
def _other_port(folder: Path, *, tls: bool) -> Iterator[Situation]:  # noqa: ARG001
    """HTTP to the port of HTTPS, or the other way round."""
    real = server()
    yield _situation(real.port, http_scheme="https") if tls else _situation(real.tls_port)


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with FaultProxy(server().port, fault, **options) as proxy:
        yield _situation(proxy.port)


@contextmanager
def _standin(folder: Path, **state: Any) -> Iterator[Situation]:  # noqa: ARG001
    with trino_standin.StandIn(**state) as standin:
        yield replace(_situation(standin.port), stand_in=True)


@contextmanager
def _leading_to_http(folder: Path) -> Iterator[Situation]:
    """TLS ends before a coordinator that does not know of it."""
    context, root = server_tls(folder, "localhost")
    with FaultProxy(fault=Fault.REFUSE) as nowhere:
        site = f"http://{LOOPBACK}:{nowhere.port}"
        logins = frozenset({basic("dbt")})
        with trino_standin.StandIn(tls=context, logins=logins, next_site=site) as standin:
            secret = ("password", PASSWORD)
            found = _situation(standin.port, secret, method="ldap", host="localhost", cert=str(root))
            yield replace(found, stand_in=True)


def _expired(real: TrinoServer) -> str:
    return real.token("dbt", -60)


def _fresh(real: TrinoServer) -> str:
    return real.token("dbt")


ENGINE = Engine(
    plugin="trino",
    requirements="dbt-trino.txt",
    modules=("dbt.adapters.trino", "trino.dbapi"),
    about="dbt-core 1.11.16, dbt-trino 1.11.0, trino 0.340.0. The server is Trino 476 with its catalogs "
    "memory and tpch, and Iceberg tables of Iceberg's own REST catalog and of Nessie, "
    "file-based access control and resource groups, and the logins PASSWORD, JWT and "
    "CERTIFICATE over HTTPS; the situations marked *stand-in* run against a small server of our own. "
    "`dbt debug` runs `select 1`. dbt-trino has no key for a time limit: its driver waits 30 s for each "
    "answer, and without end for a query that is queued.",
    cases=(
        Case("all well", _server, timeout=30),
        Case("all well, by host name", partial(_server, host="localhost"), timeout=30),
        Case("all well, with a session", partial(
            _server, session_properties={"query_max_run_time": "1h"}, client_tags=["dbt"], timezone="UTC",
            roles={"memory": "builder"}, http_headers={"X-Team": "marts"},
        ), timeout=30),
        Case("schema missing", partial(_server, schema="gone"), timeout=30),
        Case("schema missing, and none may be created", partial(
            _server, user="tables_only", schema="never",
        ), timeout=30),
        Case("schema whose name needs quotes", partial(_server, schema="my-schema"), timeout=30),
        Case("may read only", partial(_server, user="reader"), timeout=30),
        Case("may not see the catalog", partial(_server, user="stranger"), timeout=30),
        Case("may not see system.metadata", partial(_server, user="no_metadata"), timeout=30),
        Case("may not query", partial(_server, user="no_query")),
        Case("catalog missing", partial(_server, database="nowhere"), timeout=30),
        Case("catalog that makes no tables", partial(_server, database="tpch", schema="tiny"), timeout=30),
        Case("Iceberg REST catalog, all well", partial(
            _server, database="lake", schema=NAMESPACE,
        ), timeout=60),
        Case("Iceberg REST catalog, schema missing", partial(_server, database="lake"), timeout=60),
        Case("Iceberg REST catalog, may read only", partial(
            _server, database="lake", schema=NAMESPACE, user="reader",
        ), timeout=60),
        Case("Nessie, all well", partial(_server, database="nessie", schema=NAMESPACE), timeout=60),
        Case("Iceberg REST catalog is away", partial(_server, database="away", schema=NAMESPACE), timeout=60),
        Case("role not granted", partial(_server, roles={"system": "builder"})),
        Case("session property unknown", partial(_server, session_properties={"no_such": 1})),
        Case("time zone unknown", partial(_server, timezone="Nowhere/Here")),
        Case("queue full", partial(_server, user="full")),
        Case("queued for ever", partial(_server, user="stuck"), timeout=15, waits=True),
        Case("fewer workers than wanted", partial(
            _server, session_properties={"required_workers_count": 2},
        ), timeout=30, waits=True),
        Case("HTTPS, all well, password", _https, timeout=30),
        Case("HTTPS, all well, impersonation", partial(
            _https, user="service", impersonation_user="dbt",
        ), timeout=30),
        Case("HTTPS, impersonation refused", partial(_https, user="service", impersonation_user="reader")),
        Case("HTTPS, wrong password", partial(_https, password="wrong")),  # noqa: S106
        Case("HTTPS, all well, JWT", partial(_https, token=_fresh), timeout=30),
        Case("HTTPS, expired JWT", partial(_https, token=_expired)),
        Case("HTTPS, all well, certificate", partial(_https, certificate=True), timeout=30),
        Case("HTTPS, certificate not verified", partial(_https, cert=False), timeout=30),
        Case("HTTPS, certificate under unknown roots", partial(_https, cert=True)),
        Case("HTTPS, roots of REQUESTS_CA_BUNDLE in place of cert", partial(
            _https, cert=False, bundle=True,
        ), timeout=30),
        Case("HTTP to the port of HTTPS", partial(_other_port, tls=False)),
        Case("HTTPS to the port of HTTP", partial(_other_port, tls=True)),
        Case("unknown host", partial(_server, host="nowhere.invalid")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET)),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE)),
        Case("hangs after the first answers", partial(_fault, fault=Fault.HANG_AFTER, after=700), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
        Case("stand-in: all well", _standin),
        Case("stand-in: coordinator starting", partial(_standin, starting=True)),
        Case("stand-in: answers 503", partial(_standin, status=503)),
        Case("stand-in: answers 502", partial(_standin, status=502)),
        Case("stand-in: the query never ends", partial(_standin, stuck="RUNNING"), waits=True),
        Case("stand-in: answers lead from HTTPS to HTTP", _leading_to_http),
    ),
)  # fmt: skip
