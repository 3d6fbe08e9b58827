"""A stand-in for a Spark Thrift server: real sockets and PyHive's own service code, no Spark behind it.

It answers the statements a probe runs, refuses or stalls those it is told to, and takes note of what it is
asked. What real Spark answers is held against it in `test_real_server.py`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import (
    CReadableTransport,
    TBufferedTransport,
    TMemoryBuffer,
    TTransportBase,
    TTransportException,
)

if TYPE_CHECKING:
    import ssl

OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
STALL = object()
MISSING = (
    "42704",
    "[SCHEMA_NOT_FOUND] The schema `spark_catalog`.`gone` cannot be found.",
    "org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException",
)
DENIED = (
    None,
    "Permission denied: user [dbt] does not have [create] privilege on [marts]",
    "org.apache.kyuubi.plugin.spark.authz.AccessControlException",
)
NO_SESSION = (
    None,
    "Invalid SessionHandle: SessionHandle [0]",
    "org.apache.hive.service.cli.HiveSQLException",
)


@dataclass
class Answers:
    """By the first words of a statement: columns, an error (SQLSTATE, message, class), or STALL."""

    given: dict[str, Any] = field(default_factory=dict)
    protocol: int = ttypes.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V6
    refuse_sessions: tuple[str | None, str, str] | None = None

    def to(self, statement: str) -> Any:
        for words, answer in self.given.items():
            if statement.startswith(words):
                return answer
        return [[1]] if statement.startswith("select") else []


@dataclass
class Seen:
    statements: list[str] = field(default_factory=list)
    sessions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0
    operations: int = 0
    """Statements whose operations are not closed."""


class Service:
    """HiveServer2's calls, as far as a probe makes them."""

    def __init__(self, answers: Answers, seen: Seen) -> None:
        self._answers, self._seen = answers, seen
        self._operations: dict[bytes, Any] = {}
        self.sessions: set[bytes] = set()
        self.here = threading.local()
        """With `opened`: the sessions of the connection that this thread serves."""

    def OpenSession(self, request: Any) -> Any:  # noqa: N802 - the service's names
        if self._answers.refuse_sessions is not None:
            return ttypes.TOpenSessionResp(_failed(*self._answers.refuse_sessions), self._answers.protocol)
        self._seen.sessions.append((request.username, request.configuration))
        identifier = _identifier()
        self.sessions.add(identifier.guid)
        self.here.opened = {*getattr(self.here, "opened", ()), identifier.guid}
        return ttypes.TOpenSessionResp(OK, self._answers.protocol, ttypes.TSessionHandle(identifier))

    def CloseSession(self, request: Any) -> Any:  # noqa: N802
        if request.sessionHandle.sessionId.guid not in self.sessions:
            return ttypes.TCloseSessionResp(_failed(*NO_SESSION))
        self.sessions.discard(request.sessionHandle.sessionId.guid)
        self._seen.closed += 1
        return ttypes.TCloseSessionResp(OK)

    def ExecuteStatement(self, request: Any) -> Any:  # noqa: N802
        if request.sessionHandle.sessionId.guid not in self.sessions:
            return ttypes.TExecuteStatementResp(_failed(*NO_SESSION))
        self._seen.statements.append(request.statement)
        answer = self._answers.to(request.statement)
        identifier = _identifier()
        self._operations[identifier.guid] = answer
        self._seen.operations += 1
        rows = isinstance(answer, list) and bool(answer)
        handle = ttypes.TOperationHandle(identifier, ttypes.TOperationType.EXECUTE_STATEMENT, rows)
        return ttypes.TExecuteStatementResp(OK, handle)

    def CloseOperation(self, request: Any) -> Any:  # noqa: N802
        self._seen.operations -= 1
        return ttypes.TCloseOperationResp(OK)

    def GetOperationStatus(self, request: Any) -> Any:  # noqa: N802
        answer = self._operations[request.operationHandle.operationId.guid]
        states = ttypes.TOperationState
        if answer is STALL:
            return ttypes.TGetOperationStatusResp(OK, states.RUNNING_STATE)
        if isinstance(answer, tuple):
            status = _failed(*answer)
            return ttypes.TGetOperationStatusResp(
                OK, states.ERROR_STATE, status.sqlState, 0, status.errorMessage
            )
        if isinstance(answer, int):
            return ttypes.TGetOperationStatusResp(OK, answer)
        return ttypes.TGetOperationStatusResp(OK, states.FINISHED_STATE)

    def FetchResults(self, request: Any) -> Any:  # noqa: N802
        answer = self._operations[request.operationHandle.operationId.guid]
        columns = [ttypes.TColumn(i32Val=ttypes.TI32Column(values, b"")) for values in answer]
        return ttypes.TFetchResultsResp(OK, False, ttypes.TRowSet(0, [], columns))


def _failed(sqlstate: str | None, message: str, java_class: str) -> Any:
    """Wrapped as Spark does it: each exception before its message, then the stack."""
    wrapped = f"org.apache.hive.service.cli.HiveSQLException: Error running query: {java_class}: {message}"
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.ERROR_STATUS,
        sqlState=sqlstate,
        errorMessage=f"{wrapped}\n\tat org.apache.spark.Where.it(Happened.scala:1)\n\tat a.b.C.d(E.java:2)",
    )


def _identifier() -> Any:
    return ttypes.THandleIdentifier(uuid.uuid4().bytes, b"secret")


class StandIn:
    """Listens on a loopback port; each connection has a thread."""

    def __init__(
        self,
        *,
        auth: str = "NONE",
        password: str = "",
        tls: ssl.SSLContext | None = None,
        http: bool = False,
        token: str = "",
        api: dict[str, tuple[int, Any]] | None = None,
        close_each: bool = False,
        silent_after: str = "",
        raw: bytes = b"",
    ) -> None:
        """`api` maps the start of a path to status and body; with `http` Thrift answers on all others.

        It stays connected but says nothing more after "tls" or "login". `raw` answers any call of Thrift's.
        """
        self.auth, self.password, self.tls, self.http, self.token = auth, password, tls, http, token
        self.api = api or {}
        self.close_each, self.silent_after, self.raw = close_each, silent_after, raw
        self.answers, self.seen = Answers(), Seen()
        self._service = Service(self.answers, self.seen)
        self._processor = TCLIService.Processor(self._service)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name=f"standin-{self.port}", daemon=True).start()

    @property
    def sessions(self) -> int:
        """Open ones."""
        return len(self._service.sessions)

    def forget_sessions(self) -> None:
        """As after a restart, or when they have idled too long."""
        self._service.sessions.clear()

    def disconnect(self) -> None:
        """End every connection that is open."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.disconnect()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), name=f"standin-{self.port}", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            if self.tls is not None:
                self._open.discard(connection)
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
                if self.silent_after == "tls":
                    self._swallow(connection)
            if self.http:
                self._serve_http(connection)
            else:
                self._serve_thrift(connection)
        except (OSError, TTransportException, EOFError, ValueError):
            pass  # the client is gone, or was sent away
        finally:
            if not self.http:
                # As Spark does; over HTTP a session outlives its connections.
                self._service.sessions -= getattr(self._service.here, "opened", set())
            self._open.discard(connection)
            connection.close()

    def _serve_thrift(self, connection: socket.socket) -> None:
        wire = TSocket()
        wire.setHandle(connection)
        if self.auth == "NOSASL":
            transport: Any = TBufferedTransport(wire)
        else:
            transport = SaslServerTransport(wire)
            user, password = transport.negotiate()
            self.seen.logins.append(user)
            if self.auth == "LDAP" and password != self.password:
                transport.reply(3, b"Error validating the login")
                return
            transport.reply(5, b"")
        if self.silent_after == "login":
            self._swallow(connection)
        protocol = TBinaryProtocol(transport)
        if self.raw:
            transport.read(1)
            transport.write(self.raw)
            transport.flush()
            self._swallow(connection)
        while True:
            self._processor.process(protocol, protocol)

    def _swallow(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    def _serve_http(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while line := stream.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (header := stream.readline().decode().strip()) != "":
                    name, value = header.split(":", 1)
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                self.seen.requests.append((method, path))
                status, answer = self._http_answer(path, headers, body)
                ending = "Connection: close\r\n" if self.close_each else ""
                head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(answer)}\r\n{ending}\r\n"
                if self.close_each:
                    # In two packets: a client must not close at the head's announcement.
                    connection.sendall(head.encode())
                    time.sleep(0.01)
                    connection.sendall(answer)
                    return
                connection.sendall(head.encode() + answer)

    def _http_answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        for start, (status, content) in self.api.items():
            if path.startswith(start):
                return status, content if isinstance(content, bytes) else json.dumps(content).encode()
        if path.startswith("/api/"):
            return 404, b"nothing here"
        basic = base64.b64encode(f"token:{self.token}".encode()).decode()
        if headers.get("authorization") != f"Basic {basic}":
            return 401, b""
        if self.silent_after == "login":
            threading.Event().wait(5)
        if self.raw:
            return 200, self.raw
        incoming, outgoing = TMemoryBuffer(body), TMemoryBuffer()
        self._processor.process(TBinaryProtocol(incoming), TBinaryProtocol(outgoing))
        return 200, outgoing.getvalue()


class SaslServerTransport(TTransportBase, CReadableTransport):  # type: ignore[misc] # thrift has no types
    """The server's side of thrift_sasl, for PLAIN."""

    def __init__(self, wire: TSocket) -> None:
        self._wire = wire
        self._in, self._out = b"", b""

    def negotiate(self) -> tuple[str, str]:
        status, mechanism = self._message()
        if (status, mechanism) != (1, b"PLAIN"):
            raise ValueError("not SASL PLAIN")
        _, user, password = self._message()[1].split(b"\0")
        return user.decode(), password.decode()

    def reply(self, status: int, payload: bytes) -> None:
        self._wire.write(struct.pack(">BI", status, len(payload)) + payload)

    def _message(self) -> tuple[int, bytes]:
        status, length = struct.unpack(">BI", self._wire.readAll(5))
        if length > 100_000:
            raise ValueError("not SASL")
        return status, self._wire.readAll(length)

    def read(self, size: int) -> bytes:
        if not self._in:
            (length,) = struct.unpack(">I", self._wire.readAll(4))
            self._in = self._wire.readAll(length)
        data, self._in = self._in[:size], self._in[size:]
        return data

    def write(self, data: bytes) -> None:
        self._out += data

    def flush(self) -> None:
        self._wire.write(struct.pack(">I", len(self._out)) + self._out)
        self._out = b""
