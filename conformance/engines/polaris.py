"""DuckDB on a real Polaris: its realms, principals, roles and grants, and the credentials that it vends."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import maven_artifacts
from conformance.cases import Case, Engine, Situation
from conformance.engines.iceberg import direct, probed
from conformance.iceberg_situations import (
    ID,
    SECRET,
    STORE_SECRET,
    TOKEN,
    config_options,
    extension_directory,
)
from conformance.lakehouse import NAMESPACE, TABLE
from conformance.polaris_server import (
    BRIEF_REALM,
    BUCKET,
    MANAGES,
    OTHER_REALM,
    REALM,
    REALM_HEADER,
    PolarisServer,
)
from conformance.shared_servers import kept_folder, kept_open, started_once
from conformance.vending_lakehouse import VendingLakehouse
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

CATALOG = "floe"
_WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Polaris:
    """The server that the cases share, and whom it knows: pairs of client ID and secret."""

    server: PolarisServer
    dbt: tuple[str, str]
    other: tuple[str, str]
    brief: tuple[str, str]
    """The principal `dbt` of each realm."""


@started_once
def store() -> VendingLakehouse:
    """The object store of the one server."""
    found = kept_open(VendingLakehouse(kept_folder("vending-store")))
    found.add_bucket(BUCKET)
    return found


@started_once
def serving() -> Polaris:
    """With three realms, and in each a catalog and a principal that manages it."""
    server = kept_open(PolarisServer(kept_folder("polaris"), store()))
    clients = {}
    for realm in (REALM, OTHER_REALM, BRIEF_REALM):
        server.add_catalog(CATALOG, realm=realm)
        server.add_role("dbt", CATALOG, MANAGES, realm=realm)
        clients[realm] = server.add_principal("dbt", ["dbt"], realm=realm)
    server.add_role("blind", CATALOG, ["TABLE_READ_DATA"])
    server.add_role("lister", CATALOG, ["NAMESPACE_LIST"])
    server.fill(CATALOG, clients[REALM], extension_directory())
    return Polaris(server, *clients.values())


@contextmanager
def _polaris(
    folder: Path,  # noqa: ARG001 - needs no directory
    *,
    roles: tuple[str, ...] | None = None,
    secret: str | None = None,
    entry: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    fault: Fault | None = None,
    read: bool = True,
    change: Callable[[PolarisServer, str, tuple[str, str]], tuple[str, str] | None] | None = None,
    watched: bool = False,
) -> Iterator[Situation]:
    """A target as the principal `dbt`, or as one of its own with these `roles`.

    `change` is made with the server, that principal's name and its credentials; what it returns are those
    that the target has. Where the target is `watched`, it is made after the target was found sound once.
    """
    found = serving()
    name, client = "dbt", found.dbt
    with ExitStack() as stack:
        if roles is not None:
            name = f"dbt-{time.time_ns()}"
            client = found.server.add_principal(name, roles)
        if change is not None and not watched:
            client = change(found.server, name, client) or client
        uri = found.server.uri
        if fault is not None:
            proxy = stack.enter_context(FaultProxy(found.server.port, fault, rate=1))
            uri = uri.replace(str(found.server.port), str(proxy.port))
        attach = {
            "path": CATALOG,
            "alias": "lake",
            "type": "iceberg",
            "options": {"endpoint": uri, **(options or {})},
            **({"probe_table": f"{NAMESPACE}.{TABLE}"} if read else {}),
            **(entry or {}),
        }
        yield Situation(
            {"connection": {"attach": [attach], "config_options": config_options()}},
            credentials={"lake.client_id": ID, "lake.client_secret": SECRET},
            environment={ID: client[0], SECRET: secret or client[1]},
            meanwhile=partial(change, found.server, name, client) if change and watched else None,
        )


@contextmanager
def _platform(folder: Path) -> Iterator[Situation]:
    """The platform's own spelling, as it stands in its document."""
    with _polaris(folder) as situation:
        server = serving().server
        attach = {
            "path": "iceberg:polaris",
            "alias": "lake",
            "type": "iceberg",
            "probe_table": f"{NAMESPACE}.{TABLE}",
            "options": {
                "catalog_uri": server.uri,
                "catalog_name": CATALOG,
                "oauth_server_uri": f"{server.uri}/v1/oauth/tokens",
                "scope": "PRINCIPAL_ROLE:dbt",
            },
        }
        fields = {"connection": {**situation.fields["connection"], "attach": [attach]}}
        yield Situation(fields, situation.credentials, situation.environment)


@contextmanager
def _own_keys(folder: Path) -> Iterator[Situation]:
    """Keys of the object store in the configuration, where the catalog lends none."""
    with _polaris(folder, options={"access_delegation_mode": "none"}) as situation:
        secret = store().storage_secret()
        key = secret.pop("secret")
        yield Situation(
            {"connection": {**situation.fields["connection"], "secrets": [secret]}},
            credentials={**situation.credentials, "store.secret": STORE_SECRET},
            environment={**situation.environment, STORE_SECRET: key},
        )


@contextmanager
def _realm(folder: Path, *, realm: str | None, token: bool = False) -> Iterator[Situation]:
    """A client of the other realm, or a `token` of it, whose requests to the catalog name this one."""
    found = serving()
    with _polaris(folder, read=False) as situation:
        [attach] = situation.fields["connection"]["attach"]
        secret = {
            "type": "iceberg",
            "name": "polaris",
            **({} if token else {"client_id": found.other[0]}),
            "oauth2_server_uri": f"{found.server.uri}/v1/oauth/tokens",
            **({"extra_http_headers": {REALM_HEADER: realm}} if realm else {}),
        }
        connection = {
            **situation.fields["connection"],
            "secrets": [secret],
            "attach": [{**attach, "secret": "polaris"}],
        }
        yield Situation(
            {"connection": connection},
            credentials={"polaris.token" if token else "polaris.client_secret": SECRET},
            environment={SECRET: _of_another_realm(found) if token else found.other[1]},
        )


@contextmanager
def _token(folder: Path, make: Callable[[Polaris], str]) -> Iterator[Situation]:
    """A target that is given a token, not credentials for one."""
    with _polaris(folder) as situation:
        yield Situation(
            situation.fields, credentials={"lake.token": TOKEN}, environment={TOKEN: make(serving())}
        )


def _expired(found: Polaris) -> str:
    """Whose time is over by the server's clock, in the only realm in which that can be waited for."""
    token = found.server.token(found.brief, realm=BRIEF_REALM)
    time.sleep(5)
    return token


def _of_another_realm(found: Polaris) -> str:
    return found.server.token(found.other, realm=OTHER_REALM)


def _of_a_dropped_principal(found: Polaris) -> str:
    name = f"dbt-{time.time_ns()}"
    token = found.server.token(found.server.add_principal(name, ["dbt"]))
    _drop_principal(found.server, name, ("", ""))
    return token


def _drop_principal(server: PolarisServer, name: str, _: tuple[str, str]) -> None:
    server.manage("DELETE", f"/principals/{name}")


def _revoke_role(server: PolarisServer, name: str, _: tuple[str, str]) -> None:
    server.manage("DELETE", f"/principals/{name}/principal-roles/dbt")


def _rotate(
    server: PolarisServer, name: str, client: tuple[str, str], *, times: int, use_new: bool = False
) -> tuple[str, str]:
    """The credentials to go on with: those from before, or the new ones."""
    new = client
    for _ in range(times):
        new = server.rotate(name, new)
    return new if use_new else client


@contextmanager
def _dropped_while_watched(folder: Path) -> Iterator[Situation]:
    """A catalog of the case's own, without a table: one with any is not dropped."""
    server = serving().server
    catalog = f"floe-{time.time_ns()}"
    server.add_catalog(catalog)
    server.add_role(catalog, catalog, MANAGES)
    with _polaris(folder, roles=(catalog,), entry={"path": catalog}, read=False) as situation:
        yield Situation(
            situation.fields,
            situation.credentials,
            situation.environment,
            meanwhile=lambda: _drop_catalog(server, catalog),
        )


def _drop_catalog(server: PolarisServer, name: str) -> None:
    server.manage("DELETE", f"/principal-roles/{name}/catalog-roles/{name}/{name}")
    server.manage("DELETE", f"/catalogs/{name}/catalog-roles/{name}")
    server.manage("DELETE", f"/catalogs/{name}")


_case = partial(Case, timeout=8.0)
"""Time enough to load the extensions on a busy machine."""

ENGINE = Engine(
    plugin="duckdb",
    title="polaris",
    requirements="dbt-duckdb.txt",
    modules=("dbt.adapters.duckdb", "duckdb"),
    direct=direct,
    source=probed,
    unavailable=maven_artifacts.unavailable,
    about="DuckDB 1.5.5 on Polaris 1.4.1, its own core and service behind generated API modules, with "
    "SeaweedFS 4.48 as its object store, of which it lends keys. Catalogs, principals, roles and grants are "
    "made through its management API. While it is watched means: found sound once, then changed, then "
    "validated again. The last column is DuckDB alone, running what `catalog-sql` prints and one SELECT.",
    cases=(
        _case("all well, with keys that the catalog lends", _polaris),
        _case("all well, in the platform's spelling, one role named", _platform),
        _case("all well, with keys of its own", _own_keys),
        _case("all well, no table to read", partial(_polaris, read=False)),
        _case(
            "all well, a token of another realm, which is named",
            partial(_realm, realm=OTHER_REALM, token=True),
        ),
        _case("wrong secret", partial(_polaris, secret=_WRONG)),
        _case("wrong secret, required", partial(_polaris, secret=_WRONG, entry={"required": True})),
        _case("expired token", partial(_token, make=_expired)),
        _case("token of a principal that was dropped", partial(_token, make=_of_a_dropped_principal)),
        _case("token of another realm", partial(_token, make=_of_another_realm)),
        _case(
            "role in the scope not granted",
            partial(_polaris, options={"oauth2_scope": "PRINCIPAL_ROLE:nobody"}),
        ),
        _case("scope that is none of Polaris'", partial(_polaris, options={"oauth2_scope": "catalog"})),
        _case("no role granted", partial(_polaris, roles=())),
        _case("may not list", partial(_polaris, roles=("blind",))),
        _case("may list, and not read", partial(_polaris, roles=("lister",))),
        _case("missing warehouse", partial(_polaris, entry={"path": "nope"})),
        _case("missing warehouse, required", partial(_polaris, entry={"path": "nope", "required": True})),
        _case("another realm, not named", partial(_realm, realm=None)),
        _case("another realm, named: not to the token endpoint", partial(_realm, realm=OTHER_REALM)),
        _case("realm that is not there", partial(_realm, realm="nope", token=True)),
        _case("no such table", partial(_polaris, entry={"probe_table": f"{NAMESPACE}.nothing"})),
        _case(
            "secret rotated, the former one in use",
            partial(_polaris, roles=("dbt",), change=partial(_rotate, times=1)),
        ),
        _case(
            "secret rotated, the new one in use",
            partial(_polaris, roles=("dbt",), change=partial(_rotate, times=1, use_new=True)),
        ),
        _case(
            "secret rotated twice, the first one in use",
            partial(_polaris, roles=("dbt",), change=partial(_rotate, times=2)),
        ),
        _case("catalog dropped while it is watched", _dropped_while_watched),
        _case(
            "principal dropped while it is watched",
            partial(_polaris, roles=("dbt",), change=_drop_principal, watched=True),
        ),
        _case(
            "role revoked while it is watched",
            partial(_polaris, roles=("dbt",), change=_revoke_role, watched=True),
        ),
        _case("down", partial(_polaris, fault=Fault.REFUSE)),
        _case("hung", partial(_polaris, fault=Fault.HANG)),
    ),
)
