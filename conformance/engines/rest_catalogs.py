"""DuckDB on Iceberg REST catalogs of others: Nessie, and Iceberg's own for tests."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import maven_artifacts
from conformance.cases import Case, Engine, Situation
from conformance.engines.iceberg import direct, probed
from conformance.iceberg_situations import SECRET, STORE_SECRET, config_options, extension_directory
from conformance.lakehouse import NAMESPACE, TABLE, Lakehouse
from conformance.rest_catalogs import BUCKET, OPEN, WAREHOUSE, IcebergRest, Nessie, RestCatalog
from conformance.shared_servers import kept_folder, kept_open, started_once
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@started_once
def store() -> Lakehouse:
    """The object store of all catalogs."""
    found = kept_open(Lakehouse(kept_folder("store")))
    found.add_bucket(BUCKET)
    return found


@started_once
def serving(kind: type[RestCatalog]) -> RestCatalog:
    """The catalog of that kind, with shop.orders in it."""
    catalog = kept_open(kind(kept_folder(kind.name), store()))
    catalog.fill(extension_directory())
    return catalog


@contextmanager
def _catalog(
    folder: Path,  # noqa: ARG001 - needs no directory
    *,
    of: type[RestCatalog],
    options: Mapping[str, Any] | None = None,
    entry: Mapping[str, Any] | None = None,
    credentials: bool = False,
    fault: Fault | None = None,
) -> Iterator[Situation]:
    """A target with the keys of the object store; with `credentials` that the catalog did not ask for."""
    catalog = serving(of)
    with ExitStack() as stack:
        uri = catalog.uri
        if fault is not None:
            proxy = stack.enter_context(FaultProxy(catalog.port, fault))
            uri = uri.replace(str(catalog.port), str(proxy.port))
        secret = store().storage_secret()
        key = secret.pop("secret")
        given = {"endpoint": uri, **OPEN, **(options or {})}
        if credentials:
            del given["authorization_type"]
            given["client_id"] = "anybody"
        attach = {
            "path": WAREHOUSE,
            "alias": "lake",
            "type": "iceberg",
            "probe_table": f"{NAMESPACE}.{TABLE}",
            "options": given,
            **(entry or {}),
        }
        yield Situation(
            {
                "connection": {
                    "secrets": [secret],
                    "attach": [{key: item for key, item in attach.items() if item is not None}],
                    "config_options": config_options(),
                }
            },
            credentials={
                "store.secret": STORE_SECRET,
                **({"lake.client_secret": SECRET} if credentials else {}),
            },
            environment={STORE_SECRET: key, SECRET: "anything"},
        )


_case = partial(Case, timeout=8.0)
"""Time enough to load the extensions on a busy machine."""
_NO_TABLE = {"probe_table": f"{NAMESPACE}.nothing"}
_nessie, _fixture = partial(_catalog, of=Nessie), partial(_catalog, of=IcebergRest)

ENGINE = Engine(
    plugin="duckdb",
    title="rest_catalogs",
    requirements="dbt-duckdb.txt",
    modules=("dbt.adapters.duckdb", "duckdb"),
    direct=direct,
    source=probed,
    unavailable=maven_artifacts.unavailable,
    about="DuckDB 1.5.5 on Iceberg REST catalogs that want no credentials: Nessie 0.99.0, and the one that "
    "Iceberg 1.11.0 tests its clients with. SeaweedFS 4.48 is the object store, whose keys the target has. "
    "The last column is DuckDB alone, running what `catalog-sql` prints and one SELECT.",
    cases=(
        _case("Nessie: all well", _nessie),
        _case("Nessie: all well, no table to read", partial(_nessie, entry={"probe_table": None})),
        _case("Nessie: missing warehouse", partial(_nessie, entry={"path": "nope"})),
        _case("Nessie: no such table", partial(_nessie, entry=_NO_TABLE)),
        _case("Nessie: credentials that it does not want", partial(_nessie, credentials=True)),
        _case("Nessie: down", partial(_nessie, fault=Fault.REFUSE)),
        _case("Iceberg's own: all well", _fixture),
        _case("Iceberg's own: all well, a token for anybody", partial(_fixture, credentials=True)),
        _case("Iceberg's own: another warehouse", partial(_fixture, entry={"path": "nope"})),
        _case("Iceberg's own: no such table", partial(_fixture, entry=_NO_TABLE)),
        _case("Iceberg's own: hung", partial(_fixture, fault=Fault.HANG)),
    ),
)
