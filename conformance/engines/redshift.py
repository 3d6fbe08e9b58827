"""Redshift: a real Postgres behind a front, a stand-in for what only Redshift has, and one for AWS."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import redshift_servers, redshift_standin
from conformance.cases import Case, Engine, Situation
from conformance.loopback_server import LOOPBACK, server_tls
from conformance.postgres_servers import PASSWORD
from conformance.redshift_aws_standin import CLUSTER, REGION, TEMPORARY, WORKGROUP, AwsStandIn
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

VARIABLE, KEY_VARIABLE, SECRET_VARIABLE = (
    f"CONFORMANCE_REDSHIFT_{name}" for name in ("PASSWORD", "KEY_ID", "KEY_SECRET")
)


def _situation(port: int, password: str | None = PASSWORD, **changes: Any) -> Situation:
    base = {
        "host": LOOPBACK, "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts",
        "sslmode": "disable", "retries": 0,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    if password is None:
        return Situation({"connection": connection})
    return Situation({"connection": connection}, {"password": VARIABLE}, {VARIABLE: password})


@contextmanager
def _server(folder: Path, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    with redshift_servers.Front(redshift_servers.server().port) as front:
        yield _situation(**{"port": front.port, **changes})


@contextmanager
def _tls(folder: Path, *, trusted: bool = True, **changes: Any) -> Iterator[Situation]:
    """`trusted`: the root is one of the system's."""
    context, environment = _authority(folder)
    with redshift_servers.Front(redshift_servers.server().port, context) as front:
        found = _situation(front.port, **{"sslmode": None, **changes})
        yield replace(found, environment={**found.environment, **(environment if trusted else {})})


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    changes = {key: options.pop(key) for key in ("connect_timeout",) if key in options}
    port = redshift_servers.server().port
    with redshift_servers.Front(port) as front, FaultProxy(front.port, fault, **options) as proxy:
        yield _situation(proxy.port, **changes)


@contextmanager
def _limit_reached(folder: Path) -> Iterator[Situation]:
    import psycopg  # noqa: PLC0415 - only where cases run

    with _server(folder, user="single", schema="single") as found:
        port = redshift_servers.server().port
        with psycopg.connect(host=LOOPBACK, port=port, user="single", dbname="analytics", password=PASSWORD):
            yield found


@contextmanager
def _iam(
    folder: Path,
    *,
    key: str = "AKIDWELL",
    secret: str | None = None,
    state: dict[str, Any] | None = None,
    reached: bool = True,
    profile: str | None = None,
    **changes: Any,
) -> Iterator[Situation]:
    """By AWS' stand-in, to the real server. `reached`: whether anything answers at the cluster's port."""
    context, environment = _authority(folder)
    port = redshift_servers.server().port
    with AwsStandIn() as aws, redshift_servers.Front(port, context) as front:
        for name, value in (state or {}).items():
            setattr(aws.state, name, value)
        with FaultProxy(front.port, Fault.PASS if reached else Fault.REFUSE) as proxy:
            given = {"method": "iam", "sslmode": None, "cluster_id": CLUSTER, "region": REGION}
            found = _situation(proxy.port, None, **{**given, **changes})
            environment |= aws.environment
            held = aws.state.keys[key]
            secret = secret or held.secret
            if profile is not None:
                token = f"aws_session_token = {held.token}\n" if held.token else ""
                text = f"[team]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n{token}"
                (folder / "aws").write_text(text)
                environment |= {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws")}
                fields = {"connection": {**found.fields["connection"], "iam_profile": profile}}
                yield Situation(fields, {}, environment)
                return
            names = {"access_key_id": KEY_VARIABLE, "secret_access_key": SECRET_VARIABLE}
            values = {KEY_VARIABLE: key, SECRET_VARIABLE: secret}
            yield Situation(found.fields, names, {**environment, **values})


@contextmanager
def _standin(
    folder: Path,
    *,
    tls: bool = False,
    sslmode: str | None = "disable",
    changes: dict[str, Any] | None = None,
    **state: Any,
) -> Iterator[Situation]:
    context, environment = _authority(folder) if tls else (None, {})
    users = {"dbt": PASSWORD, "IAM:dbt": TEMPORARY}
    with redshift_standin.StandIn(context, users=users, **state) as standin:
        found = _situation(standin.port, sslmode=sslmode, **(changes or {}))
        yield replace(found, stand_in=True, environment={**found.environment, **environment})


@contextmanager
def _workgroup(
    folder: Path, *, name: str = WORKGROUP, reached: bool = True, **state: Any
) -> Iterator[Situation]:
    """A serverless workgroup: both ends are stand-ins."""
    context, environment = _authority(folder)
    users = {"IAM:dbt": TEMPORARY}
    with AwsStandIn() as aws, redshift_standin.StandIn(context, users=users) as standin:
        for key, value in state.items():
            setattr(aws.state, key, value)
        with FaultProxy(standin.port, Fault.PASS if reached else Fault.REFUSE) as proxy:
            found = _situation(
                proxy.port, None, method="iam_role", user=None, sslmode=None, is_serverless=True,
                serverless_work_group=name, region=REGION, iam_profile="team",
            )  # fmt: skip
            held = aws.state.keys["AKIDWELL"]
            text = f"[team]\naws_access_key_id = AKIDWELL\naws_secret_access_key = {held.secret}\n"
            (folder / "aws").write_text(text)
            files = {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws")}
            yield Situation(found.fields, {}, {**environment, **aws.environment, **files}, stand_in=True)


def _authority(folder: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    """A server's TLS, and the environment in which its root is one of the system's."""
    context, root = server_tls(folder, "localhost")
    return context, {"SSL_CERT_FILE": str(root)}


ENGINE = Engine(
    plugin="redshift",
    requirements="dbt-redshift.txt",
    modules=("dbt.adapters.redshift", "redshift_connector", "boto3"),
    about="dbt-core 1.11.16, dbt-redshift 1.11.2, redshift_connector 2.1.17. No Redshift can be had outside "
    "of AWS. The server is Postgres 18.6 from the package index with passwords by MD5, behind a front that "
    "takes out of the driver's start-up packet what a Postgres refuses, and serves TLS: its privileges and "
    "refusals are real, Redshift's own catalogs are not there. The situations marked *stand-in* run against "
    "a small server of our own with Redshift's words; AWS' services, in the situations about IAM, clusters "
    "and workgroups, are a stand-in that checks signatures. `dbt debug` runs `select 1`.",
    cases=(
        Case("all well", _server),
        Case("all well, by host name", partial(_server, host="localhost")),
        Case("all well, a role", partial(_server, user="reader", role="builders", schema="builders")),
        Case("schema missing, right to create it", partial(_server, schema="new")),
        Case("schema missing, no right to create it", partial(_server, user="reader", schema="forbidden")),
        Case("schema there, no right to create in it", partial(_server, user="reader")),
        Case("schema there, no right to use it", partial(_server, user="single")),
        Case("schema's name begins with pg_", partial(_server, schema="pg_marts")),
        Case("schema's name has a quote", partial(_server, schema="dbt's")),
        Case("statement_timeout of 5 ms", partial(_server, user="hurried", schema="hurried")),
        Case("datasharing, at a server without SHOW SCHEMAS", partial(_server, datasharing=True)),
        Case("wrong password", partial(_server, password="wrong")),  # noqa: S106
        Case("unknown user", partial(_server, user="nobody")),
        Case("user without LOGIN", partial(_server, user="no_login")),
        Case("user rejected by pg_hba.conf", partial(_server, user="unlisted")),
        Case("unknown database", partial(_server, dbname="nothing")),
        Case("no CONNECT on the database", partial(_server, dbname="closed")),
        Case("unknown role", partial(_server, role="missing")),
        Case("role not granted", partial(_server, user="reader", role="others")),
        Case("query_group unknown to the server", partial(_server, query_group="dbt")),
        Case("connection limit reached", _limit_reached),
        Case("TLS, all well", _tls),
        Case("TLS, all well, verify-full", partial(_tls, sslmode="verify-full", host="localhost")),
        Case("TLS, another name, verify-ca", partial(_tls, sslmode="verify-ca")),
        Case("TLS, another name, verify-full", partial(_tls, sslmode="verify-full")),
        Case("TLS, unknown root, prefer", partial(_tls, trusted=False, sslmode="prefer")),
        Case("TLS demanded here, not there, prefer", partial(_server, sslmode="prefer")),
        Case("unknown host", partial(_server, host="nowhere.invalid")),
        Case("an address of IP version 6", partial(_server, host="::1")),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE)),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE, connect_timeout=2), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG, connect_timeout=2), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET)),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE)),
        Case("hangs within the login", partial(
            _fault, fault=Fault.HANG_AFTER, after=20, connect_timeout=2,
        ), waits=True),
        Case("answers at 1 byte a second", partial(
            _fault, fault=Fault.DRIP, rate=1, connect_timeout=2,
        ), waits=True),
        Case("IAM, all well, a key", _iam),
        Case("IAM, all well, a role of AWS", partial(_iam, profile="team", method="iam_role", user=None)),
        Case("IAM, may not describe clusters", partial(_iam, key="AKIDNARROW")),
        Case("IAM, may not get credentials", partial(_iam, key="AKIDDENIED")),
        Case("IAM, wrong secret", partial(_iam, secret="wrong")),  # noqa: S106
        Case("IAM, the session is over", partial(_iam, profile="team", key="ASIDOVER")),
        Case("IAM, profile missing", partial(_iam, profile="gone")),
        Case("IAM, user missing", partial(_iam, user="nobody")),
        Case("IAM, unknown cluster", partial(_iam, cluster_id="nowhere")),
        Case("IAM, cluster paused", partial(
            _iam, state={"clusters": {CLUSTER: "paused"}}, reached=False,
        )),
        Case("IAM, cluster resuming", partial(
            _iam, state={"clusters": {CLUSTER: "resuming"}}, reached=False,
        )),
        Case("IAM, cluster available and not reached", partial(_iam, reached=False)),
        Case("IAM, ra3_node at nodes of type dc2", partial(
            _iam, ra3_node=True, state={"node_type": "dc2.large"},
        )),
        Case("stand-in: all well, digest", _standin),
        Case("stand-in: all well, MD5", partial(_standin, login="md5")),
        Case("stand-in: all well, datasharing", partial(_standin, changes={"datasharing": True})),
        Case("stand-in: wrong password, digest", partial(_standin, changes={"password": "wrong"})),
        Case("stand-in: external schema", partial(
            _standin, changes={"schema": "lake"}, external_schemas=frozenset({"lake"}),
        )),
        Case("stand-in: connection limit reached", partial(
            _standin, unready=redshift_standin.LIMIT_REACHED,
        )),
        Case("stand-in: TLS demanded there, disabled here", partial(_standin, tls=True, demands_tls=True)),
        Case("stand-in: a page of something else", partial(
            _standin, greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n",
        )),
        Case("stand-in: workgroup, all well", _workgroup),
        Case("stand-in: workgroup missing", partial(_workgroup, name="nowhere")),
        Case("stand-in: workgroup being made", partial(
            _workgroup, workgroups={WORKGROUP: "CREATING"}, reached=False,
        )),
        Case("browser_identity_center, which no daemon can use", partial(
            _server, method="browser_identity_center",
        )),
    ),
)  # fmt: skip
