"""What the plugin makes of an account's answers; the account is the stand-in's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from conformance.snowflake_standin import PASSWORD, TOKEN, StandIn
from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus.HEALTHY, ConnectionStatus.DEGRADED, ConnectionStatus.UNHEALTHY
CHECKS = ["network", "login", "query", "role", "database", "schema", "write", "warehouse"]


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey, passphrase: str | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def test_everything_is_there(probe: Probe, standin: StandIn) -> None:
    result = probe()
    assert (result.status, result.warnings) == (HEALTHY, [])
    assert [check.name for check in result.checks] == CHECKS
    assert standin.sessions == {}, "the session was not ended"
    assert standin.woken == []
    assert standin.statements[-1] == 'USE WAREHOUSE "TRANSFORMING"'
    assert all(
        text.startswith(("SHOW ", "USE ", "SELECT CURRENT_", "SELECT IS_ROLE_"))
        for text in standin.statements
    )
    assert set(standin.requests) == {"/session/v1/login-request", "/queries/v1/query-request", "/session"}
    login = standin.logins[0]
    assert "warehouse" not in login
    assert login["SESSION_PARAMETERS"]["QUERY_TAG"] == "floe-monitor"


@pytest.mark.parametrize(
    ("changes", "status", "kind", "check", "words"),
    [
        ({"warehouse": "off"}, UNHEALTHY, ErrorType.CONFIGURATION, "asleep", "does not resume by itself"),
        ({"warehouse": "watched"}, DEGRADED, ErrorType.PERMISSION, "warehouse", "002043"),
        ({"warehouse": "missing"}, DEGRADED, ErrorType.PERMISSION, "warehouse", "does not exist, or"),
        ({"warehouse": '"transforming"'}, DEGRADED, ErrorType.PERMISSION, "warehouse", "'transforming'"),
        ({"warehouse": "transformin_"}, DEGRADED, ErrorType.PERMISSION, "warehouse", "TRANSFORMIN_"),
        ({"warehouse": None}, DEGRADED, ErrorType.CONFIGURATION, "warehouse", "neither"),
        ({"database": "missing"}, DEGRADED, ErrorType.PERMISSION, "database", "'MISSING'"),
        ({"role": "reader"}, DEGRADED, ErrorType.PERMISSION, "write", "CREATE TABLE, CREATE VIEW"),
        ({"role": "reader", "schema": "new"}, DEGRADED, ErrorType.PERMISSION, "write", "CREATE SCHEMA"),
        ({"schema": "my-marts"}, DEGRADED, ErrorType.CONFIGURATION, "schema", "without quotes"),
        ({"schema": "1st"}, DEGRADED, ErrorType.CONFIGURATION, "schema", "without quotes"),
        ({"schema": "m" * 256}, DEGRADED, ErrorType.CONFIGURATION, "schema", "255 characters at most"),
        ({"role": "missing"}, UNHEALTHY, ErrorType.PERMISSION, "role", "390189"),
        ({"user": "nobody"}, UNHEALTHY, ErrorType.AUTHENTICATION, "login", "390100"),
        ({"credentials": {"password": "wrong one"}}, UNHEALTHY, ErrorType.AUTHENTICATION, "login", "390100"),
        ({"host": "nowhere.invalid"}, UNHEALTHY, ErrorType.CONNECTION, "network", "cannot resolve"),
        ({"host": "bad\u0301..name"}, UNHEALTHY, ErrorType.CONNECTION, "network", "not a valid host name"),
        ({"protocol": "https"}, UNHEALTHY, ErrorType.CONNECTION, "tls", "no TLS"),
    ],
)
def test_what_is_amiss(
    probe: Probe,
    standin: StandIn,
    changes: dict[str, Any],
    status: ConnectionStatus,
    kind: ErrorType,
    check: str,
    words: str,
) -> None:
    result = probe(**changes)
    assert (result.status, result.error_type) == (status, kind), result
    assert words in result.message
    worst = max(result.checks, key=lambda found: found.status.severity)
    assert (worst.name, worst.status) == (check, status)
    assert standin.woken == []


def test_a_suspended_warehouse_is_reported_and_not_resumed(probe: Probe, standin: StandIn) -> None:
    result = probe(warehouse="sleeping")
    assert (result.status, result.warnings) == (HEALTHY, [])
    assert [check.name for check in result.checks] == [*CHECKS, "asleep"]
    assert "starts with dbt's first query, which waits for it: seconds" in result.checks[-1].message
    assert standin.account.warehouses["SLEEPING"]["state"] == "SUSPENDED"
    assert standin.woken == []


@pytest.mark.parametrize(
    ("state", "auto_resume", "status", "last", "seen"),
    [
        ("SUSPENDING", "true", HEALTHY, "asleep", EngineState.SUSPENDED),
        ("SUSPENDED", "false", UNHEALTHY, "asleep", EngineState.SUSPENDED),
        ("RESUMING", "true", DEGRADED, "warehouse", EngineState.STARTING),
        ("RESUMING", "false", DEGRADED, "warehouse", EngineState.STARTING),
        ("RESIZING", "false", HEALTHY, "warehouse", EngineState.RUNNING),
        ("STARTED", "true", HEALTHY, "warehouse", EngineState.RUNNING),
    ],
)
def test_one_rule_for_what_sleeps(
    probe: Probe,
    standin: StandIn,
    state: str,
    auto_resume: str,
    status: ConnectionStatus,
    last: str,
    seen: EngineState,
) -> None:
    standin.account.warehouses["TRANSFORMING"] = {"state": state, "auto_resume": auto_resume}
    result = probe()
    assert (result.status, result.checks[-1].name) == (status, last)
    assert [each.state for each in result.engine_states] == [seen]
    assert standin.account.warehouses["TRANSFORMING"]["state"] == state
    assert standin.woken == []


def test_a_schema_that_dbt_will_make(probe: Probe) -> None:
    for name in ("new", "_new$1", '"my-new"', '"' + "m" * 255 + '"'):
        result = probe(schema=name)
        assert result.status is HEALTHY
        assert "dbt will create it" in result.warnings[0]


def test_grants_that_are_not_to_be_seen_are_no_fault(probe: Probe, standin: StandIn) -> None:
    standin.account.hidden_grants = True
    result = probe()
    assert result.status is HEALTHY
    assert "is not to be seen" in result.warnings[0]


def test_secondary_roles_do_not_build(probe: Probe, standin: StandIn) -> None:
    """READER's user has BUILDER too: as a secondary role, under which nothing is created."""
    standin.account.secondary = "ALL"
    result = probe(role="reader")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)
    assert [text for text in standin.statements if "SECONDARY" in text][-2:] == [
        "USE SECONDARY ROLES NONE",
        "USE SECONDARY ROLES ALL",
    ]


@pytest.mark.parametrize(
    ("number", "kind", "check"),
    [
        ("390100", ErrorType.AUTHENTICATION, "login"),  # wrong password
        ("390101", ErrorType.AUTHENTICATION, "login"),  # user disabled
        ("390106", ErrorType.AUTHENTICATION, "login"),  # password expired
        ("390144", ErrorType.AUTHENTICATION, "login"),  # JWT invalid
        ("390303", ErrorType.AUTHENTICATION, "login"),  # OAuth token invalid
        ("390318", ErrorType.AUTHENTICATION, "login"),  # OAuth token expired
        ("394400", ErrorType.AUTHENTICATION, "login"),  # PAT invalid
        ("390422", ErrorType.PERMISSION, "login"),  # network policy
        ("390432", ErrorType.PERMISSION, "login"),  # token needs a network policy
        ("390201", ErrorType.PERMISSION, "login"),  # object of the login missing
        ("390186", ErrorType.PERMISSION, "role"),
        ("390189", ErrorType.PERMISSION, "role"),
    ],
)
def test_numbers_of_refused_logins(
    probe: Probe, standin: StandIn, number: str, kind: ErrorType, check: str
) -> None:
    standin.account.refused["DBT"] = (number, "Refused.")
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, kind)
    assert result.checks[-1].name == check
    assert number in result.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ErrorType.PERMISSION),
        (404, ErrorType.CONFIGURATION),
        (407, ErrorType.AUTHENTICATION),
        (500, ErrorType.CONNECTION),
        (503, ErrorType.CONNECTION),
        (200, ErrorType.CONNECTION),
    ],
)
def test_answers_that_are_not_snowflakes(
    probe: Probe, standin: StandIn, status: int, kind: ErrorType
) -> None:
    standin.http_status = status
    result = probe(timeout=3)
    assert (result.status, result.error_type) == (UNHEALTHY, kind), result
    assert result.checks[-1].name == "login"


@pytest.mark.parametrize("method", ["oauth", "jwt", "programmatic_access_token"])
def test_tokens(probe: Probe, standin: StandIn, method: str) -> None:
    good = probe(credentials={"token": TOKEN}, authenticator=method)
    assert good.status is HEALTHY
    sent = {"jwt": "OAUTH"}.get(method, method.upper())
    assert standin.logins[-1]["AUTHENTICATOR"] == sent
    bad = probe(credentials={"token": "another token"}, authenticator=method)
    assert (bad.status, bad.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)
    assert "another token" not in str(bad)


def test_key_pairs(probe: Probe, standin: StandIn, key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_bytes(pem(key, "a passphrase"))
    secret = {"private_key_passphrase": "a passphrase"}
    assert probe(credentials=secret, private_key_path=str(path)).status is HEALTHY
    assert standin.logins[-1]["AUTHENTICATOR"] == "SNOWFLAKE_JWT"
    assert probe(credentials={"private_key": pem(key).decode()}).status is HEALTHY
    standin.account.users.clear()
    assert probe(credentials={"private_key": pem(key).decode()}).error_type is ErrorType.AUTHENTICATION


@pytest.mark.parametrize(
    ("content", "passphrase", "words"),
    [
        (None, None, "no such private key file"),
        (b"no key", None, "cannot be read"),
        ("encrypted", None, "needs its passphrase"),
        ("encrypted", "a wrong one", "passphrase is wrong"),
        ("plain", "a useless one", "is not encrypted"),
    ],
)
def test_keys_that_are_none(
    probe: Probe,
    key: rsa.RSAPrivateKey,
    tmp_path: Path,
    content: bytes | str | None,
    passphrase: str | None,
    words: str,
) -> None:
    path = tmp_path / "key.p8"
    made = {"encrypted": pem(key, "a passphrase"), "plain": pem(key)}
    if content is not None:
        path.write_bytes(made[content] if isinstance(content, str) else content)
    secret = {} if passphrase is None else {"private_key_passphrase": passphrase}
    result = probe(credentials=secret, private_key_path=str(path))
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert [check.name for check in result.checks] == ["key"]
    assert words in result.message


def test_a_password_in_the_servers_words_is_scrubbed(probe: Probe, standin: StandIn) -> None:
    standin.account.refused["DBT"] = ("390100", f"Incorrect: {PASSWORD}")
    result = probe()
    assert PASSWORD not in str(result)
    assert "***" in result.message


def test_an_untrusted_certificate(plugin: Any, probe: Probe, tls: ssl.SSLContext) -> None:
    with StandIn(tls=tls) as encrypted:
        result = probe(port=encrypted.port, protocol="https")
        assert encrypted.logins == []
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert [check.name for check in result.checks] == ["network", "tls", "login"]


def test_a_proxy_that_refuses(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    result = probe(proxy_host="127.0.0.1", proxy_port=1)
    assert (result.error_type, result.checks[-1].name) == (ErrorType.CONNECTION, "network")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    result = probe()
    assert (result.error_type, result.checks[-1].name) == (ErrorType.CONNECTION, "network")


def test_a_variable_that_names_no_proxy(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver knows no other than HTTP proxies either."""
    monkeypatch.setenv("no_proxy", "")
    for value, words in (("socks5://127.0.0.1:1", "scheme socks5"), ("http://:x", "no address of a proxy")):
        monkeypatch.setenv("http_proxy", value)
        result = probe()
        assert (result.error_type, result.checks[-1].name) == (ErrorType.CONFIGURATION, "network")
        assert words in result.message
