"""A real Polaris on loopback, furnished through its management API, with SeaweedFS as its object store.

Its state is in memory: what a restart leaves is the root principal, whose credentials are given at start.
"""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from conformance.java_server import REGION, JavaServer
from conformance.lakehouse import create_table
from conformance.loopback_server import LOOPBACK
from conformance.vending_lakehouse import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.vending_lakehouse import VendingLakehouse

ROOT = ("root", "s3cr3t")
REALM, OTHER_REALM, BRIEF_REALM = "POLARIS", "OTHER", "BRIEF"
"""The one of requests that name none, one more, and one whose tokens live for four seconds."""
REALM_HEADER = "Polaris-Realm"
BUCKET = "polaris"
MANAGES = ("CATALOG_MANAGE_CONTENT",)
"""Privileges of whoever reads, writes and lists."""


class PolarisServer(JavaServer):
    """Principals, roles and catalogs are made by methods, which raise `urllib.error.HTTPError`."""

    name = "polaris"
    path = "/api/catalog"

    def __init__(self, folder: Path, store: VendingLakehouse) -> None:
        """The store has a bucket named `BUCKET`."""
        super().__init__(folder)
        self._store = store

    @property
    def arguments(self) -> list[str]:
        settings = {
            "quarkus.http.port": self.port,
            "quarkus.management.port": self._second_port,
            "polaris.bootstrap.credentials": ";".join(
                f"{realm},{','.join(ROOT)}" for realm in (REALM, OTHER_REALM, BRIEF_REALM)
            ),
        }
        return [
            *(f"-D{key}={item}" for key, item in settings.items()),
            "-jar",
            str(self._target / "quarkus-app" / "quarkus-run.jar"),
        ]

    def token(self, client: tuple[str, str] = ROOT, *, realm: str = REALM) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": client[0],
            "client_secret": client[1],
            "scope": "PRINCIPAL_ROLE:ALL",
        }
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.uri}/v1/oauth/tokens", data=urlencode(form).encode(), headers={REALM_HEADER: realm}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return str(json.loads(answer.read())["access_token"])

    def manage(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        realm: str = REALM,
        client: tuple[str, str] = ROOT,
    ) -> Any:
        """One request to the management API."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}/api/management/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self.token(client, realm=realm)}",
                "Content-Type": "application/json",
                REALM_HEADER: realm,
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            text = answer.read()
        return json.loads(text) if text else None

    def add_catalog(self, name: str, *, realm: str = REALM, **storage: Any) -> None:
        """`storage` changes how the server and its clients get at the object store."""
        location = f"s3://{BUCKET}/{realm}/{name}"
        catalog = {
            "name": name,
            "type": "INTERNAL",
            "properties": {"default-base-location": location},
            "storageConfigInfo": {
                "storageType": "S3",
                "allowedLocations": [location],
                "endpoint": f"http://{self._store.store}",
                "pathStyleAccess": True,
                "region": REGION,
                "stsEndpoint": f"http://{self._store.store}",
                "roleArn": ROLE,
                **storage,
            },
        }
        self.manage("POST", "/catalogs", {"catalog": catalog}, realm=realm)

    def add_principal(self, name: str, roles: Iterable[str] = (), *, realm: str = REALM) -> tuple[str, str]:
        """A new principal in these principal roles; its client ID and secret."""
        made = self.manage("POST", "/principals", {"principal": {"name": name}}, realm=realm)
        for role in roles:
            body = {"principalRole": {"name": role}}
            self.manage("PUT", f"/principals/{name}/principal-roles", body, realm=realm)
        return made["credentials"]["clientId"], made["credentials"]["clientSecret"]

    def add_role(self, name: str, catalog: str, privileges: Iterable[str], *, realm: str = REALM) -> None:
        """A principal role, and a catalog role of the same name that has these privileges on the catalog."""
        self.manage("POST", "/principal-roles", {"principalRole": {"name": name}}, realm=realm)
        self.manage(
            "POST", f"/catalogs/{catalog}/catalog-roles", {"catalogRole": {"name": name}}, realm=realm
        )
        for privilege in privileges:
            grant = {"grant": {"type": "catalog", "privilege": privilege}}
            self.manage("PUT", f"/catalogs/{catalog}/catalog-roles/{name}/grants", grant, realm=realm)
        body = {"catalogRole": {"name": name}}
        self.manage("PUT", f"/principal-roles/{name}/catalog-roles/{catalog}", body, realm=realm)

    def rotate(self, principal: str, client: tuple[str, str]) -> tuple[str, str]:
        """New credentials in place of those it has, which it has to ask for itself."""
        made = self.manage("POST", f"/principals/{principal}/rotate", client=client)
        return made["credentials"]["clientId"], made["credentials"]["clientSecret"]

    def fill(
        self,
        catalog: str,
        client: tuple[str, str],
        extension_directory: str | None = None,
    ) -> None:
        """Create shop.orders and two rows in it, with keys that it lends for that."""
        create_table(
            {
                "catalog_uri": self.uri,
                "catalog_name": catalog,
                "alias": "lake",
                "oauth_server_uri": f"{self.uri}/v1/oauth/tokens",
                "credentials": {"client_id": client[0], "client_secret": client[1]},
                "options": {"access_delegation_mode": "vended_credentials"},
            },
            extension_directory,
        )
