"""DuckDB on Iceberg catalogs: what is compared with dbt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from conformance.aws_catalogs import ARN
from conformance.cases import Case, Engine, Situation
from conformance.iceberg_situations import (
    ID,
    LIMITED,
    SECRET,
    STORE_SECRET,
    TOKEN,
    aws,
    glue,
    lake,
    platform,
    polaris,
)
from conformance.lakehouse import NAMESPACE, TABLE
from floe_monitor.testing.fault_proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPIRED_JWT = "e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln"
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
        _case("all well", lake),
        _case("all well, in the platform's spelling", platform),
        _case("all well, no table to read", partial(lake, read=False)),
        _case("wrong secret", partial(lake, values={SECRET: "wrong"})),
        _case("wrong secret, required", partial(lake, values={SECRET: "wrong"}, entry={"required": True})),
        _case("expired bearer token (JWT)", partial(lake, values={TOKEN: _EXPIRED_JWT})),
        _case("bearer token of another server", partial(lake, values={TOKEN: "junk"})),
        _case("missing warehouse", partial(lake, entry={"path": "nope"})),
        _case("missing warehouse, required", partial(lake, entry={"path": "nope", "required": True})),
        _case(
            "a client without rights on the warehouse",
            partial(lake, values={ID: LIMITED[0], SECRET: LIMITED[1]}),
        ),
        _case("catalog down", partial(lake, fault=Fault.REFUSE, where="catalog")),
        _case("catalog hung", partial(lake, fault=Fault.HANG, where="catalog")),
        _case("catalog that drops packets", partial(lake, fault=Fault.BLACKHOLE, where="catalog")),
        _case("catalog answers a byte a second", partial(lake, fault=Fault.DRIP, where="catalog")),
        _case("token endpoint down", partial(lake, fault=Fault.REFUSE, where="token")),
        _case("token endpoint hung", partial(lake, fault=Fault.HANG, where="token")),
        _case("object store down", partial(lake, fault=Fault.REFUSE, where="store")),
        _case("object store hung", partial(lake, fault=Fault.HANG, where="store")),
        _case(
            "object store down, no table to read",
            partial(lake, fault=Fault.REFUSE, where="store", read=False),
        ),
        _case("wrong key of the object store", partial(lake, values={STORE_SECRET: "wrong"})),
        _case("wrong region, of a store that minds none", partial(lake, store={"region": "nowhere-1"})),
        _case("extension missing", partial(lake, hide_extension=True)),
        _case("no such table", partial(lake, entry={"probe_table": f"{NAMESPACE}.nothing"})),
        _case("Polaris: all well", polaris),
        _case("Polaris: vended credentials", partial(polaris, vended=True)),
        _case("Polaris: may not list", partial(polaris, may_list=False)),
        _case("Polaris: a first page without namespaces", partial(polaris, empty_pages=2)),
        _case("Polaris: missing warehouse", partial(polaris, warehouses=set())),
        _case("Polaris: expired token", partial(polaris, expired=True)),
        _case("Polaris: role not granted", partial(polaris, roles={"PRINCIPAL_ROLE:other"})),
        _case("Polaris: realm not named", partial(polaris, realm="prod")),
        _case("Polaris: redirects to nowhere", partial(polaris, redirect_to="http://127.0.0.1:9")),
        _case("MiniStack: all well, Glue", aws),
        _case("MiniStack: all well, S3 Tables", partial(aws, service="s3tables")),
        _case("MiniStack: all well, a session's token", partial(aws, client="session")),
        _case("MiniStack: all well, no table to read", partial(aws, read=False)),
        _case("MiniStack: wrong region of the store", partial(aws, changes={"region": "eu-west-1"})),
        _case("MiniStack: wrong secret key", partial(aws, changes={"secret": "wrong"})),
        _case("MiniStack: unknown key ID", partial(aws, changes={"key_id": "AKIANOBODY"})),
        _case("MiniStack: no right to list", partial(aws, client="powerless")),
        _case("MiniStack: missing table bucket", partial(aws, service="s3tables", path=f"{ARN}-else")),
        _case("MiniStack: down", partial(aws, fault=Fault.REFUSE)),
        _case("MiniStack: hung", partial(aws, fault=Fault.HANG)),
        _case("AWS: all well", glue),
        _case("AWS: wrong region", partial(glue, options={"sigv4_region": "eu-west-1"})),
        _case("AWS: expired session token", partial(glue, key_id="ASIDOVER")),
        _case("AWS: no right to list", partial(glue, key_id="AKIDBARRED")),
        _case("AWS: all well, over HTTPS", partial(glue, trusted_in="config_options")),
        _case("AWS: its certificate not trusted", partial(glue, trusted_in="")),
        _case("AWS: its certificate trusted in `settings`, too late", partial(glue, trusted_in="settings")),
        _case("AWS: this clock is an hour slow", partial(glue, clock=3600.0)),
    ),
)
