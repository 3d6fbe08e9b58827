"""ClickHouse: today's engine behind a front, Debian's old but real server, and a stand-in for the rest."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import clickhouse_servers, clickhouse_standin
from conformance.cases import Case, Engine, Situation
from conformance.clickhouse_servers import PASSWORD, Front, OldServer, Profile
from conformance.loopback_server import LOOPBACK
from conformance.shared_servers import kept_folder, kept_open, started_once
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE = "CONFORMANCE_CLICKHOUSE_PASSWORD"
_MARTS = Profile(statements=("CREATE DATABASE marts ENGINE = Atomic",))
_READER = ("SELECT ON default.*", "SHOW ON *.*")


@started_once
def shared(profile: Profile | None) -> Front | OldServer:
    """For all cases that change nothing in it; Debian's server for None."""
    place = kept_folder("clickhouse") / "server"
    if profile is not None:
        return kept_open(Front(place, profile))
    if problem := clickhouse_servers.old_unavailable():
        raise RuntimeError(problem)
    return kept_open(OldServer(place))


def _situation(
    port: int, password: str = PASSWORD, environment: dict[str, str] | None = None, **changes: Any
) -> Situation:
    base = {
        "host": LOOPBACK, "port": port, "driver": "http", "user": clickhouse_servers.USER, "schema": "marts",
        "retries": 0, "connect_timeout": 4,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    values = {VARIABLE: password, **(environment or {})}
    return Situation({"connection": connection}, {"password": VARIABLE}, values)


@contextmanager
def _front(folder: Path, profile: Profile = _MARTS, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    yield _situation(shared(profile).port, **changes)


@contextmanager
def _own_front(folder: Path, profile: Profile = _MARTS, **changes: Any) -> Iterator[Situation]:
    """For cases in which something is made or used up."""
    with Front(folder / "server", profile) as front:
        yield _situation(front.port, **changes)


@contextmanager
def _https(folder: Path, *, trusted: bool = True, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    front = shared(replace(_MARTS, tls=True))
    environment = {"SSL_CERT_FILE": str(front.authority)} if trusted else None
    yield _situation(front.port, environment=environment, **{"host": "localhost", "secure": True, **changes})


@contextmanager
def _old(
    folder: Path,  # noqa: ARG001
    *,
    native: bool = False,
    other_port: bool = False,
    **changes: Any,
) -> Iterator[Situation]:
    """`other_port`: that of the other protocol."""
    server = shared(None)
    if not isinstance(server, OldServer):
        raise TypeError(server)
    if changes.get("user") == "spent":
        with suppress(OSError):  # so it answers from the second time on
            server.execute("SELECT 1", "spent")
    port = server.native_port if native is not other_port else server.port
    driver = "native" if native else "http"
    limits = {"send_receive_timeout": 4}
    yield _situation(port, **{"driver": driver, "schema": "default", **limits, **changes})


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with FaultProxy(shared(_MARTS).port, fault, **options) as proxy:
        yield _situation(proxy.port, connect_timeout=2, send_receive_timeout=2)


@contextmanager
def _standin(
    folder: Path,  # noqa: ARG001
    *,
    native: bool = False,
    connection: dict[str, Any] | None = None,
    **state: Any,
) -> Iterator[Situation]:
    with clickhouse_standin.StandIn(**state) as standin:
        port = standin.native_port if native else standin.port
        driver = "native" if native else "http"
        found = _situation(port, driver=driver, **(connection or {}))
        yield replace(found, stand_in=True)


_BUSY = {"SELECT": (202, "Too many simultaneous queries. Maximum: 100. (TOO_MANY_SIMULTANEOUS_QUERIES)")}
_FULL = {"SELECT": (241, "(total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)")}

ENGINE = Engine(
    plugin="clickhouse",
    requirements="dbt-clickhouse.txt",
    unavailable=clickhouse_servers.old_unavailable,
    modules=("dbt.adapters.clickhouse", "clickhouse_connect", "clickhouse_driver"),
    about="dbt-core 1.11.16, dbt-clickhouse 1.10.3 with clickhouse-connect 1.12.0 and clickhouse-driver "
    "0.2.11. There is no package of today's server. Its engine, 26.9, is the library chdb, which speaks no "
    "protocol: it runs behind a small HTTP front of our own, whose passwords and HTTP statuses are its own; "
    "what is said to statements, settings, rights and quotas is the engine's. Situations marked *18.16* run "
    "against Debian's server, which is real, in both protocols, and older than dbt-clickhouse; those marked "
    "*stand-in* against a small server of our own. `dbt debug` creates the database and two tables, which a "
    "probe does not.",
    cases=(
        Case("all well", _front, timeout=30),
        Case("all well, with settings", partial(
            _front, custom_settings={"max_threads": 2, "join_use_nulls": True},
        ), timeout=30),
        Case("database of an engine that exchanges no tables", partial(_front, schema="default"), timeout=30),
        Case("database missing", partial(_own_front, schema="fresh"), timeout=30),
        Case("database missing, with an engine", partial(
            _own_front, schema="fresh", database_engine="Atomic",
        ), timeout=30),
        Case("database missing, and its engine unknown", partial(
            _front, schema="gone", database_engine="Nonsense",
        )),
        Case("database missing, and none may be created", partial(
            _front, profile=Profile(grants=_READER), schema="gone",
        )),
        Case("may read only", partial(_front, profile=Profile(grants=_READER), schema="default"), timeout=30),
        Case("may not see databases", partial(
            _front, profile=Profile(grants=("SELECT ON default.*",)), schema="default",
        )),
        Case("wrong password", partial(_front, password="wrong")),  # noqa: S106
        Case("unknown user", partial(_front, user="nobody")),
        Case("read-only profile (readonly = 1)", partial(
            _front, profile=Profile(settings=(("readonly", "1"),)), schema="default",
        )),
        Case("read-only profile (readonly = 2)", partial(
            _front, profile=Profile(settings=(("readonly", "2"),)), schema="default",
        ), timeout=30),
        Case("read-only profile (readonly = 2), database missing", partial(
            _front, profile=Profile(settings=(("readonly", "2"),)), schema="gone",
        )),
        Case("DDL prohibited", partial(
            _front, profile=Profile(settings=(("allow_ddl", "0"),)), schema="default",
        ), timeout=30),
        Case("quota exceeded", partial(_own_front, profile=Profile(queries=1), schema="default")),
        Case("setting unknown", partial(_front, custom_settings={"no_such": 1})),
        Case("setting of a wrong value", partial(_front, custom_settings={"max_threads": "many"})),
        Case("cluster unknown", partial(_front, cluster="nowhere"), timeout=30),
        Case("cluster unknown, database missing", partial(_front, cluster="nowhere", schema="gone")),
        Case("cluster with a replica that is down", partial(_front, cluster="lame"), timeout=30),
        Case("HTTPS, all well", _https, timeout=30),
        Case("HTTPS, certificate under unknown roots", partial(_https, trusted=False)),
        Case("HTTPS, certificate for another name", partial(_https, server_host_name="other.example")),
        Case("HTTPS, certificate not verified", partial(_https, trusted=False, verify=False), timeout=30),
        Case("HTTP to the port of HTTPS", partial(_https, secure=None)),
        Case("HTTPS to the port of HTTP", partial(_front, secure=True)),
        Case("unknown host", partial(_front, host="nowhere.invalid")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET)),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE)),
        Case("hangs after the first answers", partial(_fault, fault=Fault.HANG_AFTER, after=300), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
        Case("18.16: older than dbt-clickhouse, HTTP", _old),
        Case("18.16: older than dbt-clickhouse, native", partial(_old, native=True)),
        Case("18.16: wrong password, HTTP", partial(_old, password="wrong")),  # noqa: S106
        Case("18.16: wrong password, native", partial(_old, native=True, password="wrong")),  # noqa: S106
        Case("18.16: unknown user, HTTP", partial(_old, user="nobody")),
        Case("18.16: unknown user, native", partial(_old, native=True, user="nobody")),
        Case("18.16: quota exceeded", partial(_old, user="spent")),
        Case("18.16: HTTP to the port of the native protocol", partial(_old, other_port=True)),
        Case("18.16: native protocol to the port of HTTP", partial(
            _old, native=True, other_port=True,
        ), waits=True),
        Case("18.16: TLS to the port of the native protocol", partial(_old, native=True, secure=True)),
        Case("stand-in: all well", _standin),
        Case("stand-in: all well, native", partial(_standin, native=True)),
        Case("stand-in: wrong password, native", partial(_standin, native=True, users={"dbt": "another"})),
        Case("stand-in: setting unknown, native", partial(
            _standin, native=True, connection={"custom_settings": {"no_such": 1}},
        )),
        Case("stand-in: read-only profile, native", partial(_standin, native=True, readonly="1")),
        Case("stand-in: cluster, all well", partial(_standin, connection={"cluster": "main"})),
        Case("stand-in: answers 503", partial(_standin, status=503)),
        Case("stand-in: answers 502", partial(_standin, status=502)),
        Case("stand-in: too many queries", partial(_standin, refused=_BUSY)),
        Case("stand-in: out of memory, native", partial(_standin, native=True, refused=_FULL)),
    ),
)  # fmt: skip
