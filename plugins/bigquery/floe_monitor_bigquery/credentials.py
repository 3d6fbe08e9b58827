"""Google's credentials, made as dbt-bigquery makes them, without what would wait unseen.

`google.auth.default` may run `gcloud` and asks the metadata server three times; here its order is followed
step by step: the file named by GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server.
"""

from __future__ import annotations

import json
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.auth import exceptions
from google.auth.credentials import TokenState

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    Deadline,
    ErrorType,
)
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor_bigquery.errors import AnsweredError, UnusableAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_bigquery.config import BigQueryConfig
    from floe_monitor_bigquery.transport import Transport

MAX_FILE_BYTES = 256 << 10
METADATA_SECONDS = 3.0
"""What the metadata server gets to answer, as in google-auth; or half of the time left, if that is less."""
_WITH_ANY_REQUEST = ("encodings.idna",)
_IMPERSONATION = ("google.auth.impersonated_credentials", "_strptime")
_OF_METHOD = {
    # Its file says which kind it is; that is left to the validation, which reads it anew each time.
    "oauth": (
        "google.oauth2.service_account", "google.oauth2.credentials", "google.auth.compute_engine",
        "google.auth.external_account_authorized_user", "google.auth.identity_pool", "google.auth.aws",
        *_IMPERSONATION,
    ),
    "service-account": ("google.oauth2.service_account",),
    "service-account-json": ("google.oauth2.service_account",),
    "oauth-secrets": ("google.oauth2.credentials",),
}  # fmt: skip
"""What the libraries import when a request or a token is first wanted."""


class NoCredentialsError(ComputeError):
    error_type = ErrorType.AUTHENTICATION


class RefusedKeyError(ComputeConfigurationError):
    """Key material that is none."""


def modules_for(config: BigQueryConfig) -> tuple[str, ...]:
    """What a validation of the target imports, besides what this module does."""
    impersonation = _IMPERSONATION if config.impersonate_service_account else ()
    return (*_WITH_ANY_REQUEST, *_OF_METHOD[config.method], *impersonation)


def read_stored(config: BigQueryConfig) -> dict[str, Any] | None:
    """What the key file, or that of the default credentials, holds now; None where the method has no file."""
    if config.method == "service-account":
        return _read(Path(config.keyfile or ""), "keyfile")
    if config.method != "oauth":
        return None
    if named := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return _read(Path(named), "GOOGLE_APPLICATION_CREDENTIALS")
    gclouds = gcloud_directory() / "application_default_credentials.json"
    return _read(gclouds, "gcloud's credentials") if gclouds.is_file() else None


def make_credentials(config: BigQueryConfig, content: Mapping[str, Any] | None) -> Any:
    """The credentials of the target's method, from what `read_stored` gave; no request is made yet."""
    scopes = config.scopes_to_ask
    if config.method == "oauth":
        return _default(scopes, content).with_quota_project_from_environment()
    if config.method == "oauth-secrets":
        from google.oauth2.credentials import Credentials

        return Credentials(
            token=secret_of(config, "token"),
            refresh_token=secret_of(config, "refresh_token"),
            client_id=config.client_id,
            client_secret=secret_of(config, "client_secret"),
            token_uri=config.token_uri,
            scopes=scopes,
        )
    if config.method == "service-account":
        return _of_info(content or {}, scopes, only="service_account")
    keyfile = dict(config.keyfile_json or {})
    keyfile["private_key"] = (config.private_key or "").replace("\\n", "\n")
    return _of_info(keyfile, scopes, only="service_account")


def impersonating(source: Any, config: BigQueryConfig) -> Any:
    from google.auth.impersonated_credentials import Credentials

    return Credentials(
        source_credentials=source,
        target_principal=config.impersonate_service_account,
        target_scopes=config.scopes_to_ask,
    )


def refresh(credentials: Any, transport: Transport) -> None:
    """Get a token. Answers that refuse one raise `AnsweredError`."""
    try:
        if _is_of_metadata_server(credentials):
            seconds = min(METADATA_SECONDS, transport.deadline.remaining() / 2)
            transport = transport.until(Deadline.after(seconds))
        credentials.refresh(transport)
    except exceptions.GoogleAuthError as error:
        raise NoCredentialsError(_first_line(error)) from None
    except (TypeError, LookupError, ValueError, AttributeError):
        # The library takes any success for what it expects.
        raise UnusableAnswerError("the token endpoint's answer holds no token") from None
    except AnsweredError as error:
        if error.status == 404 and _is_of_metadata_server(credentials):
            raise NoCredentialsError(f"{_NOWHERE}, and this machine has no service account") from None
        raise
    except (ComputeConnectionError, ComputeTimeoutError) as error:
        if not _is_of_metadata_server(credentials):
            raise
        # Outside Google's machines no server answers there.
        raise NoCredentialsError(f"{_NOWHERE}, and the metadata server does not answer ({error})") from None


def is_fresh(credentials: Any) -> bool:
    """Whether the token may be used again: 3:45 minutes before its end it may not, as in google-auth."""
    return bool(credentials.token_state is TokenState.FRESH)


def good_until(credentials: Any) -> str:
    """In words; "" where the token endpoint did not say."""
    expiry = credentials.expiry
    return f"the token is good until {expiry:%Y-%m-%d %H:%M:%S} UTC" if expiry else ""


def headers_of(credentials: Any, config: BigQueryConfig) -> dict[str, str]:
    found = {"authorization": f"Bearer {credentials.token}"}
    quota_project = config.quota_project or credentials.quota_project_id
    return {**found, "x-goog-user-project": quota_project} if quota_project else found


# ------------------------------------------------------------ application default credentials

_NOWHERE = "GOOGLE_APPLICATION_CREDENTIALS is not set, gcloud has stored no application default credentials"


def _default(scopes: list[str], content: Mapping[str, Any] | None) -> Any:
    if content is not None:
        return _of_info(content, scopes)
    if os.environ.get("NO_GCE_CHECK") == "true":
        raise NoCredentialsError(f"{_NOWHERE}, and NO_GCE_CHECK rules out the metadata server")
    from google.auth.compute_engine import Credentials

    return Credentials(scopes=scopes)


def _is_of_metadata_server(credentials: Any) -> bool:
    return type(credentials).__module__ == "google.auth.compute_engine.credentials"


def gcloud_directory() -> Path:
    if found := os.environ.get("CLOUDSDK_CONFIG"):
        return Path(found)
    # As google-auth does: a home that is not known stays `~`, where Path would raise.
    return Path(os.path.expanduser("~"), ".config", "gcloud")  # noqa: PTH111


# ------------------------------------------------------------ files and their kinds


def read_text(path: Path, what: str) -> str:
    """Opening neither waits for a writer's end of a pipe nor reads without end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ComputeConfigurationError(f"{what}: {path} is no file")
            return file.read(MAX_FILE_BYTES).decode()
    except OSError as error:
        raise ComputeConfigurationError(f"{what}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ComputeConfigurationError(f"{what}: {path} is no UTF-8 text") from None


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path, what))
    except ValueError:
        raise ComputeConfigurationError(f"{what}: {path} holds no JSON") from None
    if not isinstance(content, dict):
        raise ComputeConfigurationError(f"{what}: {path} holds no JSON object")
    return content


def _of_info(info: Mapping[str, Any], scopes: list[str], only: str | None = None) -> Any:
    """Credentials of the kind that `info` says it is; a service account's key may leave it out."""
    kind = info.get("type", "service_account")
    if only is not None and kind != only:
        raise RefusedKeyError(f"the key file is of type {str(kind)[:40]!r}, not {only}")
    try:
        return _of_kind(str(kind), info, scopes)
    except (ValueError, TypeError, KeyError, exceptions.GoogleAuthError) as error:
        # Texts about keys may quote them.
        raise RefusedKeyError(
            f"the credentials of type {kind!r} cannot be used: {_harmless(error)}"
        ) from None


def _of_kind(kind: str, info: Mapping[str, Any], scopes: list[str]) -> Any:
    # ruff: noqa: PLC0415 - only what the kind needs is imported
    if kind == "service_account":
        return _service_account(json.dumps(info, sort_keys=True)).with_scopes(scopes)
    if kind == "authorized_user":
        from google.oauth2.credentials import Credentials as User

        return User.from_authorized_user_info(info, scopes=scopes)
    if kind == "impersonated_service_account":
        from google.auth.impersonated_credentials import Credentials as Impersonated

        return Impersonated.from_impersonated_service_account_info(dict(info), scopes=scopes)
    if kind == "external_account_authorized_user":
        from google.auth.external_account_authorized_user import Credentials as Workforce

        return Workforce.from_info(info, scopes=scopes)
    if kind == "external_account":
        return _external(info, scopes)
    raise RefusedKeyError(f"credentials of type {kind[:40]!r} are not known")


@lru_cache(maxsize=64)
def _service_account(info: str) -> Any:
    """Reading a key costs some 50 ms of CPU: done once. Copies of this have tokens of their own."""
    from google.oauth2.service_account import Credentials

    return Credentials.from_service_account_info(json.loads(info))


def _external(info: Mapping[str, Any], scopes: list[str]) -> Any:
    source = info.get("credential_source") or {}
    if info.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        from google.auth.aws import Credentials as Aws

        return Aws.from_info(info, scopes=scopes)
    if "executable" in source:
        raise RefusedKeyError("it gets its token from a program, which the monitor does not run")
    from google.auth.identity_pool import Credentials as Pool

    return Pool.from_info(info, scopes=scopes)


def _harmless(error: Exception) -> str:
    if isinstance(error, exceptions.MalformedError) and "missing fields" in str(error):
        return _first_line(error)
    if isinstance(error, RefusedKeyError):
        return str(error)
    return (
        "the key cannot be read"
        if "private_key" in str(error) or "PEM" in str(error)
        else (f"{type(error).__name__}")
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:500]
