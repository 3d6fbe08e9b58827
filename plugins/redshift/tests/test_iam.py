"""Logins that IAM grants, and what AWS says of the cluster or workgroup: what is asked, and what is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.redshift_aws_standin import CLUSTER, ROLE, TEMPORARY, WORKGROUP, Key
from conformance.redshift_standin import PASSWORD
from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType, ExpiryKind

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from conformance.redshift_aws_standin import AwsStandIn
    from conformance.redshift_standin import StandIn
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
READING = {
    "DescribeClusters",
    "GetClusterCredentials",
    "GetClusterCredentialsWithIAM",
    "GetWorkgroup",
    "GetCredentials",
}


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def of_key(aws: AwsStandIn, name: str = "AKIDWELL") -> dict[str, str]:
    return {"access_key_id": name, "secret_access_key": aws.state.keys[name].secret}


@pytest.fixture
def iam_probe(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path, aws: AwsStandIn
) -> Probe:
    """With the key that is well, unless others are given."""
    server = launch(tls=tls, users={"IAM:dbt": TEMPORARY})

    def run(credentials: dict[str, str] | None = None, **changes: Any) -> ConnectionResult:
        given = {"port": server.port, "sslmode": None, "method": "iam", "cluster_id": CLUSTER, **changes}
        if given["method"] == "iam_role":
            given["user"] = None
        return probe(credentials=of_key(aws) if credentials is None else credentials, **given)

    return run


def test_a_user_of_the_database_by_a_key(iam_probe: Probe, aws: AwsStandIn) -> None:
    result = iam_probe(host="localhost", db_groups=["builders", "readers"], autocreate=True)
    assert result.status is HEALTHY, result
    assert result.server_address == "localhost"  # not the address of AWS
    assert [each.what for each in result.expiries] == [ExpiryKind.SERVER_CERTIFICATE]
    assert names(result)[:6] == ["iam", "state", "credentials", "network", "tls", "login"]
    assert aws.state.asked == [
        ("DescribeClusters", {"ClusterIdentifier": CLUSTER}),
        (
            "GetClusterCredentials",
            {
                "ClusterIdentifier": CLUSTER,
                "DbUser": "dbt",
                "DbName": "analytics",
                "AutoCreate": "false",
                "DbGroups.DbGroup.1": "builders",
                "DbGroups.DbGroup.2": "readers",
            },
        ),
    ]


@pytest.mark.parametrize(
    ("credentials", "changes", "kind", "check", "says"),
    [
        ({"access_key_id": "AKIDNONE", "secret_access_key": "none of them"}, {}, ErrorType.AUTHENTICATION,
         "credentials", "InvalidClientTokenId"),
        ({"access_key_id": "AKIDWELL", "secret_access_key": "wrong battery"}, {}, ErrorType.AUTHENTICATION,
         "credentials", "SignatureDoesNotMatch"),
        ("AKIDDENIED", {}, ErrorType.PERMISSION, "credentials", "not authorized to perform"),
        (None, {"cluster_id": "nowhere"}, ErrorType.CONFIGURATION, "credentials", "ClusterNotFound"),
        (None, {"user": "nobody"}, ErrorType.AUTHENTICATION, "login", "does not exist"),
        (None, {"region": "eu/west"}, ErrorType.CONFIGURATION, "iam", "no name of a region"),
    ],
)  # fmt: skip
def test_failures(
    iam_probe: Probe,
    aws: AwsStandIn,
    credentials: Any,
    changes: dict[str, Any],
    kind: ErrorType,
    check: str,
    says: str,
) -> None:
    if isinstance(credentials, str):
        credentials = of_key(aws, credentials)
    result = iam_probe(credentials, **changes)
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, kind, check), result.message
    assert says in result.message
    assert "wrong battery" not in str(result)


@pytest.mark.parametrize(
    ("state", "verdict", "check"),
    [
        ("paused", UNHEALTHY, "asleep"),
        ("pausing", UNHEALTHY, "asleep"),
        ("resuming", DEGRADED, "available"),
        ("creating", DEGRADED, "available"),
        ("rebooting", DEGRADED, "available"),
        ("deleting", UNHEALTHY, "available"),
        ("hardware-failure", UNHEALTHY, "available"),
        ("available, prep-for-resize", HEALTHY, "schema"),
        ("resizing", HEALTHY, "schema"),
    ],
)
def test_states_of_a_cluster(
    iam_probe: Probe, aws: AwsStandIn, state: str, verdict: ConnectionStatus, check: str
) -> None:
    aws.state.clusters[CLUSTER] = state
    result = iam_probe()
    assert (result.status, names(result)[-1]) == (verdict, check)
    assert (state in result.message) == (verdict is not HEALTHY)
    assert bool(result.warnings) == (state == "resizing")
    seen = {"paused": EngineState.SUSPENDED, "resuming": EngineState.STARTING}
    assert [each.state for each in result.engine_states] == ([seen[state]] if state in seen else [])
    assert set(aws.state.actions) <= READING
    assert ("GetClusterCredentials" in aws.state.actions) == (verdict is HEALTHY)


def test_a_paused_cluster_beside_a_password(probe: Probe, aws: AwsStandIn, standin: StandIn) -> None:
    given = {"password": PASSWORD, **of_key(aws)}
    assert names(probe(credentials=given, cluster_id=CLUSTER))[:3] == ["iam", "state", "network"]
    aws.state.clusters[CLUSTER] = "paused"
    result = probe(credentials=given, cluster_id=CLUSTER)
    assert (result.status, names(result)[-1]) == (UNHEALTHY, "asleep")
    assert set(aws.state.actions) == {"DescribeClusters"}
    assert len(standin.state.startups) == 1


def test_keys_that_do_not_serve_beside_a_password(probe: Probe, aws: AwsStandIn) -> None:
    """dbt reads past them."""
    for changes in ({"iam_profile": "gone"}, {"region": "eu/west", "iam_profile": "gone"}):
        result = probe(cluster_id=CLUSTER, **changes)
        assert result.status is HEALTHY
        assert "cannot be known" in result.warnings[0]


@pytest.mark.parametrize("silent", [False, True])
def test_a_state_that_is_not_told_is_no_failure(
    iam_probe: Probe, aws: AwsStandIn, silent: bool, patience: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floe_monitor_redshift.aws_checks.STATE_SHARE", 0.05)
    timeout = patience(iam_probe, 20)
    key = of_key(aws, "AKIDWELL" if silent else "AKIDNARROW")
    if silent:
        aws.state.silent = frozenset({"DescribeClusters"})
    result = iam_probe(key, timeout=timeout)
    assert (result.status, names(result)[-1]) == (HEALTHY, "schema")
    assert "whether cluster 'marts-cluster' is paused cannot be known" in result.warnings[0]


def test_credentials_that_never_come(iam_probe: Probe, aws: AwsStandIn, patience: Any) -> None:
    timeout = patience(iam_probe, 1)
    aws.state.silent = frozenset({"GetClusterCredentials"})
    result = iam_probe(timeout=timeout)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)
    assert names(result)[-1] in {"iam", "credentials"}  # the first where the machine took all the time before


def test_too_many_requests_are_a_limitation(iam_probe: Probe, aws: AwsStandIn) -> None:
    aws.state.throttles = True
    result = iam_probe()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION)


def test_a_user_that_dbts_login_makes(iam_probe: Probe) -> None:
    """A probe makes none, so that it cannot look on."""
    result = iam_probe(user="newcomer", autocreate=True)
    assert (result.status, names(result)[-1]) == (DEGRADED, "login")
    assert "dbt's login makes that user" in result.message


def test_nodes_without_references_between_databases(iam_probe: Probe, aws: AwsStandIn) -> None:
    aws.state.node_type = "dc2.large"
    assert iam_probe().status is HEALTHY
    result = iam_probe(ra3_node=True)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
    assert "dc2.large" in result.message


def test_a_domain_of_ones_own(iam_probe: Probe, aws: AwsStandIn) -> None:
    """dbt's driver asks by both names, and takes what either gives."""
    result = iam_probe(cluster_id="nowhere", host="localhost")
    assert result.status is UNHEALTHY
    asked = [given for action, given in aws.state.asked if action == "GetClusterCredentials"]
    assert [("ClusterIdentifier" in given, given.get("CustomDomainName")) for given in asked] == [
        (True, None), (False, "localhost"),
    ]  # fmt: skip


# ---------------------------------------------------------------- where the keys come from


def write(path: Path, text: str) -> None:
    path.write_text(text)


def profile(aws: AwsStandIn, name: str = "AKIDWELL") -> str:
    key = aws.state.keys[name]
    token = f"aws_session_token = {key.token}\n" if key.token else ""
    return f"aws_access_key_id = {name}\naws_secret_access_key = {key.secret}\n{token}"


def test_a_profile(iam_probe: Probe, aws: AwsStandIn, tmp_path: Path) -> None:
    write(tmp_path / "aws-credentials", f"[team]\n{profile(aws)}[old]\n{profile(aws, 'ASIDOVER')}")
    assert iam_probe({}, iam_profile="team").status is HEALTHY
    result = iam_probe({}, iam_profile="old")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)
    assert "ExpiredToken" in result.message
    assert "an old token" not in str(result)
    result = iam_probe({}, iam_profile="gone")
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONFIGURATION, "iam")
    assert "no profile 'gone'" in result.message


def test_the_default_profile_gives_region_and_address(
    iam_probe: Probe, aws: AwsStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    assert "neither the host" in iam_probe({}).message
    write(
        tmp_path / "aws-config", f"[default]\nregion = eu-north-1\nendpoint_url = {aws.url}\n{profile(aws)}"
    )
    assert iam_probe({}).status is HEALTHY
    assert "no keys for AWS" not in iam_probe({}).message


def test_a_role_by_another_profile(iam_probe: Probe, aws: AwsStandIn, tmp_path: Path) -> None:
    role = f"role_arn = {ROLE}\nsource_profile = base\nexternal_id = team\n"
    write(tmp_path / "aws-credentials", f"[base]\n{profile(aws)}")
    write(
        tmp_path / "aws-config",
        f"[profile dbt]\n{role}[profile denied]\n{role.replace('role/dbt', 'role/other')}"
        f"[profile loop]\nrole_arn = {ROLE}\nsource_profile = back\n"
        f"[profile back]\nrole_arn = {ROLE}\nsource_profile = loop\n",
    )
    assert iam_probe({}, iam_profile="dbt", method="iam_role").status is HEALTHY
    assert aws.state.actions == ["AssumeRole", "DescribeClusters", "GetClusterCredentialsWithIAM"]
    assert aws.state.asked[0][1]["ExternalId"] == "team"
    result = iam_probe({}, iam_profile="denied", method="iam_role")
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, ErrorType.PERMISSION, "iam")
    assert "without end" in iam_probe({}, iam_profile="loop", method="iam_role").message


@pytest.mark.parametrize("key", ["sso_session = team", "credential_process = /bin/false"])
def test_profiles_that_a_probe_cannot_use(iam_probe: Probe, tmp_path: Path, key: str) -> None:
    write(tmp_path / "aws-config", f"[profile team]\n{key}\n")
    result = iam_probe({}, iam_profile="team")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
    assert key.split(maxsplit=1)[0] in result.message


def test_the_environment_a_web_identity_and_a_container(
    iam_probe: Probe, aws: AwsStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{aws.url}/container")
    assert iam_probe({}).error_type is ErrorType.CONNECTION
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container's token")
    assert iam_probe({}).status is HEALTHY
    token = tmp_path / "token"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert f"cannot read {token}" in iam_probe({}).message
    token.write_text("a token of the cluster's\n")
    aws.state.asked.clear()
    assert iam_probe({}).status is HEALTHY
    assert aws.state.asked[0][1]["WebIdentityToken"] == "a token of the cluster's"
    aws.state.keys["AKIDTOO"] = Key("another secret", token="another token", ends=time.time() + 3600)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTOO")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another token")
    aws.state.asked.clear()
    assert iam_probe({}).status is HEALTHY
    assert aws.state.actions[0] == "DescribeClusters"


# ---------------------------------------------------------------- serverless


def test_a_workgroup_is_sent_no_statement(
    iam_probe: Probe, aws: AwsStandIn, launch: Callable[..., StandIn], tls: ssl.SSLContext
) -> None:
    server = launch(tls=tls, users={"IAM:dbt": TEMPORARY})
    target = {
        "is_serverless": True,
        "serverless_work_group": WORKGROUP,
        "cluster_id": None,
        "port": server.port,
    }
    result = iam_probe(**target)
    assert (result.status, names(result)[-1]) == (HEALTHY, "asleep")
    assert "billed for a minute" in result.checks[-1].message
    assert "no statement was sent" in result.message
    assert aws.state.actions == ["GetWorkgroup", "GetCredentials"]
    assert server.state.startups
    assert server.state.statements == []
    assert names(iam_probe(**target, wake_workgroup=True))[-1] == "schema"
    assert server.state.statements


def test_a_workgroup_by_a_password_is_sent_none_either(probe: Probe, standin: StandIn) -> None:
    result = probe(is_serverless=True, connection_reuse=True)
    assert (result.status, names(result)[-1]) == (HEALTHY, "asleep")
    assert probe(is_serverless=True, connection_reuse=True).status is HEALTHY
    assert len(standin.state.startups) == 1  # the second kept the first one's session, and proved it
    assert standin.state.statements == []
    assert probe(is_serverless=True, credentials={"password": "wrong battery"}).status is UNHEALTHY


@pytest.mark.parametrize(
    ("state", "verdict"), [("CREATING", DEGRADED), ("DELETING", UNHEALTHY), ("MODIFYING", HEALTHY)]
)
def test_states_of_a_workgroup(
    iam_probe: Probe, aws: AwsStandIn, state: str, verdict: ConnectionStatus
) -> None:
    aws.state.workgroups[WORKGROUP] = state
    target = {"is_serverless": True, "serverless_work_group": WORKGROUP, "cluster_id": None}
    assert iam_probe(**target).status is verdict


def test_a_workgroup_that_is_not_there(iam_probe: Probe) -> None:
    result = iam_probe(is_serverless=True, serverless_work_group="nowhere", cluster_id=None)
    assert (result.status, result.error_type, names(result)[-1]) == (
        UNHEALTHY, ErrorType.CONFIGURATION, "credentials",
    )  # fmt: skip
    assert "can't be found" in result.message
