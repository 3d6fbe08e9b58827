"""BigQuery: an emulator for jobs, behind a stand-in for logins, rights and dry runs."""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance import environments
from conformance.bigquery_answers import EVERYTHING, refusal
from conformance.bigquery_standin import StandIn, new_account
from conformance.cases import Case, Engine, Situation
from conformance.loopback_server import LOOPBACK, free_port
from conformance.shared_servers import started_once
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "dbt@analytics.iam.gserviceaccount.com"
VARIABLES = {
    "token": "CONFORMANCE_BQ_TOKEN",
    "refresh_token": "CONFORMANCE_BQ_REFRESH_TOKEN",
    "client_secret": "CONFORMANCE_BQ_CLIENT_SECRET",
    "private_key": "CONFORMANCE_BQ_PRIVATE_KEY",
}
REFRESHING = {"refresh_token": "refresh", "client_secret": "client-secret"}
_account = started_once(partial(new_account, ACCOUNT, ""))


@started_once
def _emulator() -> int:
    """The port of the one that all cases share."""
    program = environments.built("crucible.txt") / "bin" / "crucible"
    port = free_port()
    command = [str(program), "serve", "--dialect", "bigquery", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(process.kill)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return port
    raise RuntimeError("the emulator did not start")


def _situation(
    api_endpoint: str | None,
    credentials: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    **changes: Any,
) -> Situation:
    base = {
        "method": "oauth-secrets", "project": "analytics", "dataset": "marts", "location": "EU",
        "api_endpoint": api_endpoint, "job_retries": 0, "job_creation_timeout_seconds": 5,
        "job_execution_timeout_seconds": 10,
    }  # fmt: skip
    connection = {key: value for key, value in {**base, **changes}.items() if value is not None}
    secrets = {"token": "good"} if credentials is None else credentials
    return Situation(
        {"connection": connection},
        {key: VARIABLES[key] for key in secrets},
        {**{VARIABLES[key]: value for key, value in secrets.items()}, **(environment or {})},
        stand_in=True,
    )


@contextmanager
def _standing(authority: Any = None, **state: Any) -> Iterator[StandIn]:
    with StandIn(_emulator(), authority) as standin:
        standin.state.accounts[ACCOUNT] = _account()[1]
        for key, value in state.items():
            setattr(standin.state, key, value)
        yield standin


@contextmanager
def _token(folder: Path, state: dict[str, Any] | None = None, **changes: Any) -> Iterator[Situation]:  # noqa: ARG001
    """A fixed access token."""
    with _standing(**(state or {})) as standin:
        yield _situation(**{"api_endpoint": standin.url, **changes})


@contextmanager
def _refreshing(folder: Path, **state: Any) -> Iterator[Situation]:  # noqa: ARG001
    with _standing(**state) as standin:
        uri = f"{standin.url}/token"
        yield _situation(standin.url, REFRESHING, client_id="client", token_uri=uri)


@contextmanager
def _account_json(folder: Path, *, own_key: bool = True, email: str = ACCOUNT) -> Iterator[Situation]:  # noqa: ARG001
    with _standing() as standin:
        content = {**(_account()[0] if own_key else new_account(ACCOUNT, "")[0]), "client_email": email}
        key = content.pop("private_key")
        content["token_uri"] = f"{standin.url}/token"
        yield _situation(
            standin.url, {"private_key": key}, method="service-account-json", keyfile_json=content
        )


@contextmanager
def _account_file(folder: Path, *, content: str | None = "") -> Iterator[Situation]:
    """`content` "" is the whole key; None no file."""
    path = folder / "key.json"
    with _standing() as standin:
        if content is not None:
            path.write_text(content or json.dumps({**_account()[0], "token_uri": f"{standin.url}/token"}))
        yield _situation(standin.url, {}, method="service-account", keyfile=str(path))


@contextmanager
def _default(folder: Path, *, stored: bool) -> Iterator[Situation]:
    """Application default credentials; without any, the metadata server's name leads nowhere here."""
    path = folder / "default.json"
    with _standing() as standin:
        path.write_text(json.dumps({**_account()[0], "token_uri": f"{standin.url}/token"}))
        environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(path)} if stored else {"NO_GCE_CHECK": "true"}
        yield _situation(standin.url, {}, environment, method="oauth")


@contextmanager
def _no_project(folder: Path, *, named: str) -> Iterator[Situation]:
    """No `project`; the key file of the default credentials names `named`."""
    path = folder / "default.json"
    with _standing() as standin:
        path.write_text(
            json.dumps({**_account()[0], "token_uri": f"{standin.url}/token", "project_id": named})
        )
        environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "GOOGLE_CLOUD_PROJECT": ""}
        yield _situation(standin.url, {}, environment, method="oauth", project=None)


@contextmanager
def _google(folder: Path, *, trusted: bool = True, impersonate: str | None = None) -> Iterator[Situation]:
    """At Google's own addresses, through a proxy that answers for them."""
    import trustme  # noqa: PLC0415 - only where cases run

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with _standing(authority) as google:
        environment = {"HTTPS_PROXY": google.url}
        if trusted:
            environment["REQUESTS_CA_BUNDLE"] = str(folder / "ca.pem")
        content = {**_account()[0], "token_uri": "https://oauth2.googleapis.com/token"}
        key = {"private_key": content.pop("private_key")}
        yield _situation(
            None, key, environment, method="service-account-json", keyfile_json=content,
            impersonate_service_account=impersonate,
        )  # fmt: skip


@contextmanager
def _fault(folder: Path, *, fault: Fault, **options: Any) -> Iterator[Situation]:  # noqa: ARG001
    with _standing() as standin, FaultProxy(standin.port, fault, **options) as proxy:
        yield _situation(f"http://{LOOPBACK}:{proxy.port}")


@contextmanager
def _fault_of_token(folder: Path, *, fault: Fault) -> Iterator[Situation]:  # noqa: ARG001
    with _standing() as standin, FaultProxy(standin.port, fault) as proxy:
        uri = f"http://{LOOPBACK}:{proxy.port}/token"
        yield _situation(standin.url, REFRESHING, client_id="client", token_uri=uri)


def _without(right: str) -> dict[str, Any]:
    return {"tokens": {"good": EVERYTHING - {right}}}


def _answering(status: int, reason: str) -> dict[str, Any]:
    return {"errors": {"/analytics/jobs": refusal(status, reason, "as the case wants it")}}


ENGINE = Engine(
    plugin="bigquery",
    requirements="dbt-bigquery.txt",
    modules=("dbt.adapters.bigquery", "google.cloud.bigquery"),
    about="dbt-core 1.11.16, dbt-bigquery 1.11.3, google-cloud-bigquery 3.47.0. No real BigQuery: jobs run "
    "in the emulator crucible 0.1.0a2; logins, rights and dry runs, which it has not, are answered by a "
    "stand-in after its REST reference. `dbt debug` runs `select 1` and looks at no dataset: it passes "
    "where `dbt run` could build nothing, and there the monitor says DEGRADED.",
    cases=(
        Case("all well, a fixed token", _token),
        Case("all well, a refresh token", _refreshing),
        Case("all well, a service account's key", _account_json),
        Case("all well, a key file", _account_file),
        Case("all well, application default credentials", partial(_default, stored=True)),
        Case("all well, their project", partial(_no_project, named="analytics")),
        Case("all well, Google's addresses through a proxy", _google),
        Case("all well, impersonation", partial(_google, impersonate=ACCOUNT)),
        Case("all well, priority batch", partial(_token, priority="batch")),
        Case("dataset missing, right to create it", partial(_token, dataset="new")),
        Case("dataset missing, no right to create it",
             partial(_token, dataset="new", state=_without("datasets.create"))),
        Case("dataset missing, of a name that none can have", partial(_token, dataset="my-marts")),
        Case("dataset in another location", partial(_token, location="US")),
        Case("no right to see the dataset", partial(_token, state=_without("datasets.get"))),
        Case("no right to create tables", partial(_token, state=_without("tables.create"))),
        Case("no right to run jobs", partial(_token, state=_without("jobs.create"))),
        Case("token expired", partial(_token, credentials={"token": "expired"})),
        Case("refresh token revoked", partial(_refreshing, refresh_tokens={})),
        Case("another account's key", partial(_account_json, own_key=False)),
        Case("unknown account", partial(_account_json, email="gone@analytics.iam.gserviceaccount.com")),
        Case("no key file", partial(_account_file, content=None)),
        Case("a key file without a key", partial(_account_file, content='{"type": "service_account"}')),
        Case("no application default credentials", partial(_default, stored=False)),
        Case("no project, and none of theirs", partial(_no_project, named="")),
        Case("no right to impersonate", partial(_google, impersonate="boss@example.org")),
        Case("unknown project", partial(_token, project="nothing")),
        Case("quota exceeded", partial(_token, state=_answering(403, "quotaExceeded"))),
        Case("rate limit exceeded", partial(_token, state=_answering(403, "rateLimitExceeded")), waits=True),
        Case("billing not enabled", partial(_token, state=_answering(403, "billingNotEnabled"))),
        Case("API not enabled", partial(_token, state=_answering(403, "accessNotConfigured"))),
        Case("unknown location", partial(_token, state=_answering(400, "invalid"))),
        Case("a bad gateway",
             partial(_token, state={"errors": {"/analytics/jobs": (502, b"<html>")}}), waits=True),
        Case("a portal answers", partial(_token, state={"errors": {"/analytics/jobs": (200, b"<html>")}})),
        Case("TLS roots that do not fit", partial(_google, trusted=False), waits=True),
        Case("unknown host", partial(_token, api_endpoint="https://nowhere.invalid"), waits=True),
        Case("connection refused", partial(_fault, fault=Fault.REFUSE), waits=True),
        Case("packets dropped", partial(_fault, fault=Fault.BLACKHOLE), waits=True),
        Case("accepts and never answers", partial(_fault, fault=Fault.HANG), waits=True),
        Case("connection reset", partial(_fault, fault=Fault.RESET), waits=True),
        Case("connection closed at once", partial(_fault, fault=Fault.HALF_CLOSE), waits=True),
        Case("hangs within an answer", partial(_fault, fault=Fault.HANG_AFTER, after=400), waits=True),
        Case("answers at 1 byte a second", partial(_fault, fault=Fault.DRIP, rate=1), waits=True),
        Case("token endpoint never answers", partial(_fault_of_token, fault=Fault.HANG), waits=True),
        Case("token endpoint refuses connections", partial(_fault_of_token, fault=Fault.REFUSE), waits=True),
    ),
)  # fmt: skip
