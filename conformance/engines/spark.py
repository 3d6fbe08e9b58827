"""Spark: a real Thrift server, and a stand-in for what that cannot be: strict, encrypted, or Databricks."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from conformance.cases import Case, Engine, Situation
from conformance.environments import ROOT
from conformance.loopback_server import LOOPBACK, server_tls
from conformance.shared_servers import kept_folder, kept_open, started_once
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
VARIABLE = "CONFORMANCE_SPARK_SECRET"
CLUSTER = "0123-456789-abcdefgh"


@cache
def _module(name: str) -> Any:
    """Of the plugin's tests."""
    path = ROOT / "plugins" / "spark" / "tests" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"spark_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@started_once
def _real() -> int:
    """The port of the one server."""
    server = _module("realserver")
    if problem := server.unavailable(build=True):
        raise RuntimeError(problem)
    port: int = kept_open(server.running(kept_folder("spark")))
    return port


def _situation(port: int, secret: tuple[str, str] | None = None, **changes: Any) -> Situation:
    base = {
        "method": "thrift", "host": LOOPBACK, "port": port, "user": "dbt", "schema": "default",
        "connect_retries": 0,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    if secret is None:
        return Situation({"connection": connection})
    return Situation({"connection": connection}, {secret[0]: VARIABLE}, {VARIABLE: secret[1]})


@contextmanager
def _server(folder: Path, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    yield _situation(**{"port": _real(), **changes})


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with FaultProxy(_real(), fault, **options) as proxy:
        yield _situation(proxy.port)


@contextmanager
def _standin(
    folder: Path,  # noqa: ARG001
    *,
    options: dict[str, Any],
    prepare: Callable[[Any, Any], None] | None = None,
    **changes: Any,
) -> Iterator[Situation]:
    lab = _module("standin")
    server = lab.StandIn(**options)
    if prepare is not None:
        prepare(server, lab)
    try:
        yield replace(_situation(server.port, **changes), stand_in=True)
    finally:
        server.close()


@contextmanager
def _tls(
    folder: Path, *, http: bool = False, token: str = PASSWORD, state: str = "RUNNING"
) -> Iterator[Situation]:
    context, root = server_tls(folder, "localhost")
    api = {"/api/2.0/clusters/get": (200, {"state": state})}
    options = {"tls": context, "http": http, "token": PASSWORD, "api": api}
    if not http:
        with _standin(folder, options=options, use_ssl=True) as situation:
            yield situation
        return
    changes: dict[str, Any] = {"method": "http", "host": "localhost", "user": None, "cluster": CLUSTER}
    with _standin(folder, options=options, secret=("token", token), **changes) as situation:
        yield replace(situation, environment={**situation.environment, "SSL_CERT_FILE": str(root)})


def _denying(server: Any, lab: Any) -> None:
    server.answers.given["EXPLAIN"] = lab.DENIED


def _stalling(server: Any, lab: Any) -> None:
    server.answers.given["select"] = lab.STALL


_LDAP = {"auth": "LDAP", "password": PASSWORD}

ENGINE = Engine(
    plugin="spark",
    requirements="dbt-spark.txt",
    modules=("dbt.adapters.spark", "pyhive.hive"),
    about="dbt-core 1.11.16, dbt-spark 1.11.0, PyHive 0.7.0. The server is the Thrift server of Spark 4.3.0; "
    "the situations marked *stand-in* are those it cannot be brought into here: they run against a small "
    "server of our own that speaks PyHive's protocol. `dbt debug` only connects and runs `select 1`.",
    cases=(
        Case("all well", _server, timeout=30),
        Case("all well, by host name", partial(_server, host="localhost"), timeout=30),
        Case("all well, with server_side_parameters", partial(
            _server, server_side_parameters={"spark.sql.shuffle.partitions": "4"},
        ), timeout=30),
        Case("schema missing", partial(_server, schema="gone"), timeout=30),
        Case("schema whose name needs quotes", partial(_server, schema="my-schema"), timeout=30),
        Case("login expected there, auth: NOSASL here", partial(_server, auth="NOSASL")),
        Case("TLS expected here, none there", partial(_server, use_ssl=True)),
        Case("unknown host", partial(_server, host="nowhere.invalid")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET)),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE)),
        Case("hangs after the login", partial(_fault, fault=Fault.HANG_AFTER, after=5), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
        Case("stand-in: all well, LDAP", partial(
            _standin, options=_LDAP, auth="LDAP", secret=("password", PASSWORD),
        )),
        Case("stand-in: wrong password, LDAP", partial(
            _standin, options=_LDAP, auth="LDAP", secret=("password", "wrong"),
        )),
        Case("stand-in: all well, NOSASL", partial(_standin, options={"auth": "NOSASL"}, auth="NOSASL")),
        Case("stand-in: no right to create", partial(_standin, options={}, prepare=_denying)),
        Case("stand-in: the query never ends", partial(_standin, options={}, prepare=_stalling), waits=True),
        Case("stand-in: all well, TLS", _tls),
        Case("stand-in: a cluster, all well", partial(_tls, http=True)),
        Case("stand-in: a cluster, wrong token", partial(_tls, http=True, token="wrong")),  # noqa: S106
        Case("stand-in: a cluster, terminated", partial(_tls, http=True, state="TERMINATED")),
    ),
)  # fmt: skip
