"""A server that runs on the JVM, from jars that `conformance.maven` builds."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from conformance import maven
from conformance.lakehouse import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 180.0
"""Half a minute of CPU at the most, on a machine that has other things to do."""
_LIGHT = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED")
"""A server that answers a few hundred requests: compiling for more costs a third of its start."""


class JavaServer(ABC):
    """The server in a directory of its own. `port` is where it answers, after a restart too."""

    name: ClassVar[str]
    """Of its POM's directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._target = maven.built(self.name)
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._second_port = _free_port(), _free_port()

    @abstractmethod
    def _arguments(self) -> list[str]:
        """Of `java`, after the options that all servers have."""

    @abstractmethod
    def _ready_uri(self) -> str:
        """What answers as soon as the server does, with whatever status below 500."""

    def _environment(self) -> Mapping[str, str]:
        return {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # told to end while it starts, say: nothing may stay behind
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.launch()
        give_up = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > give_up:
                tail = (self._folder / "server.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{self.name} does not start:\n{tail}")
            time.sleep(0.1)

    def launch(self) -> None:
        """Start it, without waiting until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = {name: item for name, item in os.environ.items() if not name.startswith(("AWS_", "QUARKUS_"))}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(maven.java()), *_LIGHT, *self._arguments()],
                cwd=self._folder,
                env={**kept, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """At once: what it knows is in memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready_uri(), timeout=5):  # noqa: S310 - loopback
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code < 500
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
