"""A real Postgres that dbt's driver for Redshift can use.

The driver fails at SCRAM, and a Postgres refuses what the driver tells of itself at the start. So the server
keeps its passwords as MD5, and a proxy before it lets three parameters through, and serves TLS, which the
package's build of Postgres lacks. Privileges, and the refusals of the server, are Postgres' own.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import suppress

from conformance.loopback_server import LOOPBACK, LoopbackServer
from conformance.postgres_protocol import PostgresHandler, parameters_in, sized
from conformance.postgres_servers import PASSWORD, Cluster, embedded
from conformance.redshift_aws_standin import TEMPORARY
from conformance.shared_servers import started_once

_KEPT = ("user", "database", "application_name")
_HBA = """
local   all all                    trust
host    all unlisted  127.0.0.1/32 reject
host    all all       127.0.0.1/32 md5
"""
_ROLES = """
CREATE ROLE dbt LOGIN PASSWORD {pw};
CREATE ROLE reader LOGIN PASSWORD {pw};
CREATE ROLE unlisted LOGIN PASSWORD {pw};
CREATE ROLE no_login NOLOGIN PASSWORD {pw};
CREATE ROLE single LOGIN PASSWORD {pw} CONNECTION LIMIT 1;
CREATE ROLE hurried LOGIN PASSWORD {pw};
ALTER ROLE hurried SET statement_timeout = '5ms';
CREATE ROLE builders;
CREATE ROLE others;
GRANT builders TO reader;
CREATE ROLE "IAM:dbt" LOGIN PASSWORD '{temporary}' IN ROLE dbt;
CREATE DATABASE analytics OWNER dbt;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE analytics FROM PUBLIC
"""
_SCHEMAS = """
CREATE SCHEMA marts AUTHORIZATION dbt;
GRANT USAGE ON SCHEMA marts TO reader;
CREATE SCHEMA AUTHORIZATION builders;
CREATE SCHEMA AUTHORIZATION hurried;
CREATE SCHEMA AUTHORIZATION single
"""


@started_once
def server() -> Cluster:
    """The one server; it ends with this process."""
    import psycopg  # noqa: PLC0415 - only where cases run

    cluster = Cluster(embedded(), {"fsync": "off", "password_encryption": "md5"})
    cluster.tool("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
    cluster.place("pg_hba.conf", _HBA.encode())
    cluster.start()
    password = psycopg.sql.Literal(PASSWORD).as_string()
    cluster.execute(_ROLES.format(pw=password, temporary=TEMPORARY))
    cluster.execute(_SCHEMAS, "analytics")
    return cluster


class Front(LoopbackServer):
    """A proxy on a free port before that server; with a TLS context it agrees to TLS."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.behind, self.tls = port, tls
        super().__init__(_Connection)


class _Connection(PostgresHandler):
    owner: Front

    def serve(self) -> None:
        kind, body, _ = self.startup(self.owner.tls)
        given = parameters_in(body)
        kept = "".join(f"{name}\0{given[name]}\0" for name in _KEPT if name in given)
        with socket.create_connection((LOOPBACK, self.owner.behind), 10) as behind:
            behind.settimeout(None)
            behind.sendall(sized(struct.pack("!I", kind) + kept.encode() + b"\0"))
            back = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
            back.start()
            _copy(self.request, behind)
            back.join(10)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends; then the sink is told."""
    with suppress(OSError, ssl.SSLError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
