"""Catalogs for a Trino server, as the properties of their files."""

from __future__ import annotations

from conformance.java_server import REGION


def iceberg_over_rest(uri: str, warehouse: str, store: str, keys: tuple[str, str]) -> dict[str, object]:
    """The properties of a catalog whose tables lie in an object store; `store`: its host and port."""
    return {
        "connector.name": "iceberg",
        "iceberg.catalog.type": "rest",
        "iceberg.rest-catalog.uri": uri,
        "iceberg.rest-catalog.warehouse": warehouse,
        "fs.native-s3.enabled": "true",
        "s3.endpoint": f"http://{store}",
        "s3.region": REGION,
        "s3.path-style-access": "true",
        "s3.aws-access-key": keys[0],
        "s3.aws-secret-key": keys[1],
    }
