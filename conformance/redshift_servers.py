"""A real Postgres that dbt's driver for Redshift can use.

The driver fails at SCRAM, and a Postgres refuses what the driver tells of itself at the start. So the server
keeps its passwords as MD5, and a proxy before it lets three parameters through, and serves TLS, which the
package's build of Postgres lacks. Privileges, and the refusals of the server, are Postgres' own.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
from contextlib import suppress
from functools import cache
from typing import Self

from conformance.postgres_servers import LOOPBACK, PASSWORD, Cluster, embedded
from conformance.redshift_aws_standin import TEMPORARY

_KEPT = ("user", "database", "application_name")
_TLS_REQUEST = 80877103
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


@cache
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


class Front:
    """A proxy on a free port before that server; with a TLS context it agrees to TLS."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.behind, self.tls = port, tls
        self._server = _Server((LOOPBACK, 0), _Connection)
        self._server.front = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    front: Front

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error here."""


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        with suppress(OSError, EOFError):
            self._serve()

    def finish(self) -> None:
        self.request.close()  # within TLS it is another than the server's

    def _serve(self) -> None:
        kind, body = self._startup()
        if kind == _TLS_REQUEST:
            if self.server.front.tls is None:
                self.request.sendall(b"N")
            else:
                self.request.sendall(b"S")
                self.request = self.server.front.tls.wrap_socket(self.request, server_side=True)
            kind, body = self._startup()
        parts = body.split(b"\0")
        given = dict(zip(parts[::2], parts[1::2], strict=False))
        kept = b"".join(
            name.encode() + b"\0" + given[name.encode()] + b"\0" for name in _KEPT if name.encode() in given
        )
        packet = struct.pack("!I", kind) + kept + b"\0"
        with socket.create_connection((LOOPBACK, self.server.front.behind), 10) as behind:
            behind.settimeout(None)
            behind.sendall(struct.pack("!I", len(packet) + 4) + packet)
            back = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
            back.start()
            _copy(self.request, behind)
            back.join(10)

    def _startup(self) -> tuple[int, bytes]:
        (length, kind) = struct.unpack("!II", self._exactly(8))
        return kind, self._exactly(length - 8)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.request.recv(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends; then the sink is told."""
    with suppress(OSError, ssl.SSLError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
