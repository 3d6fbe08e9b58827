"""Two Iceberg REST catalogs on loopback that want no credentials: Nessie, and Iceberg's own for tests.

Nessie's prefix is among the defaults, encoded, and made of a branch and a warehouse. Iceberg's has none,
gives a token to any client that asks, and does not mind which warehouse is meant. Both heed a page's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.java_server import REGION, JavaServer
from conformance.lakehouse import create_table
from conformance.loopback_server import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.lakehouse import Lakehouse

BUCKET = "catalogs"
WAREHOUSE = "floe"
OPEN = {"authorization_type": "none", "access_delegation_mode": "none"}
"""The options of an attach, beside `endpoint`."""


class RestCatalog(JavaServer):
    """One with a bucket named `BUCKET` in the object store, whose keys it does not lend."""

    def __init__(self, folder: Path, store: Lakehouse) -> None:
        super().__init__(folder)
        self._store = store

    def fill(self, extension_directory: str | None = None) -> None:
        """Create shop.orders and two rows in it."""
        create_table(
            {
                "catalog_uri": self.uri,
                "catalog_name": WAREHOUSE,
                "alias": "lake",
                "credentials": self._store.keys(),
                "options": {**self._store.store_options(), **OPEN},
            },
            extension_directory,
        )


class Nessie(RestCatalog):
    name = "nessie"
    path = "/iceberg"

    @property
    def arguments(self) -> list[str]:
        s3 = "nessie.catalog.service.s3.default-options"
        settings = {
            "quarkus.http.host": LOOPBACK,
            "quarkus.http.port": self.port,
            "quarkus.management.host": LOOPBACK,
            "quarkus.management.port": self._second_port,
            "nessie.catalog.default-warehouse": WAREHOUSE,
            f"nessie.catalog.warehouses.{WAREHOUSE}.location": f"s3://{BUCKET}/nessie",
            f"{s3}.endpoint": f"http://{self._store.store}",
            f"{s3}.path-style-access": "true",
            f"{s3}.region": REGION,
            f"{s3}.auth-type": "APPLICATION_GLOBAL",
            f"{s3}.request-signing-enabled": "false",
        }
        return [
            *(f"-D{key}={item}" for key, item in settings.items()),
            "-jar",
            *map(str, (self._target / "lib").glob("nessie-quarkus-*-runner.jar")),
        ]


class IcebergRest(RestCatalog):
    name = "iceberg-rest"
    path = ""

    @property
    def arguments(self) -> list[str]:
        properties = {
            "warehouse": f"s3://{BUCKET}/iceberg-rest",
            "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "http-client.type": "apache",
            "s3.endpoint": f"http://{self._store.store}",
            "s3.path-style-access": "true",
        }
        return [
            "-cp",
            f"{self._target / 'classes'}:{self._target / 'lib' / '*'}",
            "Main",
            str(self.port),
            *(f"{key}={item}" for key, item in properties.items()),
        ]
