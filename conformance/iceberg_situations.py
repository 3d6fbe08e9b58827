"""Targets on Iceberg catalogs in every state of their servers, which are started once for all that ask.

SeaweedFS and MiniStack are real; Polaris and AWS are stand-ins for what only they document.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.aws_catalogs import ACCOUNT, ARN, MiniStack
from conformance.cases import Situation
from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET, NAMESPACE, TABLE, Lakehouse
from conformance.loopback_server import server_tls
from conformance.polaris_standin import PolarisStandIn
from conformance.shared_servers import kept_folder, kept_open, started_once
from conformance.sigv4_standin import SigV4StandIn
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ID, SECRET, STORE_SECRET, TOKEN = "LAKE_ID", "LAKE_SECRET", "STORE_SECRET", "LAKE_TOKEN"
SESSION = "STORE_SESSION"
LIMITED = ("limitedkey", "limitedsecret")
_BOUNDS = {"http_timeout": 3, "http_retries": 0}
"""So that dbt need not be waited for longer than necessary."""


def config_options() -> dict[str, Any]:
    return {**_BOUNDS, "extension_directory": extension_directory()}


@started_once
def extension_directory() -> str:
    """One for all cases but that of a missing extension: installing them takes seconds of the first probe."""
    return str(kept_folder("extensions"))


@started_once
def _lakehouse() -> Lakehouse:
    """The one that all cases share."""
    lakehouse = kept_open(Lakehouse(kept_folder("lakehouse")))
    lakehouse.fill(extension_directory())
    lakehouse.add_client(*LIMITED)
    return lakehouse


@contextmanager
def lake(
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
    entry: Mapping[str, Any] | None = None,
    store: Mapping[str, Any] | None = None,
    fault: Fault | None = None,
    where: str = "",
    values: Mapping[str, str] | None = None,
    hide_extension: bool = False,
    read: bool = True,
) -> Iterator[Situation]:
    """A target on the real catalog; `fault` is in front of `where`: catalog, token or store."""
    lakehouse = _lakehouse()
    given = lakehouse.options(client_id=None, client_secret=None, **(options or {}))
    secret = {**lakehouse.storage_secret(secret=None), **(store or {})}
    environment = {ID: CLIENT_ID, SECRET: CLIENT_SECRET, STORE_SECRET: CLIENT_SECRET, **(values or {})}
    credentials = {"lake.client_id": ID, "lake.client_secret": SECRET, "store.secret": STORE_SECRET}
    if TOKEN in environment:
        credentials = {"lake.token": TOKEN, "store.secret": STORE_SECRET}
        given.pop("oauth2_server_uri")
    with ExitStack() as stack:
        if fault is not None:
            port = lakehouse.store_port if where == "store" else lakehouse.catalog_port
            proxy = stack.enter_context(FaultProxy(port, fault, rate=1))
            address = f"127.0.0.1:{proxy.port}"
            if where == "store":
                secret["endpoint"] = address
            elif where == "token":
                given["oauth2_server_uri"] = f"http://{address}/v1/oauth/tokens"
            else:
                given["endpoint"] = f"http://{address}"
        if hide_extension:
            for name in ("duckdb_extension_iceberg", "duckdb_ext_iceberg"):
                (folder / name).mkdir()
                (folder / name / "__init__.py").touch()
            environment["PYTHONPATH"] = str(folder)
        attach = {
            "path": "floe",
            "alias": "lake",
            "type": "iceberg",
            "options": given,
            **({"probe_table": f"{NAMESPACE}.{TABLE}"} if read else {}),
            **(entry or {}),
        }
        options_of_it = {} if hide_extension else config_options()
        yield Situation(
            {"connection": {"secrets": [secret], "attach": [attach], "config_options": options_of_it}},
            credentials=credentials,
            environment=environment,
        )


@contextmanager
def platform(folder: Path) -> Iterator[Situation]:
    """The platform's own spelling, as it stands in its document."""
    with lake(folder) as situation:
        lakehouse = _lakehouse()
        connection = situation.fields["connection"]
        attach = {
            "path": "iceberg:catalog_name",
            "alias": "lake",
            "type": "iceberg",
            "probe_table": f"{NAMESPACE}.{TABLE}",
            "options": {
                "catalog_uri": lakehouse.catalog_uri,
                "catalog_name": "floe",
                "oauth_server_uri": f"{lakehouse.catalog_uri}/v1/oauth/tokens",
            },
        }
        fields = {"connection": {**connection, "attach": [attach], "extensions": ["iceberg", "httpfs"]}}
        yield Situation(fields, situation.credentials, situation.environment)


@contextmanager
def polaris(folder: Path, **state: Any) -> Iterator[Situation]:  # noqa: ARG001 - needs no directory
    """A target on the stand-in, in this state of it, with the real catalog behind it."""
    expired, vended = state.pop("expired", False), state.pop("vended", False)
    with PolarisStandIn(_lakehouse()) as catalog:
        for key, value in state.items():
            setattr(catalog, key, value)
        options = catalog.options(credential=None)
        environment = {ID: catalog.client[0], SECRET: catalog.client[1]}
        credentials = {"lake.client_id": ID, "lake.client_secret": SECRET}
        if expired:
            environment = {TOKEN: catalog.issue(0.05)}
            credentials = {"lake.token": TOKEN}
            options = {"endpoint": catalog.uri}
            time.sleep(0.1)
        attach = {"path": "floe", "alias": "lake", "type": "iceberg", "options": options}
        if vended:
            options["access_delegation_mode"] = "vended_credentials"
            attach["probe_table"] = f"{NAMESPACE}.{TABLE}"
        yield Situation(
            {"connection": {"attach": [attach], "config_options": config_options()}},
            credentials=credentials,
            environment=environment,
        )


@started_once
def _ministack() -> MiniStack:
    ministack = kept_open(MiniStack(kept_folder("ministack")))
    ministack.fill(extension_directory())
    return ministack


@contextmanager
def aws(
    folder: Path,  # noqa: ARG001 - needs no directory
    *,
    service: str = "glue",
    path: str | None = None,
    client: str = "keys",
    changes: Mapping[str, Any] | None = None,
    fault: Fault | None = None,
    read: bool = True,
) -> Iterator[Situation]:
    """A target on a catalog of MiniStack's, as one of its clients; `changes` are to the secret that signs."""
    ministack = _ministack()
    key_id, value, *session = getattr(ministack, client)
    with ExitStack() as stack:
        options = ministack.options(service)
        if fault is not None:
            proxy = stack.enter_context(FaultProxy(ministack.port, fault))
            options["endpoint"] = f"http://127.0.0.1:{proxy.port}/iceberg"
        secret = ministack.secret(**{"key_id": key_id, **(changes or {}), "secret": None})
        value = (changes or {}).get("secret", value)
        path = path or (ACCOUNT if service == "glue" else ARN)
        yield _signed(path, options, secret, value, session, read=read)


@contextmanager
def glue(
    folder: Path,
    *,
    key_id: str = "AKIDWELL",
    options: Mapping[str, Any] | None = None,
    clock: float = 0.0,
    trusted_in: str | None = None,
) -> Iterator[Situation]:
    """A target on the stand-in for Glue's endpoint of one region, with MiniStack behind it; over HTTPS where
    `trusted_in` is a key of `connection` that names its certificate, or empty."""
    tls, root = (None, None) if trusted_in is None else server_tls(folder)
    with SigV4StandIn(_ministack(), tls) as endpoint:
        endpoint.clock = clock
        given = endpoint.secret(key_id)
        secret = {key: item for key, item in given.items() if key not in {"secret", "session_token"}}
        session = [given["session_token"]] if "session_token" in given else []
        found = _signed(
            ACCOUNT, endpoint.options(**(options or {})), secret, given["secret"], session, read=False
        )
        if trusted_in:
            connection = found.fields["connection"]
            trust = {**connection.get(trusted_in, {}), "ca_cert_file": str(root)}
            found = replace(found, fields={"connection": {**connection, trusted_in: trust}})
        yield found


def _signed(
    path: str,
    options: Mapping[str, Any],
    secret: Mapping[str, Any],
    key: str,
    session: list[str],
    *,
    read: bool,
) -> Situation:
    attach = {"path": path, "alias": "lake", "type": "iceberg", "secret": "store", "options": options}
    if read:
        attach["probe_table"] = f"{NAMESPACE}.{TABLE}"
    return Situation(
        {"connection": {"secrets": [secret], "attach": [attach], "config_options": config_options()}},
        credentials={"store.secret": STORE_SECRET, **({"store.session_token": SESSION} if session else {})},
        environment={STORE_SECRET: key, **({SESSION: session[0]} if session else {})},
    )
