"""A real lakehouse on loopback: SeaweedFS as object store, Iceberg REST catalog and OAuth2 server in one.

`python -m conformance.lakehouse COMMAND…` starts one, creates a table in it through DuckDB, runs the command
with the variables that `config/iceberg.yaml` names, and stops it afterwards. It prints how to have the same
variables in another shell, for dbt on the profile that the daemon writes.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import environments
from conformance.loopback_server import LOOPBACK
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIREMENTS = "seaweedfs.txt"
WAREHOUSE = "floe"
CLIENT_ID = "floe-monitor"
CLIENT_SECRET = "it's, s3cret"  # noqa: S105 - of a server that lives for a minute
NAMESPACE, TABLE = "shop", "orders"


class Lakehouse(ServerProcess):
    """The server in a directory of its own. `catalog_port` and `store_port` are where it answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._weed = environments.built(REQUIREMENTS) / "bin" / "weed"
        self.master_port, self._volume, self._filer, self.store_port, self.catalog_port = free_ports(5)

    @property
    def catalog_uri(self) -> str:
        return f"http://{LOOPBACK}:{self.catalog_port}"

    @property
    def store(self) -> str:
        return f"{LOOPBACK}:{self.store_port}"

    @property
    def command(self) -> list[str]:
        return [
            str(self._weed),
            "mini",
            f"-dir={self._folder}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            f"-master.port={self.master_port}",
            f"-volume.port={self._volume}",
            f"-filer.port={self._filer}",
            f"-s3.port={self.store_port}",
            f"-s3.port.iceberg={self.catalog_port}",
            "-s3.port.lance=0",
            f"-tableBucket={WAREHOUSE}",
        ]

    @property
    def variables(self) -> dict[str, str]:
        return {**os.environ, "AWS_ACCESS_KEY_ID": CLIENT_ID, "AWS_SECRET_ACCESS_KEY": CLIENT_SECRET}

    def is_ready(self) -> bool:
        """Whether the warehouse is there: the catalog answers before it is."""
        try:
            token = self.token()
            request = urllib.request.Request(  # noqa: S310 - loopback
                f"{self.catalog_uri}/v1/{WAREHOUSE}/namespaces", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (OSError, ValueError, KeyError):
            return False

    def token(self) -> str:
        """A token of the server's, as the plugin's own client gets it."""
        from floe_monitor_duckdb.iceberg.catalog import HttpOptions  # noqa: PLC0415 - only where it is used
        from floe_monitor_duckdb.iceberg.description import read_catalog  # noqa: PLC0415 - as above
        from floe_monitor_duckdb.iceberg.tokens import fetch_token  # noqa: PLC0415 - as above
        from floe_monitor_duckdb.iceberg.transport import Transport  # noqa: PLC0415 - as above

        from floe_monitor.compute import ComputeError, Deadline  # noqa: PLC0415 - as above
        from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls  # noqa: PLC0415 - as above

        catalog = read_catalog(
            path=WAREHOUSE, alias="lake", kind="iceberg", secret=None, options=self.options()
        )
        try:
            return fetch_token(catalog, Transport(HttpOptions(), BlockingCalls(), Deadline.after(2)))[0]
        except ComputeError as error:
            raise ValueError(str(error)) from None

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of an attach, with the client's ID and secret in them."""
        found = {
            "endpoint": self.catalog_uri,
            "oauth2_server_uri": f"{self.catalog_uri}/v1/oauth/tokens",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        return {key: item for key, item in {**found, **changes}.items() if item is not None}

    def storage_secret(self, **changes: Any) -> dict[str, Any]:
        return {
            "type": "s3",
            "name": "store",
            "key_id": CLIENT_ID,
            "secret": CLIENT_SECRET,
            "region": "us-east-1",
            "endpoint": self.store,
            "use_ssl": False,
            "url_style": "path",
            **changes,
        }

    def environment(self) -> dict[str, str]:
        """The variables that config/iceberg.yaml names."""
        return {
            "POLARIS_URI": self.catalog_uri,
            "POLARIS_CLIENT_ID": CLIENT_ID,
            "POLARIS_CLIENT_SECRET": CLIENT_SECRET,
            "AWS_ACCESS_KEY_ID": CLIENT_ID,
            "AWS_SECRET_ACCESS_KEY": CLIENT_SECRET,
            "S3_ENDPOINT": self.store,
        }

    def add_client(self, name: str, secret: str) -> None:
        """A client that gets a token, and may look into another bucket than the warehouse."""
        self._administer(
            f"s3.configure -access_key={name} -secret_key={secret} -user={name} -buckets=other "
            "-actions=Read -apply"
        )

    def add_bucket(self, name: str) -> None:
        """One of the object store alone, which the catalog does not know."""
        self._administer(f"s3.bucket.create -name={name}")

    def _administer(self, command: str) -> None:
        subprocess.run(
            [str(self._weed), "shell", f"-master={LOOPBACK}:{self.master_port}"],
            input=f"{command}\nexit\n".encode(),
            capture_output=True,
            check=True,
            timeout=30,
        )

    def keys(self) -> dict[str, str]:
        """Of the object store, as a `CatalogConfig` has them among its credentials."""
        return {"key_id": CLIENT_ID, "secret": CLIENT_SECRET, "region": "us-east-1"}

    def store_options(self) -> dict[str, Any]:
        """Of the object store, as a `CatalogConfig` has them among its options."""
        return {"s3_endpoint": self.store, "s3_use_ssl": False, "s3_url_style": "path"}

    def fill(self, extension_directory: str | None = None) -> None:
        """Create shop.orders and two rows in it."""
        create_table(
            {
                "catalog_uri": self.catalog_uri,
                "catalog_name": WAREHOUSE,
                "alias": "lake",
                "oauth_server_uri": f"{self.catalog_uri}/v1/oauth/tokens",
                "credentials": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **self.keys()},
                "options": self.store_options(),
            },
            extension_directory,
        )


def create_table(catalog: Mapping[str, Any], extension_directory: str | None = None) -> None:
    """Create shop.orders and two rows in it, through DuckDB and the statements of the plugin; `catalog` are
    the fields of a `CatalogConfig`."""
    import duckdb  # noqa: PLC0415 - only where it is used
    from floe_monitor_duckdb import DuckDBComputePlugin, extensions  # noqa: PLC0415 - only where it is used

    from floe_monitor.compute import CatalogConfig  # noqa: PLC0415 - only where it is used

    statements = [
        *DuckDBComputePlugin().get_catalog_attachment_sql(CatalogConfig.model_validate(catalog)),
        f"CREATE SCHEMA IF NOT EXISTS lake.{NAMESPACE}",
        f"CREATE TABLE IF NOT EXISTS lake.{NAMESPACE}.{TABLE} (id INTEGER, customer VARCHAR)",
        f"INSERT INTO lake.{NAMESPACE}.{TABLE} VALUES (1, 'Ada'), (2, 'Grace')",  # noqa: S608 - constants
    ]
    options: dict[str, str | bool | int | float | list[str]] = {}
    if extension_directory is not None:
        options["extension_directory"] = extension_directory
    with duckdb.connect(":memory:", config=options) as connection:
        for name in ("avro", "httpfs", "iceberg"):
            extensions.load(connection, name)
        # The first commit loads half of a catalog's server; the usual 30 s are too few on a busy machine.
        connection.execute("SET http_timeout = 180")
        for statement in statements:
            connection.execute(statement)


def free_ports(count: int) -> list[int]:
    """Each free, and the one 10,000 above too: the server listens on both."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 32000)
        if port not in found and is_free(port) and is_free(port + 10000):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.lakehouse", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run while it is up")
    command: list[str] = parser.parse_args().command
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an early end stops the server too
    try:
        _tell("starting a catalog and its object store")
        with (
            tempfile.TemporaryDirectory(prefix="lakehouse-") as folder,
            Lakehouse(Path(folder, "data")) as lakehouse,
        ):
            _tell("creating a table in it")
            lakehouse.fill()
            environment = lakehouse.environment()
            variables = Path(folder, "environment")
            variables.touch(mode=0o600)
            variables.write_text("".join(f"export {k}={shlex.quote(v)}\n" for k, v in environment.items()))
            _tell(f"catalog {lakehouse.catalog_uri}, store {lakehouse.store}")
            _tell(f"its variables, for another shell: . {variables}")
            return _run(command or ["sleep", "infinity"], environment)
    except KeyboardInterrupt:
        return 130


def _tell(what: str) -> None:
    print(f"lakehouse: {what}", file=sys.stderr, flush=True)


def _run(command: list[str], environment: Mapping[str, str]) -> int:
    """Pass on what asks for the end, and wait for it."""
    process = subprocess.Popen(command, env={**os.environ, **environment})

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
