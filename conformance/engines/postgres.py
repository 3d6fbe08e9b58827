"""Postgres: a server from the package index and, for TLS, the system's."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import pgbouncer
from conformance.cases import Case, Engine, Situation
from conformance.loopback_server import LOOPBACK
from conformance.postgres_servers import (
    PASSWORD,
    closed_standby,
    plain,
    standby,
    with_tls,
)
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.pgbouncer import Pooler
    from conformance.postgres_servers import Cluster

VARIABLE = "CONFORMANCE_PG_PASSWORD"
_addresses = threading.Lock()


def _situation(port: int, password: str | None = PASSWORD, **changes: Any) -> Situation:
    base = {
        "host": LOOPBACK, "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts",
        "connect_timeout": 2, "retries": 0,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    threads = {"threads": connection.pop("threads")} if "threads" in connection else {}
    return Situation(
        {"connection": connection, **threads},
        {} if password is None else {"password": VARIABLE},
        {} if password is None else {VARIABLE: password},
    )


@contextmanager
def _server(folder: Path, which: Callable[[], Cluster] = plain, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    cluster = which()
    yield _situation(**{"port": cluster.port, **changes})


@contextmanager
def _tls(folder: Path, **changes: Any) -> Iterator[Situation]:
    """`ssl…` names of files are looked up in the case's directory."""
    cluster, files = with_tls()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    for key in ("sslrootcert", "sslcert", "sslkey"):
        if key in changes:
            changes[key] = str(folder / changes[key])
    yield _situation(cluster.port, **changes)


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    cluster = plain()
    with FaultProxy(cluster.port, fault, **options) as proxy:
        yield _situation(proxy.port)


@contextmanager
def _hosts(folder: Path, hosts: str, wanted: str | None = None, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    """At the primary's port of other addresses: a standby (127.0.0.2), one that starts up (127.0.0.3) and
    one that accepts and never answers (127.0.0.4). `wanted` is PGTARGETSESSIONATTRS."""
    cluster, copies = plain(), (("127.0.0.2", standby()), ("127.0.0.3", closed_standby()))
    # One situation at a time has these addresses.
    with _addresses, ExitStack() as stack:
        for address, copy in copies:
            _at_port_of(cluster, address, stack, copy.port)
        _at_port_of(cluster, "127.0.0.4", stack)
        found = _situation(cluster.port, host=hosts, **changes)
        environment = {} if wanted is None else {"PGTARGETSESSIONATTRS": wanted}
        yield replace(found, environment={**found.environment, **environment})


def _at_port_of(cluster: Cluster, address: str, stack: ExitStack, port: int | None = None) -> None:
    fault = Fault.PASS if port is not None else Fault.HANG
    stack.enter_context(FaultProxy(port, fault, host=address, port=cluster.port))


@contextmanager
def _pooled(
    folder: Path,  # noqa: ARG001
    before: Callable[[Pooler], None] | None = None,
    pool_mode: str = "transaction",
    **changes: Any,
) -> Iterator[Situation]:
    """Through pgbouncer with one connection to the server; `before` is what another client does there."""
    cluster = plain()
    users = dict.fromkeys(("dbt", "reader"), PASSWORD)
    databases = {"analytics": "dbname=analytics", "alias": "dbname=analytics"}
    with pgbouncer.pooler(
        cluster.port, users, databases, binaries=cluster.binaries, pool_mode=pool_mode, pool_size=1
    ) as pooler:
        if before is not None:
            before(pooler)
        yield _situation(pooler.port, **changes)


def _leave_role(pooler: Pooler) -> None:
    import psycopg  # noqa: PLC0415

    where: dict[str, Any] = {"host": LOOPBACK, "port": pooler.port, "dbname": "analytics"}
    with psycopg.connect(**where, user="reader", password=PASSWORD, autocommit=True) as connection:
        connection.execute("SET ROLE builders")


@contextmanager
def _options(folder: Path, options: str) -> Iterator[Situation]:
    with _server(folder, user="reader", schema="builders") as found:
        yield replace(found, environment={**found.environment, "PGOPTIONS": options})


@contextmanager
def _built_by_another(folder: Path) -> Iterator[Situation]:  # noqa: ARG001
    """The table that `dbt run` is to build is there, of the server's first user."""
    cluster = plain()
    cluster.execute(f"CREATE TABLE taken.built_table_{_BUILT_BY_ANOTHER.suffix} (amount int)", "analytics")
    yield _situation(cluster.port, schema="taken")


_BUILT_BY_ANOTHER = Case(
    "schema there, with the model's table of another owner", _built_by_another, warned=True
)


@contextmanager
def _password_file(folder: Path, content: bytes) -> Iterator[Situation]:
    """The variable of the profile is not set: none can have this content."""
    cluster = plain()
    (folder / "password").write_bytes(content)
    files = {"password": str(folder / "password")}
    yield replace(_situation(cluster.port), environment={}, credential_files=files)


@contextmanager
def _kept(folder: Path, host: str, former: str) -> Iterator[Situation]:  # noqa: ARG001
    """A connection is kept to `former`, where `host` led; the name leads now where the system's files say."""
    cluster = plain()
    with FaultProxy(cluster.port, host=former) as proxy:
        situation = _situation(proxy.port, host=host)
        fields = {**situation.fields, "connection_reuse": True}
        yield replace(situation, fields=fields, former_names={host: former})


@contextmanager
def _limit_reached(folder: Path) -> Iterator[Situation]:  # noqa: ARG001
    import psycopg  # noqa: PLC0415

    cluster = plain()
    with psycopg.connect(
        host=LOOPBACK, port=cluster.port, user="single", dbname="analytics", password=PASSWORD
    ):
        yield _situation(cluster.port, user="single")


ENGINE = Engine(
    plugin="postgres",
    requirements="dbt-postgres.txt",
    modules=("dbt.adapters.postgres", "psycopg2"),
    about="dbt-core 1.11.16, dbt-postgres 1.11.0, psycopg2 2.9.13. The server is Postgres 18.6 from the "
    "package index; in the cases about TLS, which that build lacks, Debian's Postgres 15; the pooler is "
    "Debian's pgbouncer 1.18; scram passwords. `dbt debug` only connects and runs a query: it passes where "
    "`dbt run` could build nothing, and there the monitor says DEGRADED. In the cases of a kept connection "
    "the target was validated once before, with "
    "`connection_reuse`, while `socket.getaddrinfo` answered with the name's former address.",
    cases=(
        Case("all well", _server),
        Case("all well, several schemas in search_path", partial(_server, search_path="marts, public")),
        Case("all well, a role", partial(
            _server, user="reader", role="builders", schema="builders",
        )),
        Case("all well, a role in PGOPTIONS", partial(_options, options="-c role=builders")),
        Case("all well, the second of two hosts", partial(_server, host="127.0.0.9,127.0.0.1")),
        Case("all well, by host name", partial(_server, host="localhost")),
        Case("two hosts, the first starting up", partial(_hosts, hosts="127.0.0.3,127.0.0.1")),
        Case("two hosts, the first never answers", partial(_hosts, hosts="127.0.0.4,127.0.0.1")),
        Case("two hosts, the first a standby", partial(_hosts, hosts="127.0.0.2,127.0.0.1")),
        Case("two hosts, the first a standby, PGTARGETSESSIONATTRS=read-write", partial(
            _hosts, hosts="127.0.0.2,127.0.0.1", wanted="read-write",
        )),
        Case("one host, a standby, PGTARGETSESSIONATTRS=primary", partial(
            _hosts, hosts="127.0.0.2", wanted="primary",
        )),
        Case("two hosts, none a standby, PGTARGETSESSIONATTRS=prefer-standby", partial(
            _hosts, hosts="127.0.0.3,127.0.0.1", wanted="prefer-standby",
        )),
        Case("one host, starting up", partial(_hosts, hosts="127.0.0.3")),
        Case("two hosts, password refused by the first", partial(
            _hosts, hosts="127.0.0.2,127.0.0.1", password="wrong",  # noqa: S106
        )),
        Case("schema missing, right to create it", partial(_server, schema="new")),
        Case("schema missing, no right to create it", partial(_server, user="reader", schema="forbidden")),
        Case("schema there, no right to create in it", partial(_server, user="reader")),
        Case("schema there, with a table of another owner", partial(_server, schema="shared")),
        _BUILT_BY_ANOTHER,
        Case("schema's name begins with pg_", partial(_server, schema="pg_marts")),
        Case("schema's name has 64 bytes", partial(_server, schema="m" * 64)),
        Case("schema's name has a quote", partial(_server, schema="dbt's")),
        Case("two schemas that differ in case alone", partial(_server, schema="twice")),
        Case("default_transaction_read_only", partial(_server, user="read_only")),
        Case("statement_timeout of 5 ms", partial(
            _server, user="hurried", schema="hurried",
        )),
        Case("idle_in_transaction_session_timeout of 5 ms", partial(
            _server, user="cut_off", schema="cut_off",
        )),
        Case("fewer connections than threads", partial(
            _server, user="single", schema="single", threads=4,
        ), apart=True),
        Case("fewer connections of the database than threads", partial(
            _server, dbname="narrow", threads=4,
        ), apart=True),
        Case("a hot standby", partial(_server, which=standby)),
        Case("wrong password", partial(_server, password="wrong")),  # noqa: S106
        Case("password file with NUL bytes", partial(
            _password_file, content=PASSWORD.encode("utf-16-le"),
        )),
        Case("no password", partial(_server, password=None)),
        Case("password expired", partial(_server, user="expired")),
        Case("unknown user", partial(_server, user="nobody")),
        Case("user without LOGIN", partial(_server, user="no_login")),
        Case("user rejected by pg_hba.conf", partial(_server, user="unlisted")),
        Case("unknown database", partial(_server, dbname="nothing")),
        Case("no CONNECT on the database", partial(_server, dbname="closed")),
        Case("database takes no connections", partial(_server, dbname="refusing")),
        Case("unknown role", partial(_server, role="missing")),
        Case("role not granted", partial(_server, user="reader", role="others")),
        Case("connection limit reached", _limit_reached),
        Case("through a pooler, all well", _pooled),
        Case("through a pooler, another client's role left", partial(
            _pooled, before=_leave_role, user="reader",
        )),
        Case("through a pooler, another name of the database", partial(_pooled, dbname="alias")),
        Case("through a pooler in statement mode", partial(_pooled, pool_mode="statement")),
        Case("through a pooler in statement mode, autocommit", partial(
            _pooled, pool_mode="statement", autocommit=True,
        )),
        Case("through a pooler, wrong password", partial(_pooled, password="wrong")),  # noqa: S106
        Case("through a pooler, a user it does not know", partial(_pooled, user="nobody")),
        Case("through a pooler, a database it does not know", partial(_pooled, dbname="nothing")),
        Case("through a pooler, search_path that it does not take", partial(_pooled, search_path="marts")),
        Case("a kept connection, all well", partial(_kept, host="localhost", former=LOOPBACK)),
        Case("a kept connection, its name moved since", partial(_kept, host="localhost", former="127.0.0.9")),
        Case("a kept connection, its name unknown since", partial(
            _kept, host="db.floe-monitor.invalid", former=LOOPBACK,
        )),
        Case("TLS, all well", partial(_tls, sslmode="verify-full", sslrootcert="root.pem")),
        Case("TLS, a client certificate", partial(
            _tls, password=None, user="certified", sslmode="verify-full", sslrootcert="root.pem",
            sslcert="client.pem", sslkey="client.key",
        )),
        Case("TLS, the client certificate not given", partial(_tls, password=None, user="certified")),
        Case("TLS, another root", partial(_tls, sslmode="verify-ca", sslrootcert="other.pem")),
        Case("TLS, no root file", partial(_tls, sslmode="verify-full", sslrootcert="missing.pem")),
        Case("TLS demanded by the server, disabled here", partial(_tls, user="tls_only", sslmode="disable")),
        Case("TLS demanded here, not there", partial(_server, sslmode="require")),
        Case("unknown host", partial(_server, host="nowhere.invalid")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET)),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE)),
        Case("hangs within the login", partial(_fault, fault=Fault.HANG_AFTER, after=40), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
    ),
)  # fmt: skip
