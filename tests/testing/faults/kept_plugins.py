"""Plugins that keep connections: one that does it right, and others that do not.

Their engine answers each line with the same line, a little later.
"""

import itertools
import socketserver
import threading
import time
from contextlib import contextmanager
from typing import Any

from faulty_plugins import Sound  # type: ignore[import-not-found] # found on the path that the test sets

from floe_monitor.compute import ErrorType, Failure, Validation, deadline
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dialling import dial

_numbers = itertools.count()


class KeptConfig(ReusingConfig):
    plugin: str = "pooling"
    host: str
    port: int


class Pooling(Sound):  # type: ignore[misc]
    """Takes a kept connection away while it uses it, and keeps one at the most."""

    most = 1

    def __init__(self) -> None:
        self._calls = BlockingCalls()
        self.idle: list[Any] = []

    def get_config_schema(self) -> Any:
        return KeptConfig

    def validate_connection(self, config: Any) -> Any:
        validation = Validation(lambda error: Failure(ErrorType.CONNECTION, str(error)))
        with validation, validation.check("query"):
            margin = deadline.with_margin()
            connection = self.take() or dial(config.host, config.port, self._calls, margin).connection
            question = b"%032d\n" % next(_numbers)
            connection.sendall(question)
            if connection.recv(len(question)) != question:
                raise ConnectionError("this is no answer to the question")
            self.give(connection)
        return validation.result("fine")

    def take(self) -> Any:
        return self.idle.pop() if self.idle else None

    def give(self, connection: Any) -> None:
        if len(self.idle) < self.most:
            self.idle.append(connection)
        else:
            connection.close()

    def shutdown(self) -> None:
        for connection in self.idle:
            connection.close()


class Hoarding(Pooling):
    """Keeps every connection that was ever needed."""

    most = 1000


class Sharing(Pooling):
    """One connection for everybody: an answer reaches whoever reads first."""

    def take(self) -> Any:
        return self.idle[0] if self.idle else None

    def give(self, connection: Any) -> None:
        self.idle = [connection]


class Closing(Pooling):
    """Keeps none."""

    most = 0


class _Engine(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            time.sleep(0.005)
            self.wfile.write(line)


@contextmanager
def engine() -> Any:
    with _Engine(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


KEPT = {each.__name__.lower(): each for each in (Pooling, Hoarding, Sharing, Closing)}
