"""A server that runs on the JVM, from jars that `conformance.maven` builds."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from conformance import maven
from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET, free_ports
from conformance.loopback_server import LOOPBACK
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

REGION = "us-east-1"
_LIGHT = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED")
"""A server that answers a few hundred requests: compiling for more costs a third of its start."""


class JavaServer(ServerProcess):
    """`port` is where it answers, after a restart too. It has the keys of SeaweedFS' object store."""

    name: ClassVar[str]
    """Of its POM's directory."""
    path: ClassVar[str]
    """Of the catalog's URI."""
    start_seconds = 180.0  # half a minute of CPU at the most, on a machine that has other things to do

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._target = maven.built(self.name)
        self.port, self._second_port = free_ports(2)

    @property
    @abstractmethod
    def arguments(self) -> list[str]:
        """Of `java`, after the options that all servers have."""

    @property
    def uri(self) -> str:
        """What clients are configured with."""
        return f"http://{LOOPBACK}:{self.port}{self.path}"

    @property
    def command(self) -> list[str]:
        return [str(maven.java()), *_LIGHT, *self.arguments]

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: item for name, item in os.environ.items() if not name.startswith(("AWS_", "QUARKUS_"))}
        keys = {"AWS_ACCESS_KEY_ID": CLIENT_ID, "AWS_SECRET_ACCESS_KEY": CLIENT_SECRET}
        return {**kept, **keys, "AWS_REGION": REGION}

    def is_ready(self) -> bool:
        """Whether it answers, if only that nobody asked by name."""
        try:
            with urllib.request.urlopen(f"{self.uri}/v1/config", timeout=5):  # noqa: S310 - loopback
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code < 500
        except OSError:
            return False
