"""What the BigQuery stand-in answers: tokens, rights, datasets and dry runs, after the REST references."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

EVERYTHING = frozenset({"jobs.create", "datasets.get", "datasets.create", "tables.create"})
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    project: str = "analytics"
    datasets: dict[str, str] = field(default_factory=lambda: {"marts": "EU"})
    """Location by name."""
    tokens: dict[str, frozenset[str]] = field(default_factory=lambda: {"good": EVERYTHING})
    """Rights by access token."""
    accounts: dict[str, bytes] = field(default_factory=dict)
    """PEM of the public key by service account."""
    refresh_tokens: dict[str, str] = field(default_factory=lambda: {"refresh": "good"})
    """Access token by refresh token; of the client `client` with the secret `client-secret`."""
    impersonable: frozenset[str] = frozenset({"dbt@analytics.iam.gserviceaccount.com"})
    metadata: bool = False
    errors: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Answers by part of the path, instead of the true one."""
    moved: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and Location of redirections, by path."""
    silent: dict[str, int | None] = field(default_factory=dict)
    """By part of the path: bytes of the answer's body after which nothing more comes; None for no answer."""
    lifetime: int = 3599
    """Of new tokens, in seconds."""
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    """Method, path, headers (lower case) and body of every request."""


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refusal(status: int, reason: str, message: str) -> tuple[int, Any]:
    """As BigQuery writes it."""
    error = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }
    return status, {"error": error}


def denied(permission: str, what: str) -> Refusal:
    message = (
        f"Access Denied: {what}: Permission bigquery.{permission} denied on {what} (or it may not exist)."
    )
    return Refusal(*refusal(403, "accessDenied", message))


def issue_token(state: State, given: dict[str, str]) -> dict[str, Any]:
    if given.get("grant_type") == _JWT_GRANT:
        account = _issuer(state, given.get("assertion", ""))
        token = f"of-{account}"
        state.tokens.setdefault(token, EVERYTHING)
    else:
        if (given.get("client_id"), given.get("client_secret")) != ("client", "client-secret"):
            raise Refusal(401, {"error": "invalid_client", "error_description": "Unauthorized"})
        found = state.refresh_tokens.get(given.get("refresh_token", ""))
        if found is None:
            told = "Token has been expired or revoked."
            raise Refusal(400, {"error": "invalid_grant", "error_description": told})
        token = found
    return {"access_token": token, "expires_in": state.lifetime, "token_type": "Bearer"}


def _issuer(state: State, assertion: str) -> str:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where cases run
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    signed, _, signature = assertion.rpartition(".")
    account = json.loads(_unpadded(signed.split(".")[1]))["iss"]
    if account not in state.accounts:
        told = "Invalid grant: account not found"
        raise Refusal(400, {"error": "invalid_grant", "error_description": told})
    key: Any = serialization.load_pem_public_key(state.accounts[account])
    try:
        key.verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        told = "Invalid JWT Signature."
        raise Refusal(400, {"error": "invalid_grant", "error_description": told}) from None
    return str(account)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def metadata(state: State, path: str) -> dict[str, Any]:
    if not state.metadata:
        raise Refusal(404, b"")
    if path.endswith("/token"):
        return {"access_token": "good", "expires_in": state.lifetime, "token_type": "Bearer"}
    return {"email": "node@analytics.iam.gserviceaccount.com", "aliases": ["default"], "scopes": []}


def impersonate(state: State, account: str) -> dict[str, Any]:
    if account not in state.impersonable:
        told = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
        error = {"code": 403, "message": told, "status": "PERMISSION_DENIED",
                 "details": [{"reason": "IAM_PERMISSION_DENIED"}]}  # fmt: skip
        raise Refusal(403, {"error": error})
    state.tokens.setdefault(f"as-{account}", EVERYTHING)
    return {"accessToken": f"as-{account}", "expireTime": "2099-01-01T00:00:00Z"}


def dataset(state: State, rights: frozenset[str], name: str) -> dict[str, Any]:
    what = f"Dataset {state.project}:{name}"
    if "datasets.get" not in rights:
        raise denied("datasets.get", what)
    if name not in state.datasets:
        raise Refusal(*refusal(404, "notFound", f"Not found: {what}"))
    reference = {"projectId": state.project, "datasetId": name}
    return {"kind": "bigquery#dataset", "datasetReference": reference, "location": state.datasets[name]}


def dry_run(state: State, rights: frozenset[str], job: dict[str, Any]) -> dict[str, Any]:
    statement = job["configuration"]["query"]["query"]
    location = job.get("jobReference", {}).get("location")
    name = statement.split("`")[3] if "`" in statement else ""
    if statement.startswith("CREATE TABLE"):
        what = f"Dataset {state.project}:{name}"
        if "tables.create" not in rights:
            raise denied("tables.create", what)
        there = state.datasets.get(name)
        if there is None or (location and location.casefold() != there.casefold()):
            told = f"Not found: {what} was not found in location {location}"
            raise Refusal(*refusal(404, "notFound", told))
    if statement.startswith("CREATE SCHEMA") and "datasets.create" not in rights:
        raise denied("datasets.create", f"Project {state.project}")
    statistics = {"totalBytesProcessed": "0", "query": {"totalBytesBilled": "0", "cacheHit": False}}
    return {"kind": "bigquery#job", "status": {"state": "DONE"}, "statistics": statistics, **job}
