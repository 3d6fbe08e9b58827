"""Tokens: where they come from, in which form they are asked for, and for how long they are kept."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_databricks import oauth

from conformance.databricks_standin import CLIENT, IDENTITY_TOKEN, ISSUED, SECRET, TENANT, StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
LOGIN: dict[str, Any] = {
    "credentials": {"client_secret": SECRET},
    "auth_type": "oauth",
    "client_id": CLIENT,
}
ASKS_FOR_A_TOKEN = [
    "GET /.well-known/databricks-config",
    "GET /oidc/.well-known/oauth-authorization-server",
    "POST /oidc/v1/token",
]


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def test_a_service_principal(probe: Probe, standin: StandIn) -> None:
    result = probe(**LOGIN)
    assert (result.status, names(result)[:5]) == (HEALTHY, ["network", "tls", "token", "login", "warehouse"])
    assert standin.state.requests[:3] == ASKS_FOR_A_TOKEN
    assert standin.state.forms == [{"grant_type": "client_credentials", "scope": "all-apis"}]
    assert {headers["authorization"] for headers in standin.state.headers[3:]} == {f"Bearer {ISSUED}"}


def test_a_host_that_tells_nothing_of_itself(probe: Probe, standin: StandIn) -> None:
    standin.state.tells_of_itself = False
    assert probe(**LOGIN).status is HEALTHY


@pytest.mark.parametrize(
    ("part", "answer", "status", "error_type", "says"),
    [
        ("/oidc/v1/token", (429, {}), DEGRADED, ErrorType.CONNECTION, "too many requests"),
        ("/databricks-config", (503, {}), DEGRADED, ErrorType.CONNECTION, "503"),
        (
            "/oauth-authorization-server",
            (404, {}),
            UNHEALTHY,
            ErrorType.CONFIGURATION,
            "gives no OAuth tokens",
        ),
        ("/oidc/v1/token", (500, {}), UNHEALTHY, ErrorType.CONNECTION, "500"),
        (
            "/oidc/v1/token",
            (200, {"token_type": "Bearer"}),
            UNHEALTHY,
            ErrorType.CONFIGURATION,
            "without a token",
        ),
        (
            "/databricks-config",
            (200, {"oidc_endpoint": "http://elsewhere.invalid"}),
            UNHEALTHY,
            ErrorType.CONFIGURATION,
            "no HTTPS address",
        ),
        (
            "/oidc/v1/token",
            (400, {"error": "invalid_scope", "error_description": "no such scope"}),
            UNHEALTHY,
            ErrorType.AUTHENTICATION,
            "invalid_scope: no such scope",
        ),
    ],
)
def test_tokens_that_are_not_to_be_had(
    probe: Probe,
    standin: StandIn,
    part: str,
    answer: tuple[int, dict[str, Any]],
    status: ConnectionStatus,
    error_type: ErrorType,
    says: str,
) -> None:
    standin.state.refused[part] = answer
    result = probe(**LOGIN)
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, "token"), result
    assert says in result.message


def test_a_wrong_secret_is_not_repeated(probe: Probe) -> None:
    wrong = "dose-canary-wrong-4567"
    result = probe(**{**LOGIN, "credentials": {"client_secret": wrong}})
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)
    assert "Client authentication failed" in result.message
    assert wrong not in str(result)


def test_an_account_in_the_place_of_tokens(probe: Probe, standin: StandIn) -> None:
    """As of a host that serves several workspaces."""
    about = {"oidc_endpoint": f"{standin.url}/oidc/accounts/{{account_id}}", "account_id": "a-1"}
    standin.state.refused["/databricks-config"] = (200, about)
    standin.state.refused["/accounts/a-1/.well-known/"] = (
        200,
        {"token_endpoint": f"{standin.url}/oidc/v1/token"},
    )
    assert probe(**LOGIN).status is HEALTHY


# ---------------------------------------------------------------- identity tokens


def test_an_identity_token_of_a_file(probe: Probe, standin: StandIn, tmp_path: Path) -> None:
    place = tmp_path / "identity.jwt"
    place.write_text(f"{IDENTITY_TOKEN}\n")
    login: dict[str, Any] = {"credentials": {}, "auth_type": "file-oidc", "client_id": CLIENT}
    assert probe(**login, oidc_token_filepath=str(place)).status is HEALTHY
    assert standin.state.forms[0]["subject_token"] == IDENTITY_TOKEN
    assert standin.state.forms[0]["grant_type"].endswith("token-exchange")
    for text, error_type in (
        ("", ErrorType.AUTHENTICATION),
        ("another-identity-canary", ErrorType.AUTHENTICATION),
    ):
        place.write_text(text)
        result = probe(**login, oidc_token_filepath=str(place))
        assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, error_type, "token")
        assert not text or text not in result.message
    result = probe(**login, oidc_token_filepath=str(tmp_path / "none"))
    assert (result.error_type, "No such file" in result.message) == (ErrorType.CONFIGURATION, True)


def test_an_identity_token_of_the_environment(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    login: dict[str, Any] = {"credentials": {}, "auth_type": "env-oidc", "client_id": CLIENT}
    result = probe(**login)
    assert (result.error_type, "DATABRICKS_OIDC_TOKEN" in result.message) == (ErrorType.AUTHENTICATION, True)
    monkeypatch.setenv("DATABRICKS_OIDC_TOKEN", IDENTITY_TOKEN)
    assert probe(**login).status is HEALTHY
    assert standin.state.forms[0]["client_id"] == CLIENT


# ---------------------------------------------------------------- Entra ID


@pytest.fixture
def azure(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A workspace of Azure's by name, at the stand-in, which is Entra ID as well."""
    system = socket.getaddrinfo

    def here(_: Any, *rest: Any, **options: Any) -> Any:
        return system("127.0.0.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    place = f"https://localhost:{standin.port}"
    monkeypatch.setitem(oauth.AZURE_CLOUDS, "localhost", (place, "https://management.example/"))
    return {"host": "localhost"}


def test_a_service_principal_of_entra(probe: Probe, standin: StandIn, azure: dict[str, Any]) -> None:
    login = {"auth_type": "oauth", "azure_client_id": CLIENT}
    assert probe(credentials={"azure_client_secret": SECRET}, **login, **azure).status is HEALTHY
    assert standin.state.requests[:3] == ["GET /aad/auth", *[f"POST /{TENANT}/oauth2/token"] * 2]
    assert [form["resource"] for form in standin.state.forms] == [
        "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
        "https://management.example/",
    ]
    assert standin.state.headers[-1]["x-databricks-azure-sp-management-token"] == ISSUED


def test_the_tenant_of_the_environment(
    probe: Probe, standin: StandIn, azure: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARM_TENANT_ID", TENANT)
    login = {"auth_type": "oauth", "azure_client_id": CLIENT}
    assert probe(credentials={"azure_client_secret": SECRET}, **login, **azure).status is HEALTHY
    assert "GET /aad/auth" not in standin.state.requests


def test_entra_is_for_azure_alone(probe: Probe, standin: StandIn) -> None:
    login = {"auth_type": "oauth", "azure_client_id": CLIENT}
    result = probe(credentials={"azure_client_secret": SECRET}, **login)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert standin.state.forms == []


def test_a_secret_of_unknown_origin_is_tried_as_dbt_does(
    probe: Probe, standin: StandIn, azure: dict[str, Any]
) -> None:
    """First with Entra ID, then with the workspace; one of Databricks' own never goes to Entra."""
    login = {"auth_type": "oauth", "client_id": CLIENT}
    probe(credentials={"client_secret": "of-unknown-origin"}, **login, **azure)
    assert standin.state.requests[:2] == ["GET /aad/auth", f"POST /{TENANT}/oauth2/token"]
    assert standin.state.requests[-1] == "POST /oidc/v1/token"
    standin.state.requests.clear()
    probe(credentials={"client_secret": SECRET}, **login, **azure)
    assert not any("oauth2" in request for request in standin.state.requests)


# ---------------------------------------------------------------- tokens that are kept


def test_a_token_is_kept_while_it_is_good(probe: Probe, standin: StandIn) -> None:
    for _ in range(3):
        result = probe(**LOGIN, connection_reuse=True)
        assert (result.status, names(result)[2]) == (HEALTHY, "token")
    assert len(standin.state.forms) == 1


def test_a_token_that_ends_soon_is_not_used_again(probe: Probe, standin: StandIn) -> None:
    standin.state.expires_in = 60
    for _ in range(2):
        assert probe(**LOGIN, connection_reuse=True).status is HEALTHY
    assert len(standin.state.forms) == 2


def test_a_kept_token_that_is_revoked_is_replaced(probe: Probe, standin: StandIn) -> None:
    assert probe(**LOGIN, connection_reuse=True).status is HEALTHY
    standin.state.tokens = frozenset()
    result = probe(**LOGIN, connection_reuse=True)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)
    assert len(standin.state.forms) == 2, "a new one was asked for, and refused too"
    standin.state.tokens = frozenset({ISSUED})
    assert probe(**LOGIN, connection_reuse=True).status is HEALTHY


def test_nothing_is_kept_from_one_validation_to_the_next_but_the_token(
    probe: Probe, standin: StandIn
) -> None:
    probe(connection_reuse=True)
    standin.state.groups = ()
    standin.state.grants = ()
    assert len(probe(connection_reuse=True).warnings) == 1, "who asks is asked anew"
