"""A stand-in for AWS' services about Redshift, on loopback: IAM, the states of clusters, credentials.

It minds who signs, as AWS documents it: the key, its secret, its session token and that token's end, and what
the key may ask for; and refuses in AWS' own forms. What it was asked is recorded: a probe must start nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer
from floe_monitor.compute.toolkit.sigv4 import Signer

REGION = "eu-west-1"
CLUSTER, WORKGROUP = "marts-cluster", "marts-workgroup"
TEMPORARY = "temporary-canary-0123456789"
ROLE = "arn:aws:iam::123456789012:role/dbt"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"?SignedHeaders=(?P<headers>[^,]+), ?Signature=\w+"
)


@dataclass(frozen=True, slots=True)
class Key:
    secret: str
    token: str | None = None
    ends: float = float("inf")
    """Of the session, in Unix time."""
    denied: frozenset[str] = frozenset()
    """Actions that it may not ask for."""


@dataclass
class State:
    """What AWS knows; tests change it at will."""

    keys: dict[str, Key] = field(
        default_factory=lambda: {
            "AKIDWELL": Key("secret of the key"),
            "AKIDDENIED": Key("secret of the denied", denied=frozenset({"GetClusterCredentials"})),
            "AKIDNARROW": Key("secret of the narrow", denied=frozenset({"DescribeClusters"})),
            "ASIDOVER": Key("secret of the old", token="an old token", ends=time.time() - 60),  # noqa: S106
        }
    )
    clusters: dict[str, str] = field(default_factory=lambda: {CLUSTER: "available"})
    """The state of each, by its identifier."""
    node_type: str = "ra3.large"
    workgroups: dict[str, str] = field(default_factory=lambda: {WORKGROUP: "AVAILABLE"})
    throttles: bool = False
    silent: frozenset[str] = frozenset()
    """Actions that are never answered."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Each action with its parameters, refused ones included."""

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.asked]


class AwsRefusalError(Exception):
    """`code` is AWS' name for it."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class AwsStandIn(LoopbackServer):
    def __init__(self, **state: Any) -> None:
        self.state = State(**state)
        self._over = threading.Event()
        super().__init__(_Handler)
        self.url = f"http://{LOOPBACK}:{self.port}"

    def close(self) -> None:
        self._over.set()
        super().close()

    @property
    def environment(self) -> dict[str, str]:
        """By which the plugin, and AWS' own library, ask here."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def wait_until_over(self) -> None:
        self._over.wait(60)


class _Handler(HttpHandler):
    owner: AwsStandIn

    def do_GET(self) -> None:
        """The credentials of a container."""
        if self.path != "/container" or self.headers.get("authorization") != "container's token":
            self.answer(404, b"{}", "application/json")
            return
        key, found = next(iter(self.owner.state.keys.items()))
        self.answer(
            200,
            json.dumps({"AccessKeyId": key, "SecretAccessKey": found.secret}).encode(),
            "application/json",
        )

    def do_POST(self) -> None:
        body = self.body()
        target = self.headers.get("x-amz-target")
        if target is not None:
            action, parameters = target.partition(".")[2], json.loads(body)
        else:
            parameters = dict(parse_qsl(body.decode()))
            action = parameters.pop("Action", "")
            parameters.pop("Version", None)
        state = self.owner.state
        state.asked.append((action, parameters))
        if action in state.silent:
            self.owner.wait_until_over()
            return
        try:
            if action != "AssumeRoleWithWebIdentity":
                self._verify(action, body)
            found = _answer(state, action, parameters)
        except AwsRefusalError as refusal:
            self._refuse(refusal, as_json=target is not None)
            return
        if target is not None:
            self.answer(200, json.dumps(found).encode(), "application/x-amz-json-1.1")
        else:
            text = f"<{action}Response><{action}Result>{_xml(found)}</{action}Result></{action}Response>"
            self.answer(200, text.encode(), "text/xml")

    def _verify(self, action: str, body: bytes) -> None:
        given = _AUTHORIZATION.match(self.headers.get("authorization", ""))
        if given is None:
            raise AwsRefusalError("MissingAuthenticationToken", "Request is missing Authentication Token")
        key = self.owner.state.keys.get(given["key"])
        if key is None or self.headers.get("x-amz-security-token") != key.token:
            raise AwsRefusalError(
                "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        if key.ends < time.time():
            raise AwsRefusalError("ExpiredToken", "The security token included in the request is expired")
        self._verify_signature(given, key, body)
        if action in key.denied:
            raise AwsRefusalError(
                "AccessDenied",
                f"User: arn:aws:iam::123456789012:user/dbt is not authorized to perform: {action}",
            )

    def _verify_signature(self, given: re.Match[str], key: Key, body: bytes) -> None:
        signed = {name: self.headers.get(name, "") for name in given["headers"].split(";")}
        headers = {**signed, "x-amz-date": self.headers.get("x-amz-date", "")}
        signer = Signer(given["key"], key.secret, given["service"], given["region"])
        url = f"{self.owner.url}{self.path}"
        wanted = signer.authorization("POST", url, headers, hashlib.sha256(body).hexdigest())
        if wanted.rpartition("=")[2] != self.headers.get("authorization", "").rpartition("=")[2]:
            raise AwsRefusalError(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )

    def _refuse(self, refusal: AwsRefusalError, *, as_json: bool) -> None:
        if as_json:
            text = json.dumps({"__type": f"com.amazonaws#{refusal.code}Exception", "message": str(refusal)})
            self.answer(refusal.status, text.encode(), "application/x-amz-json-1.1")
            return
        error = f"<Code>{refusal.code}</Code><Message>{refusal}</Message>"
        self.answer(
            refusal.status, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode(), "text/xml"
        )


def _answer(state: State, action: str, given: dict[str, Any]) -> dict[str, Any]:
    ends = "2099-01-01T00:00:00Z"
    if state.throttles:
        raise AwsRefusalError("Throttling", "Rate exceeded", 400)
    if action in {"AssumeRole", "AssumeRoleWithWebIdentity"}:
        if given.get("RoleArn") != ROLE:
            raise AwsRefusalError("AccessDenied", f"not authorized to perform: sts:{action}")
        key, found = next(iter(state.keys.items()))
        keys = {"AccessKeyId": key, "SecretAccessKey": found.secret, "SessionToken": found.token or ""}
        return {"Credentials": {**keys, "Expiration": ends}}
    if action in {"GetWorkgroup", "GetCredentials"}:
        name = given.get("workgroupName")
        if name not in state.workgroups:
            raise AwsRefusalError("ResourceNotFound", f"The workgroup {name} can't be found.", 400)
        if action == "GetWorkgroup":
            return {"workgroup": {"workgroupName": name, "status": state.workgroups[name]}}
        return {"dbUser": "IAM:dbt", "dbPassword": TEMPORARY, "expiration": 4e9}
    name = given.get("ClusterIdentifier", "")
    if name not in state.clusters:
        raise AwsRefusalError("ClusterNotFound", f"Cluster {name} not found.", 404)
    if action == "DescribeClusters":
        cluster = {
            "ClusterIdentifier": name,
            "ClusterStatus": state.clusters[name],
            "NodeType": state.node_type,
        }
        return {"Clusters": {"Cluster": cluster}}
    if action in {"GetClusterCredentials", "GetClusterCredentialsWithIAM"}:
        user = given.get("DbUser", "dbt") if action == "GetClusterCredentials" else "dbt"
        return {"DbUser": f"IAM:{user}", "DbPassword": TEMPORARY, "Expiration": ends}
    raise AwsRefusalError("InvalidAction", f"The action {action} is not valid for this endpoint.", 400)


def _xml(found: object) -> str:
    if isinstance(found, dict):
        return "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in found.items())
    return str(found)
