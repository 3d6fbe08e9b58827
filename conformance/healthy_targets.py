"""A target of every engine where all is well, and the same one with a proxy before its server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from conformance import engines
from conformance.cases import Situation
from conformance.environments import is_built
from floe_monitor.testing.fault_proxy import LOOPBACK

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

TOKEN = "MIXED_TOKEN"  # noqa: S105 - a variable's name


def healthy_situations(stack: ExitStack, folder: Path, *, real_spark: bool) -> dict[str, Situation]:
    """By plugin; their servers run until `stack` ends. Spark is a real server where there is one."""
    from conformance.bigquery_standin import StandIn  # noqa: PLC0415 - needs the libraries of development

    bigquery = stack.enter_context(StandIn())
    spark = "all well" if real_spark and _has_spark() else "stand-in: all well, NOSASL"
    print(f"spark: {'a real server' if spark == 'all well' else 'the stand-in'}", file=sys.stderr)  # noqa: T201
    return {
        "duckdb": Situation({"connection": {"path": ":memory:"}}),
        "postgres": _case(stack, folder, "postgres", "all well"),
        "snowflake": _case(stack, folder, "snowflake", "all well"),
        "bigquery": Situation(
            {"connection": {
                "method": "oauth-secrets", "project": "analytics", "dataset": "marts", "location": "EU",
                "api_endpoint": bigquery.url,
            }},
            {"token": TOKEN},
            {TOKEN: "good"},
        ),
        "databricks": _case(stack, folder, "databricks", "all well"),
        "spark": _case(stack, folder, "spark", spark),
        "trino": _case(stack, folder, "trino", "stand-in: all well"),
        "clickhouse": _case(stack, folder, "clickhouse", "stand-in: all well"),
        "redshift": _case(stack, folder, "redshift", "stand-in: all well, digest"),
    }  # fmt: skip


def attached(url: str, credentials: dict[str, str], environment: dict[str, str] | None = None) -> Situation:
    """DuckDB has no server; an Iceberg catalog that is attached and required is one."""
    attach = {
        "path": "floe", "alias": "lake", "type": "iceberg", "required": True, "options": {"endpoint": url},
    }  # fmt: skip
    return Situation({"connection": {"attach": [attach]}}, credentials, environment or {})


def server_port(well: Situation) -> int:
    """Where the target's server listens."""
    connection = well.fields["connection"]
    if "http_path" in connection:
        return int(connection["host"].rpartition(":")[2])
    url = connection.get("api_endpoint")
    return int(url.rsplit(":", 1)[1]) if url else int(connection["port"])


def behind(well: Situation, port: int) -> Situation:
    """The same target, on another port of this machine."""
    connection = dict(well.fields["connection"])
    if "http_path" in connection:  # the port is part of the host, and of what dbt's driver is given
        there, here = f"{LOOPBACK}:{server_port(well)}", f"{LOOPBACK}:{port}"
        moved = json.loads(json.dumps(connection).replace(there, here))
        return Situation({**well.fields, "connection": moved}, well.credentials, well.environment)
    url = connection.get("api_endpoint")
    connection |= {"api_endpoint": f"http://{LOOPBACK}:{port}"} if url else {"port": port}
    return Situation({**well.fields, "connection": connection}, well.credentials, well.environment)


def target(plugin: str, situation: Situation, timeout: float) -> dict[str, Any]:
    """As a configuration has it."""
    credentials = {key: {"env": name} for key, name in situation.credentials.items()}
    return {"plugin": plugin, **situation.fields, "credentials": credentials, "probe": {"timeout": timeout}}


def _case(stack: ExitStack, folder: Path, engine: str, name: str) -> Situation:
    place = folder / engine
    place.mkdir()
    case = next(case for case in engines.load(engine).cases if case.name == name)
    return stack.enter_context(case.arrange(place))


def _has_spark() -> bool:
    return is_built("spark.txt")
