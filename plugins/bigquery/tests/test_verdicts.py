"""What the plugin says of logins, rights, datasets and answers of all kinds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bigquery_answers import EVERYTHING, refusal
from conformance.bigquery_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
ACCOUNT = "dbt@analytics.iam.gserviceaccount.com"
REFRESHING = {"refresh_token": "refresh", "client_secret": "client-secret"}


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def test_all_well(probe: Probe, standin: StandIn) -> None:
    result = probe()
    assert result.status is HEALTHY, result
    assert names(result) == ["credentials", "network", "query", "dataset", "write"]
    assert result.warnings == []


def test_a_probe_runs_and_bills_nothing(probe: Probe, standin: StandIn) -> None:
    probe(priority="batch", execution_project="analytics", quota_project="payer")
    posts = [(path, body) for method, path, _, body in standin.state.requests if method == "POST"]
    assert [path for path, _ in posts] == ["/bigquery/v2/projects/analytics/jobs"] * 2
    for _, body in posts:
        assert body["configuration"]["dryRun"] is True
        assert body["configuration"]["query"]["priority"] == "BATCH"
        assert body["jobReference"] == {"projectId": "analytics", "location": "EU"}
    assert {method for method, *_ in standin.state.requests} == {"GET", "POST"}
    used = {path: headers.get("x-goog-user-project") for _, path, headers, _ in standin.state.requests}
    assert {used[path] for path in used if path != "/"} == {"payer"}


# ------------------------------------------------------------ logging in


def test_a_service_accounts_key(probe: Probe, keyfile: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keyfile))
    private_key = keyfile.pop("private_key")
    given = {"method": "service-account-json", "keyfile_json": keyfile}
    for result in (
        probe(credentials={}, method="service-account", keyfile=str(path)),
        probe(credentials={"private_key": private_key}, **given),
        probe(
            credentials={},
            method="service-account-json",
            keyfile_json={**keyfile, "private_key": private_key},
        ),
        probe(credentials={"private_key": private_key.replace("\n", "\\n")}, **given),
    ):
        assert result.status is HEALTHY, result
        assert names(result)[:3] == ["credentials", "network", "token"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("", "no JSON"),
        ("[]", "no JSON object"),
        ('{"type": "authorized_user", "refresh_token": "canary"}', "not service_account"),
        ('{"type": "service_account"}', "cannot be used"),
        (
            '{"client_email": "a", "token_uri": "b", "private_key": "canary"}',
            "cannot",
        ),
    ],
)
def test_key_files_that_are_none(probe: Probe, tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    result = probe(credentials={}, method="service-account", keyfile=str(path))
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION), result
    assert says in result.message
    assert "canary" not in result.message


def test_a_key_file_that_is_a_pipe_is_not_waited_for(probe: Probe, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "key.json")
    result = probe(timeout=1, credentials={}, method="service-account", keyfile=str(tmp_path / "key.json"))
    assert "is no file" in result.message


@pytest.mark.parametrize(
    ("account", "error", "kind"),
    [
        ("other@analytics.iam.gserviceaccount.com", None, ErrorType.AUTHENTICATION),
        (ACCOUNT, (401, {"error": "invalid_client"}), ErrorType.AUTHENTICATION),
        (ACCOUNT, (400, {"error": "invalid_scope"}), ErrorType.CONFIGURATION),
        (ACCOUNT, (503, b"busy"), ErrorType.CONNECTION),
        (ACCOUNT, (500, {"error": "internal_failure"}), ErrorType.CONNECTION),
        (ACCOUNT, (200, b"<html>"), ErrorType.CONNECTION),
    ],
)
def test_a_token_that_is_refused(
    probe: Probe,
    standin: StandIn,
    keyfile: dict[str, Any],
    account: str,
    error: tuple[int, Any] | None,
    kind: ErrorType,
) -> None:
    if error is not None:
        standin.state.errors["/token"] = error
    credentials = {"private_key": keyfile.pop("private_key")}
    keyfile["client_email"] = account
    result = probe(timeout=1, credentials=credentials, method="service-account-json", keyfile_json=keyfile)
    assert (names(result)[-1], result.error_type) == ("token", kind), result


def test_a_key_of_another_account(probe: Probe, standin: StandIn, keyfile: dict[str, Any]) -> None:
    from conformance.bigquery_standin import new_account

    standin.state.accounts[ACCOUNT] = new_account(ACCOUNT, "")[1]
    credentials = {"private_key": keyfile.pop("private_key")}
    result = probe(credentials=credentials, method="service-account-json", keyfile_json=keyfile)
    assert result.error_type is ErrorType.AUTHENTICATION
    assert "invalid_grant: Invalid JWT Signature" in result.message


def test_a_refresh_token(probe: Probe, standin: StandIn) -> None:
    given = {"client_id": "client", "token_uri": f"{standin.url}/token"}
    assert probe(credentials=REFRESHING, **given).status is HEALTHY
    standin.state.refresh_tokens.clear()
    result = probe(credentials=REFRESHING, **given)
    assert (names(result)[-1], result.error_type) == ("token", ErrorType.AUTHENTICATION)
    assert "client-secret" not in result.message
    both = probe(credentials={**REFRESHING, "token": "good"}, **given)
    assert (both.status, both.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)
    assert names(both)[-1] == "write"


def test_a_fixed_token_that_expired(probe: Probe) -> None:
    result = probe(credentials={"token": "expired-token"})
    assert (names(result)[-1], result.error_type) == ("query", ErrorType.AUTHENTICATION)


def test_default_credentials_of_each_kind(
    probe: Probe,
    standin: StandIn,
    keyfile: dict[str, Any],
    tmp_path: Path,
    authority: trustme.CA,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {"method": "oauth", "credentials": {}}
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    missing = probe(**given)
    assert (names(missing), missing.error_type) == (["credentials"], ErrorType.AUTHENTICATION)

    user = {
        "type": "authorized_user", "client_id": "client", "client_secret": "client-secret",
        "refresh_token": "refresh", "token_uri": f"{standin.url}/token", "quota_project_id": "of-user",
    }  # fmt: skip
    path = tmp_path / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps(user))
    with StandIn(authority=authority) as google, monkeypatch.context() as environment:
        # For users, the library goes to Google's token endpoint whatever the file says.
        environment.setenv("HTTPS_PROXY", google.url)
        environment.setenv("REQUESTS_CA_BUNDLE", str(root))
        assert probe(**given).status is HEALTHY
        assert standin.state.requests[-1][2]["x-goog-user-project"] == "of-user"
        google.state.refresh_tokens.clear()
        revoked = probe(**given)
        assert (names(revoked)[-1], revoked.error_type) == ("token", ErrorType.AUTHENTICATION)

    named = tmp_path / "named.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))
    named.write_text(json.dumps(keyfile))
    assert probe(**given).status is HEALTHY
    program = {"executable": {"command": "x"}}
    pool = {"type": "external_account", "audience": "//iam", "subject_token_type": "jwt",
            "token_url": f"{standin.url}/sts", "credential_source": program}  # fmt: skip
    named.write_text(json.dumps(pool))
    assert "does not run" in probe(**given).message
    named.write_text('{"type": "canary"}')
    assert probe(**given).error_type is ErrorType.CONFIGURATION
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    assert "cannot read" in probe(**given).message


def test_the_metadata_server(probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.compute_engine import _metadata

    # Read from GCE_METADATA_HOST when the library is imported.
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"127.0.0.1:{standin.port}")
    standin.state.metadata = True
    result = probe(method="oauth", credentials={})
    assert result.status is HEALTHY, result
    standin.state.metadata = False
    result = probe(method="oauth", credentials={})
    assert (names(result)[-1], result.error_type) == ("token", ErrorType.AUTHENTICATION), result


def test_no_metadata_server(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows its name outside Google's machines."""
    from google.auth.compute_engine import _metadata

    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", "nowhere.invalid")
    result = probe(method="oauth", credentials={})
    assert (names(result)[-1], result.error_type) == ("token", ErrorType.AUTHENTICATION), result
    assert "GOOGLE_APPLICATION_CREDENTIALS is not set" in result.message


def test_impersonation(
    probe: Probe, keyfile: dict[str, Any], authority: trustme.CA, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At Google's own addresses, through a proxy that answers for them."""
    with StandIn(authority=authority) as google:
        google.state.accounts[ACCOUNT] = _public_of(keyfile)
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        untrusted = probe(api_endpoint=None)
        assert (names(untrusted)[-1], untrusted.error_type) == ("network", ErrorType.CONNECTION)
        assert "certificate" in untrusted.message
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
        assert probe(api_endpoint=None).status is HEALTHY

        key = {"private_key": keyfile.pop("private_key")}
        keyfile["token_uri"] = "https://oauth2.googleapis.com/token"
        given = {"method": "service-account-json", "keyfile_json": keyfile, "api_endpoint": None}
        result = probe(credentials=key, **given, impersonate_service_account=ACCOUNT)
        assert result.status is HEALTHY, result
        assert names(result)[1:5] == ["network", "token", "impersonation", "query"]
        assert google.state.requests[-1][2]["authorization"] == f"Bearer as-{ACCOUNT}"
        result = probe(credentials=key, **given, impersonate_service_account="other@x")
        assert (names(result)[-1], result.error_type) == ("impersonation", ErrorType.PERMISSION)


def _public_of(keyfile: dict[str, Any]) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(keyfile["private_key"].encode(), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


# ------------------------------------------------------------ rights, datasets, answers


@pytest.mark.parametrize(
    ("missing", "status", "check"),
    [
        ("jobs.create", UNHEALTHY, "query"),
        ("datasets.get", DEGRADED, "dataset"),
        ("tables.create", DEGRADED, "write"),
        ("datasets.create", HEALTHY, "write"),
    ],
)
def test_a_right_that_is_missing(
    probe: Probe, standin: StandIn, missing: str, status: ConnectionStatus, check: str
) -> None:
    standin.state.tokens["good"] = EVERYTHING - {missing}
    result = probe()
    assert (result.status, names(result)[-1]) == (status, check), result
    assert result.error_type is (None if status is HEALTHY else ErrorType.PERMISSION)


def test_a_dataset_that_can_never_be(probe: Probe) -> None:
    result = probe(dataset="my-marts")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION), result
    assert "letters, digits and underscores alone" in result.message


def test_a_dataset_that_is_missing(probe: Probe, standin: StandIn) -> None:
    result = probe(dataset="new")
    assert result.status is HEALTHY
    assert result.warnings == ["dataset 'new' is not there; dbt creates it"]
    standin.state.tokens["good"] = EVERYTHING - {"datasets.create"}
    result = probe(dataset="new")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)


def test_a_dataset_elsewhere(probe: Probe) -> None:
    result = probe(location="US")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
    assert "EU" in result.message
    assert probe(location="eu").status is HEALTHY
    assert probe(location=None).status is HEALTHY


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (refusal(403, "quotaExceeded", "x"), UNHEALTHY, ErrorType.QUERY),
        (refusal(403, "rateLimitExceeded", "x"), DEGRADED, ErrorType.QUERY),
        (refusal(403, "billingNotEnabled", "x"), UNHEALTHY, ErrorType.CONFIGURATION),
        (refusal(403, "accessNotConfigured", "x"), UNHEALTHY, ErrorType.CONFIGURATION),
        (refusal(400, "invalid", "x"), UNHEALTHY, ErrorType.CONFIGURATION),
        (refusal(400, "invalidQuery", "x"), UNHEALTHY, ErrorType.QUERY),
        (refusal(404, "notFound", "x"), UNHEALTHY, ErrorType.CONFIGURATION),
        (refusal(503, "backendError", "x"), DEGRADED, ErrorType.CONNECTION),
        ((502, b"<html>bad gateway</html>"), UNHEALTHY, ErrorType.CONNECTION),
        ((302, b""), UNHEALTHY, ErrorType.CONNECTION),
        ((403, {"error": {"status": "PERMISSION_DENIED", "details": [{"reason": "SERVICE_DISABLED"}]}}),
         UNHEALTHY, ErrorType.CONFIGURATION),
        ((200, b"<html>welcome to the hotel</html>"), UNHEALTHY, ErrorType.CONNECTION),
        ((200, b"x" * (2 << 20)), UNHEALTHY, ErrorType.CONNECTION),
        ((400, {"error": {"errors": "no list", "message": 7}}), UNHEALTHY, ErrorType.QUERY),
        ((400, ["no object"]), UNHEALTHY, ErrorType.QUERY),
    ],
)  # fmt: skip
def test_answers_to_the_dry_run(
    probe: Probe, standin: StandIn, answer: tuple[int, Any], status: ConnectionStatus, kind: ErrorType
) -> None:
    standin.state.errors["/jobs"] = answer
    result = probe()
    assert (result.status, result.error_type) == (status, kind), result


@pytest.mark.parametrize(("complete", "status"), [(True, HEALTHY), (False, UNHEALTHY)])
def test_a_real_query_if_asked_for(
    probe: Probe, standin: StandIn, complete: bool, status: ConnectionStatus
) -> None:
    reference = {"projectId": "analytics", "jobId": "job/1", "location": "EU"}
    standin.state.errors = {
        "/cancel": (200, {}),
        "/queries": (200, {"jobComplete": complete, "jobReference": reference}),
    }
    result = probe(query="run", maximum_bytes_billed=5)
    assert (result.status, names(result)[-1]) == (status, "run"), result
    ran = [(path, body) for _, path, _, body in standin.state.requests if "/jobs" not in path and body]
    assert ran[0][1]["maximumBytesBilled"] == "5"
    assert ran[0][1]["timeoutMs"] < 5000
    cancelled = [path for _, path, _, _ in standin.state.requests if "cancel" in path]
    assert [path.rpartition("/jobs/")[2] for path in cancelled] == (
        [] if complete else ["job%2F1/cancel?location=EU"]
    )
