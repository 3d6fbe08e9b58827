"""DuckDB on Iceberg catalogs: SeaweedFS and MiniStack for real, and stand-ins for what only Polaris and AWS
document."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from conformance.aws_catalogs import ACCOUNT, ARN, MiniStack
from conformance.cases import Case, Engine, Situation
from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET, NAMESPACE, TABLE, Lakehouse
from conformance.polaris_standin import PolarisStandIn
from conformance.sigv4_standin import SigV4StandIn
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ID, SECRET, STORE_SECRET, TOKEN = "LAKE_ID", "LAKE_SECRET", "STORE_SECRET", "LAKE_TOKEN"
SESSION = "STORE_SESSION"
_LIMITED = ("limitedkey", "limitedsecret")
_EXPIRED_JWT = "e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln"
_BOUNDS = {"http_timeout": 3, "http_retries": 0}
"""So that dbt need not be waited for longer than necessary."""


def config_options() -> dict[str, Any]:
    return {**_BOUNDS, "extension_directory": extension_directory()}


_QUERY = """
import json, sys, duckdb
request = json.load(sys.stdin)
connection = duckdb.connect(":memory:", config=request["options"])
connection.execute("SET enable_progress_bar = false")
try:
    for statement in request["statements"]:
        connection.execute(statement)
    print(json.dumps(f"reads {len(connection.execute(request['query']).fetchall())} row"))
except Exception as error:
    print(json.dumps(str(error).strip().splitlines()[0]))
"""


_starting = threading.Lock()


def _lakehouse() -> Lakehouse:
    """The one that all cases share."""
    with _starting:
        return _started()


@cache
def extension_directory() -> str:
    """One for all cases but that of a missing extension: installing them takes seconds of the first probe."""
    folder = tempfile.mkdtemp(prefix="extensions-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _started() -> Lakehouse:
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-"))
    lakehouse = Lakehouse(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(lakehouse.stop)
    lakehouse.start()
    lakehouse.fill(extension_directory())
    lakehouse.add_client(*_LIMITED)
    return lakehouse


@contextmanager
def _lake(
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
def _platform(folder: Path) -> Iterator[Situation]:
    """The platform's own spelling, as it stands in its document."""
    with _lake(folder) as situation:
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
def _polaris(folder: Path, **state: Any) -> Iterator[Situation]:  # noqa: ARG001 - needs no directory
    """A target on the stand-in, in this state of it, with the real catalog behind it."""
    expired, vended = state.pop("expired", False), state.pop("vended", False)
    with PolarisStandIn(_lakehouse()) as polaris:
        for key, value in state.items():
            setattr(polaris, key, value)
        options = polaris.options(credential=None)
        environment = {ID: polaris.client[0], SECRET: polaris.client[1]}
        credentials = {"lake.client_id": ID, "lake.client_secret": SECRET}
        if expired:
            environment = {TOKEN: polaris.issue(0.05)}
            credentials = {"lake.token": TOKEN}
            options = {"endpoint": polaris.uri}
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


def _ministack() -> MiniStack:
    with _starting:
        return _ministack_started()


@cache
def _ministack_started() -> MiniStack:
    folder = Path(tempfile.mkdtemp(prefix="ministack-"))
    ministack = MiniStack(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(ministack.stop)
    ministack.start()
    ministack.fill(extension_directory())
    return ministack


@contextmanager
def _aws(
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
def _glue(
    folder: Path,
    *,
    key_id: str = "AKIDWELL",
    options: Mapping[str, Any] | None = None,
    clock: float = 0.0,
    trusted_in: str | None = None,
) -> Iterator[Situation]:
    """A target on the stand-in for Glue's endpoint of one region, with MiniStack behind it; over HTTPS where
    `trusted_in` is a key of `connection` that names its certificate, or empty."""
    tls = None if trusted_in is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls is not None:
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.cert_pem.write_to_path(folder / "root.pem")
    with SigV4StandIn(_ministack(), tls) as glue:
        glue.clock = clock
        given = glue.secret(key_id)
        secret = {key: item for key, item in given.items() if key not in {"secret", "session_token"}}
        session = [given["session_token"]] if "session_token" in given else []
        found = _signed(
            ACCOUNT, glue.options(**(options or {})), secret, given["secret"], session, read=False
        )
        if trusted_in:
            connection = found.fields["connection"]
            trust = {**connection.get(trusted_in, {}), "ca_cert_file": str(folder / "root.pem")}
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


def direct(situation: Situation, environment: Mapping[str, str]) -> str:
    """The statements that `catalog-sql` prints, and a SELECT of one row, by DuckDB alone."""
    from floe_monitor_duckdb import DuckDBComputePlugin  # noqa: PLC0415 - only where cases run

    from floe_monitor.registry.config_validation import build_config  # noqa: PLC0415 - only where cases run

    plugin = DuckDBComputePlugin()
    values = {key: situation.environment[name] for key, name in situation.credentials.items()}
    config = build_config(plugin, {"plugin": "duckdb", **situation.fields, "credentials": values})
    [catalog] = plugin.get_catalog_configs(config)
    statements = plugin.get_catalog_attachment_sql(catalog)
    given = situation.fields["connection"]["config_options"]
    options = {key: given[key] for key in given.keys() & {"extension_directory", "ca_cert_file"}}
    query = f"SELECT * FROM lake.{NAMESPACE}.{TABLE} LIMIT 1"  # noqa: S608 - constants
    done = subprocess.run(
        [sys.executable, "-c", _QUERY],
        input=json.dumps({"statements": statements, "query": query, "options": options}),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (
        str(json.loads(done.stdout.splitlines()[-1]))
        if done.stdout
        else f"the process ended with {done.returncode}"
    )


def probed(situation: Situation) -> str:
    """The table that is watched, where one is: `dbt run` reads it."""
    [attach] = situation.fields["connection"]["attach"]
    return f"{attach['alias']}.{attach['probe_table']}" if "probe_table" in attach else ""


_case = partial(Case, timeout=8.0)
"""Time enough to load the extensions on a busy machine."""

ENGINE = Engine(
    plugin="duckdb",
    title="iceberg",
    requirements="dbt-duckdb.txt",
    modules=("dbt.adapters.duckdb", "duckdb"),
    direct=direct,
    source=probed,
    about="DuckDB 1.5.5 on an Iceberg REST catalog: SeaweedFS 4.48, a real one with OAuth2, unless the row "
    "says otherwise. MiniStack 1.5.33 is an emulator of AWS that verifies signatures, keys, rights and the "
    "region of a bucket; Polaris is a stand-in here, with a section of its own for the real one, and AWS one "
    "by its documentation. A failure of a catalog is DEGRADED by design, UNHEALTHY with `required: true`. "
    "`dbt debug` attaches and asks for nothing more: it passes where nothing can be read. Without a "
    "`probe_table` no store is watched, and a warning says so. The last column is DuckDB alone, running what "
    "`catalog-sql` prints and one SELECT.",
    cases=(
        _case("all well", _lake),
        _case("all well, in the platform's spelling", _platform),
        _case("all well, no table to read", partial(_lake, read=False)),
        _case("wrong secret", partial(_lake, values={SECRET: "wrong"})),
        _case("wrong secret, required", partial(_lake, values={SECRET: "wrong"}, entry={"required": True})),
        _case("expired bearer token (JWT)", partial(_lake, values={TOKEN: _EXPIRED_JWT})),
        _case("bearer token of another server", partial(_lake, values={TOKEN: "junk"})),
        _case("missing warehouse", partial(_lake, entry={"path": "nope"})),
        _case("missing warehouse, required", partial(_lake, entry={"path": "nope", "required": True})),
        _case(
            "a client without rights on the warehouse",
            partial(_lake, values={ID: _LIMITED[0], SECRET: _LIMITED[1]}),
        ),
        _case("catalog down", partial(_lake, fault=Fault.REFUSE, where="catalog")),
        _case("catalog hung", partial(_lake, fault=Fault.HANG, where="catalog")),
        _case("catalog that drops packets", partial(_lake, fault=Fault.BLACKHOLE, where="catalog")),
        _case("catalog answers a byte a second", partial(_lake, fault=Fault.DRIP, where="catalog")),
        _case("token endpoint down", partial(_lake, fault=Fault.REFUSE, where="token")),
        _case("token endpoint hung", partial(_lake, fault=Fault.HANG, where="token")),
        _case("object store down", partial(_lake, fault=Fault.REFUSE, where="store")),
        _case("object store hung", partial(_lake, fault=Fault.HANG, where="store")),
        _case(
            "object store down, no table to read",
            partial(_lake, fault=Fault.REFUSE, where="store", read=False),
        ),
        _case("wrong key of the object store", partial(_lake, values={STORE_SECRET: "wrong"})),
        _case("wrong region, of a store that minds none", partial(_lake, store={"region": "nowhere-1"})),
        _case("extension missing", partial(_lake, hide_extension=True)),
        _case("no such table", partial(_lake, entry={"probe_table": f"{NAMESPACE}.nothing"})),
        _case("Polaris: all well", _polaris),
        _case("Polaris: vended credentials", partial(_polaris, vended=True)),
        _case("Polaris: may not list", partial(_polaris, may_list=False)),
        _case("Polaris: a first page without namespaces", partial(_polaris, empty_pages=2)),
        _case("Polaris: missing warehouse", partial(_polaris, warehouses=set())),
        _case("Polaris: expired token", partial(_polaris, expired=True)),
        _case("Polaris: role not granted", partial(_polaris, roles={"PRINCIPAL_ROLE:other"})),
        _case("Polaris: realm not named", partial(_polaris, realm="prod")),
        _case("Polaris: redirects to nowhere", partial(_polaris, redirect_to="http://127.0.0.1:9")),
        _case("MiniStack: all well, Glue", _aws),
        _case("MiniStack: all well, S3 Tables", partial(_aws, service="s3tables")),
        _case("MiniStack: all well, a session's token", partial(_aws, client="session")),
        _case("MiniStack: all well, no table to read", partial(_aws, read=False)),
        _case("MiniStack: wrong region of the store", partial(_aws, changes={"region": "eu-west-1"})),
        _case("MiniStack: wrong secret key", partial(_aws, changes={"secret": "wrong"})),
        _case("MiniStack: unknown key ID", partial(_aws, changes={"key_id": "AKIANOBODY"})),
        _case("MiniStack: no right to list", partial(_aws, client="powerless")),
        _case("MiniStack: missing table bucket", partial(_aws, service="s3tables", path=f"{ARN}-else")),
        _case("MiniStack: down", partial(_aws, fault=Fault.REFUSE)),
        _case("MiniStack: hung", partial(_aws, fault=Fault.HANG)),
        _case("AWS: all well", _glue),
        _case("AWS: wrong region", partial(_glue, options={"sigv4_region": "eu-west-1"})),
        _case("AWS: expired session token", partial(_glue, key_id="ASIDOVER")),
        _case("AWS: no right to list", partial(_glue, key_id="AKIDBARRED")),
        _case("AWS: all well, over HTTPS", partial(_glue, trusted_in="config_options")),
        _case("AWS: its certificate not trusted", partial(_glue, trusted_in="")),
        _case("AWS: its certificate trusted in `settings`, too late", partial(_glue, trusted_in="settings")),
        _case("AWS: this clock is an hour slow", partial(_glue, clock=3600.0)),
    ),
)
