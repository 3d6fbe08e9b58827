"""moto, an emulator of AWS by others, on loopback: the states of clusters. It minds no signature."""

from __future__ import annotations

import os
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from conformance import environments
from conformance.loopback_server import LOOPBACK, free_port
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = "moto.txt"
REGION = "eu-west-1"


class MotoServer(ServerProcess):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._program = environments.built(REQUIREMENTS) / "bin" / "moto_server"
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"

    @property
    def command(self) -> list[str]:
        return [str(self._program), "-H", LOOPBACK, "-p", str(self.port)]

    @property
    def variables(self) -> dict[str, str]:
        return {name: item for name, item in os.environ.items() if "AWS" not in name}

    def is_ready(self) -> bool:
        try:
            self.ask("DescribeClusters")
        except OSError:
            return False
        return True

    def make_cluster(self, name: str) -> None:
        self.ask(
            "CreateCluster",
            ClusterIdentifier=name,
            NodeType="ra3.large",
            MasterUsername="awsuser",
            MasterUserPassword="Passw0rd-of-nobody",
            DBName="analytics",
        )

    def ask(self, action: str, **parameters: str) -> str:
        scope = f"Credential=test/20260101/{REGION}/redshift/aws4_request"
        request = urllib.request.Request(  # noqa: S310 - of an address of our own
            self.url,
            urlencode({"Action": action, "Version": "2012-12-01", **parameters}).encode(),
            {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - likewise
            text: str = answer.read().decode()
        return text
