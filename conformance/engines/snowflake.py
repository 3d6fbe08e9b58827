"""Snowflake: the stand-in's account, healthy, refusing, suspended or unreachable."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.cases import Case, Engine, Situation
from conformance.loopback_server import LOOPBACK
from conformance.snowflake_standin import PASSWORD, TOKEN, StandIn
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE = "CONFORMANCE_SNOWFLAKE_SECRET"


def _situation(port: int, secret: str = PASSWORD, method: str | None = None, **changes: Any) -> Situation:
    base = {
        "account": "acme-analytics", "host": LOOPBACK, "port": port, "protocol": "http", "user": "dbt",
        "authenticator": method, "role": "transformer", "warehouse": "transforming",
        "database": "analytics", "schema": "marts", "connect_retries": 0, "connect_timeout": 0,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    name = "password" if method is None else "token"
    return Situation({"connection": connection}, {name: VARIABLE}, {VARIABLE: secret}, stand_in=True)


@contextmanager
def _account(
    folder: Path,  # noqa: ARG001
    *,
    refused: tuple[str, str] | None = None,
    http_status: int | None = None,
    **changes: Any,
) -> Iterator[Situation]:
    with StandIn(http_status=http_status) as standin:
        if refused is not None:
            standin.account.refused["DBT"] = refused
        yield _situation(**{"port": standin.port, **changes})


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with StandIn() as standin, FaultProxy(standin.port, fault, **options) as proxy:
        yield _situation(proxy.port)


ENGINE = Engine(
    plugin="snowflake",
    requirements="dbt-snowflake.txt",
    modules=("dbt.adapters.snowflake", "snowflake.connector"),
    about="dbt-core 1.11.16, dbt-snowflake 1.12.3, snowflake-connector-python 4.8.0; the monitor has 5.2.0. "
    "**The server is a stand-in** (`conformance/snowflake_standin.py`) that answers with Snowflake's public "
    "error numbers: the table shows what both make of the same answers, not what an account would answer. "
    "`dbt debug` only logs in and runs `select 1`: it passes where `dbt run` could build nothing, and there "
    "the monitor says DEGRADED, or UNHEALTHY where the warehouse stays suspended. A warehouse is never "
    "started by a probe.",
    cases=(
        Case("all well", _account),
        Case("all well, an OAuth token", partial(_account, method="oauth", secret=TOKEN)),
        Case("all well, a programmatic access token", partial(
            _account, method="programmatic_access_token", secret=TOKEN
        )),
        Case("warehouse suspended, resumes by itself", partial(_account, warehouse="sleeping")),
        Case("warehouse suspended, does not resume", partial(_account, warehouse="off"), asleep=True),
        Case("warehouse missing", partial(_account, warehouse="missing")),
        Case("warehouse seen, not to be used", partial(_account, warehouse="watched")),
        Case("no warehouse at all", partial(_account, warehouse=None)),
        Case("database missing", partial(_account, database="missing")),
        Case("schema missing, right to create it", partial(_account, schema="new")),
        Case("schema whose name needs quotes", partial(_account, schema="my-marts")),
        Case("schema whose name has quotes", partial(_account, schema='"my-marts"')),
        Case("schema missing, no right to create it", partial(_account, schema="new", role="reader")),
        Case("schema there, no right to create in it", partial(_account, role="reader")),
        Case("role missing or not granted (390189)", partial(_account, role="missing")),
        Case("wrong password (390100)", partial(_account, secret="wrong one")),  # noqa: S106
        Case("unknown user (390100)", partial(_account, user="nobody")),
        Case("user disabled (390101)", partial(_account, refused=("390101", "User access disabled."))),
        Case("password expired (390106)", partial(
            _account, refused=("390106", "Specified password has expired.")
        )),
        Case("OAuth token invalid (390303)", partial(_account, method="oauth", secret="another")),  # noqa: S106
        Case("OAuth token expired (390318)", partial(
            _account, method="oauth", secret=TOKEN, refused=("390318", "OAuth access token expired.")
        )),
        Case("address not allowed (390422)", partial(
            _account, refused=("390422", "Incoming request with IP/Token is not allowed to access Snowflake.")
        )),
        Case("no such account (HTTP 404)", partial(_account, http_status=404)),
        Case("refused on the way (HTTP 403)", partial(_account, http_status=403)),
        Case("unknown host", partial(_account, host="nowhere.invalid")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET), waits=True),
        Case(
            "hangs within the login's answer", partial(_fault, fault=Fault.HANG_AFTER, after=40), waits=True
        ),
        Case("hangs after the login", partial(_fault, fault=Fault.HANG_AFTER, after=1400), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
    ),
)  # fmt: skip
