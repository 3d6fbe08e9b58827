"""Plugins of an engine behind a network: one that is bounded, and others that are not, each in its own way.

The engine answers every line it gets with `ANSWER`.
"""

import socket
import socketserver
import threading
from contextlib import closing, contextmanager
from typing import Any

from faulty_plugins import Config, Sound  # type: ignore[import-not-found] # found on the path that the test sets
from pydantic import Field

from floe_monitor.compute import (
    ComputeError,
    ComputeTimeoutError,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.dialling import dial

ANSWER = b"." * 199 + b"\n"


class WireConfig(Config):  # type: ignore[misc]
    host: str = Field(default="127.0.0.1")


class Bounded(Sound):  # type: ignore[misc]
    """A few lines of toolkit: every wait ends at the deadline, the look-up and each byte included."""

    def __init__(self) -> None:
        self._calls = BlockingCalls()

    def get_config_schema(self) -> Any:
        return WireConfig

    def validate_connection(self, config: Any) -> Any:
        validation = Validation(self.classify)
        with validation:
            with validation.check("connect"):
                connection = self.connect(config)
            with closing(connection), validation.check("query"):
                for _ in range(2):
                    connection.sendall(b"ping\n")
                    self.read(connection, len(ANSWER))
        return validation.result("fine")

    def classify(self, error: Exception) -> Failure:
        kind = ErrorType.TIMEOUT if isinstance(error, TimeoutError) else ErrorType.CONNECTION
        return Failure(kind, str(error))

    def connect(self, config: Any) -> Any:
        return dial(config.host, config.port, self._calls, deadline.with_margin()).connection

    def read(self, connection: Any, size: int) -> None:
        while size:
            data = connection.recv(size)
            if not data:
                raise ConnectionError("the end")
            size -= len(data)


class Blocking(Bounded):
    """As drivers come: no timeout at all."""

    def connect(self, config: Any) -> Any:
        return socket.create_connection((config.host, config.port))


class Restarting(Bounded):
    """A timeout for each operation: every byte restarts it, and the look-up has none."""

    def connect(self, config: Any) -> Any:
        return socket.create_connection((config.host, config.port), timeout=deadline.remaining())


class Reclaimed(Blocking):
    """Unbounded too, but in a process that can be killed."""

    default_isolation = "process"


class Forgiving(Bounded):
    """Takes a connection that fails for one that is not needed."""

    def validate_connection(self, config: Any) -> Any:
        validation = Validation(self.classify)
        with validation, validation.check("connect") as check:
            try:
                with closing(self.connect(config)) as connection:
                    connection.sendall(b"ping\n")
                    self.read(connection, len(ANSWER))
            except ComputeTimeoutError:
                raise
            except (ComputeError, OSError) as error:
                check.warn(str(error))
        return validation.result("fine")


class Misnaming(Bounded):
    """Has one name for all that fails: nobody can tell a server that refuses from one that is silent."""

    def connect(self, config: Any) -> Any:
        early = deadline.Deadline.after(deadline.remaining() / 3)  # past the deadline all is a timeout
        try:
            return dial(config.host, config.port, self._calls, early).connection
        except ComputeError:
            raise ConnectionError("it does not work") from None

    def read(self, connection: Any, size: int) -> None:
        try:
            super().read(connection, size)
        except ComputeError:
            raise ConnectionError("it does not work") from None


class _Engine(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for _ in self.rfile:
            self.wfile.write(ANSWER)


@contextmanager
def engine() -> Any:
    with _Engine(("127.0.0.1", 0), _Lines) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


_ALL = (Bounded, Blocking, Restarting, Reclaimed, Forgiving, Misnaming)
NETWORKED = {each.__name__.lower(): each for each in _ALL}
