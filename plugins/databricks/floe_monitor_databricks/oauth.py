"""Tokens, in the order and at the places of dbt-databricks' SDK, without retries, in a probe's time."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.http_address import site_of
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_databricks.errors import (
    ApiError,
    LoginRefusedError,
    UnexpectedAnswerError,
    one_line,
)
from floe_monitor_databricks.session import Token, content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_databricks.config import DatabricksConfig
    from floe_monitor_databricks.session import Session

SCOPE = "all-apis"
LARGEST_FILE = 64 << 10
_NATIVE_SECRET = "dose"  # noqa: S105 - how secrets begin that Databricks itself gives
_AZURE_DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""The application in Entra ID that all workspaces are."""
AZURE_CLOUDS = {
    ".azuredatabricks.net": ("https://login.microsoftonline.com", "https://management.core.windows.net/"),
    ".databricks.azure.us": (
        "https://login.microsoftonline.us",
        "https://management.core.usgovcloudapi.net/",
    ),
    ".databricks.azure.cn": ("https://login.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/"),
}
"""Where Entra ID is, and the resource of Azure's own API, by the end of a workspace's name."""
_REFUSALS = frozenset({400, 401, 403})


def log_in(
    config: DatabricksConfig, session: Session, calls: BlockingCalls, hide: Callable[[str], None]
) -> Token:
    """A token by the target's login. Raises `LoginRefusedError` where it is refused."""
    login = _Login(config, session, calls, hide)
    if config.login == "azure":
        return login.by_entra(config.azure_client_id, secret_of(config, "azure_client_secret"))
    if config.login == "oauth-m2m":
        return login.by_client_secret()
    return login.by_identity_token()


class _Login:
    def __init__(
        self, config: DatabricksConfig, session: Session, calls: BlockingCalls, hide: Callable[[str], None]
    ) -> None:
        self._config, self._session, self._calls, self._hide = config, session, calls, hide

    def by_client_secret(self) -> Token:
        """A secret that Databricks has not given may be Entra's: dbt then tries Entra first."""
        secret = secret_of(self._config, "client_secret") or ""
        if not secret.startswith(_NATIVE_SECRET) and self._azure_cloud() is not None:
            try:
                return self.by_entra(self._config.client_id, secret)
            except (ApiError, LoginRefusedError):
                pass
        pair = f"{self._config.client_id}:{secret}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        form = {"grant_type": "client_credentials", "scope": SCOPE}
        return self._token(self._token_endpoint(), form, basic)

    def by_identity_token(self) -> Token:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": self._identity_token(),
            "client_id": self._config.client_id or "",
            "scope": SCOPE,
        }
        return self._token(self._token_endpoint(), form)

    def by_entra(self, client_id: str | None, secret: str | None) -> Token:
        cloud = self._azure_cloud()
        if cloud is None:
            raise ComputeConfigurationError(
                "a service principal of Entra ID logs in to workspaces of Azure alone, and host names none"
            )
        entra, management = cloud
        url = f"{entra}/{quote(self._tenant(), safe='')}/oauth2/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id or "",
            "client_secret": secret or "",
            "scope": SCOPE,
        }
        token = self._token(url, {**form, "resource": _AZURE_DATABRICKS})
        of_azure = self._token(url, {**form, "resource": management})
        header = {"X-Databricks-Azure-SP-Management-Token": of_azure.value}
        return Token(token.value, header, min(token.expires_at, of_azure.expires_at))

    # ------------------------------------------------------------ places

    def _token_endpoint(self) -> str:
        """As the host tells it; by the usual place, where it tells nothing of itself."""
        site = self._session.site
        about = self._public(f"{site}/.well-known/databricks-config", "what the host says of itself")
        base = str((about or {}).get("oidc_endpoint") or f"{site}/oidc")
        base = base.replace("{account_id}", str((about or {}).get("account_id") or "")).rstrip("/")
        found = self._public(
            f"{_encrypted(base)}/.well-known/oauth-authorization-server", "the place that gives tokens"
        )
        if found is None:
            raise UnexpectedAnswerError(
                f"{site_of(base)} gives no OAuth tokens: is it a workspace's address?"
            )
        return _encrypted(str(found.get("token_endpoint") or ""))

    def _public(self, url: str, waits_for: str) -> dict[str, Any] | None:
        """None where there is no such page."""
        answer = self._session.send("GET", url, waits_for)
        return None if answer.status == 404 else content_of(answer, site_of(url))

    def _azure_cloud(self) -> tuple[str, str] | None:
        host = self._config.host.partition(":")[0].lower().rstrip(".")
        return next((cloud for end, cloud in AZURE_CLOUDS.items() if host.endswith(end)), None)

    def _tenant(self) -> str:
        """Of the workspace, which leads whoever logs in to it."""
        if given := os.environ.get("ARM_TENANT_ID"):
            return given
        answer = self._session.send("GET", f"{self._session.site}/aad/auth", "the tenant of the workspace")
        tenant = urlsplit(answer.headers.get("location", "")).path.strip("/").partition("/")[0]
        if not tenant:
            raise UnexpectedAnswerError(
                f"{self._session.site} does not say which tenant of Entra ID it is in"
            )
        return tenant

    def _identity_token(self) -> str:
        if self._config.login == "env-oidc":
            name = os.environ.get("DATABRICKS_OIDC_TOKEN_ENV") or "DATABRICKS_OIDC_TOKEN"
            found = os.environ.get(name, "").strip()
            if not found:
                raise LoginRefusedError(f"{name}, from which the identity token comes, is not set here")
        else:
            path = self._config.oidc_token_filepath or ""
            seconds = self._session.deadline.remaining()
            found = self._calls.run(seconds, ("identity token", path), lambda: _read(Path(path)))
        self._hide(found)
        return found

    # ------------------------------------------------------------ the request

    def _token(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Token:
        sent = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
        answer = self._session.send("POST", url, "a token", sent, urlencode(form).encode())
        if answer.status in _REFUSALS:
            found = json_object(answer.body)
            code = found.get("error") or found.get("errorCode") or answer.status
            said = found.get("error_description") or found.get("errorSummary") or answer.reason
            raise LoginRefusedError(f"{site_of(url)} gives no token: {one_line(f'{code}: {said}')}")
        found = content_of(answer, site_of(url))
        value = found.get("access_token")
        if not isinstance(value, str) or not value:
            raise UnexpectedAnswerError(f"{site_of(url)} answers without a token")
        self._hide(value)
        return Token(value, expires_at=time.monotonic() + _seconds(found.get("expires_in")))


def _encrypted(url: str) -> str:
    if not url.startswith("https://"):
        raise UnexpectedAnswerError(f"tokens are said to come from {site_of(url)}, which is no HTTPS address")
    return url


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE).decode().strip()
    except OSError as error:
        raise ComputeConfigurationError(f"cannot read oidc_token_filepath {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ComputeConfigurationError(f"oidc_token_filepath {path} holds no text") from None
    if not text:
        raise LoginRefusedError(f"oidc_token_filepath {path} is empty")
    return text


def _seconds(given: object) -> float:
    """Of a token that does not say: one that is used once."""
    try:
        return float(str(given))
    except ValueError:
        return 0.0
