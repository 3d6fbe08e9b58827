"""Whose keys sign requests to AWS, in the order of AWS' own library.

Those of the target; those of its profile; or, where it names neither, the environment's, the default
profile's, a web identity's, the container's, the instance's. What needs a person, or a program of its own, is
refused by name.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError, ComputeConnectionError, ComputeError, Deadline
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_redshift.aws.requests import Keys, value_in
from floe_monitor_redshift.aws.shared_files import DEFAULT, SharedFiles, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_redshift.aws.requests import AwsClient

_MOST_ROLES = 5
"""Profiles that assume roles by one another, in a chain."""
_CONTAINER = "http://169.254.170.2"
_INSTANCE = "http://169.254.169.254"
_INSTANCE_SECONDS = 1.0
"""AWS' library waits so long there, and asks once."""
_UNUSABLE = {
    "sso_session": "a person signs in to it",
    "sso_start_url": "a person signs in to it",
    "credential_process": "it starts a program of its own, which nothing bounds",
    "mfa_serial": "it asks for a person's code",
}


class UnusableProfileError(ComputeConfigurationError):
    """A profile that dbt's driver may be able to use, and a probe cannot."""


class KeyChain:
    """Finds the keys of one validation; `files` are AWS' configuration files as they are now."""

    def __init__(
        self, files: SharedFiles, client: AwsClient, calls: BlockingCalls, deadline: Deadline
    ) -> None:
        self._files, self._client, self._calls, self._deadline = files, client, calls, deadline

    def find(self, profile: str | None) -> Keys:
        """Raises `ComputeConfigurationError`, and `AwsError` for a role that may not be assumed."""
        if profile is None and os.environ.get("AWS_ACCESS_KEY_ID"):
            return _of_environment()
        name = profile_in_use(profile)
        section = self._files.section(name) if name is not None else self._files.profiles.get(DEFAULT, {})
        found = self._of_profile(name or DEFAULT, section, explicit=profile is not None)
        found = found or self._of_container() or self._of_instance()
        if found is None:
            raise ComputeConfigurationError(
                "no keys for AWS: neither the target nor a profile, the environment, the container or the "
                "instance has any"
            )
        return found

    # ------------------------------------------------------------ profiles and roles

    def _of_profile(
        self, name: str, section: Mapping[str, str], *, explicit: bool, depth: int = 0
    ) -> Keys | None:
        if depth > _MOST_ROLES:
            raise ComputeConfigurationError(f"profile {name!r}: its roles lead to one another without end")
        role = section.get("role_arn")
        if role and ("source_profile" in section or "credential_source" in section):
            return self._of_role(name, role, section, depth)
        token_file = os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
        if token_file and not explicit:
            return self._of_web_identity(token_file, os.environ.get("AWS_ROLE_ARN", ""))
        if role and (token_file := section.get("web_identity_token_file")):
            return self._of_web_identity(token_file, role, section.get("role_session_name"))
        if section.get("aws_access_key_id") and section.get("aws_secret_access_key"):
            return Keys(
                section["aws_access_key_id"],
                section["aws_secret_access_key"],
                section.get("aws_session_token"),
            )
        self._refuse(name, section)
        return None

    def _of_role(self, name: str, role: str, section: Mapping[str, str], depth: int) -> Keys:
        if "mfa_serial" in section:
            self._refuse(name, section)
        source = section.get("source_profile")
        if source == name:
            first: Keys | None = self._of_profile(
                name,
                {key: value for key, value in section.items() if key != "role_arn"},
                explicit=True,
                depth=depth + 1,
            )
        elif source is not None:
            first = self._of_profile(source, self._files.section(source), explicit=True, depth=depth + 1)
        else:
            first = self._of_source(section["credential_source"])
        if first is None:
            raise ComputeConfigurationError(f"profile {name!r}: the source of its role has no keys")
        parameters = {
            "RoleArn": role,
            "RoleSessionName": section.get("role_session_name") or _session_name(),
        }
        if external := section.get("external_id"):
            parameters["ExternalId"] = external
        return self._assumed("AssumeRole", parameters, first)

    def _of_web_identity(self, token_file: str, role: str, session_name: str | None = None) -> Keys:
        token = read_text(self._calls, self._deadline, token_file).strip()
        session_name = session_name or os.environ.get("AWS_ROLE_SESSION_NAME") or _session_name()
        parameters = {"RoleArn": role, "RoleSessionName": session_name, "WebIdentityToken": token}
        return self._assumed("AssumeRoleWithWebIdentity", parameters, None)

    def _assumed(self, action: str, parameters: Mapping[str, str], signing: Keys | None) -> Keys:
        text = self._client.query(signing, "sts", action, parameters, self._deadline)
        return Keys(
            value_in(text, "AccessKeyId"), value_in(text, "SecretAccessKey"), value_in(text, "SessionToken")
        )

    def _of_source(self, source: str) -> Keys | None:
        if source == "Environment":
            return _of_environment()
        return self._of_container() if source == "EcsContainer" else self._of_instance()

    def _refuse(self, name: str, section: Mapping[str, str]) -> None:
        for key, reason in _UNUSABLE.items():
            if key in section:
                raise UnusableProfileError(f"profile {name!r} has {key}, which a probe cannot use: {reason}")

    # ------------------------------------------------------------ the container and the instance

    def _of_container(self) -> Keys | None:
        relative, full = (
            os.environ.get(f"AWS_CONTAINER_CREDENTIALS_{kind}_URI") for kind in ("RELATIVE", "FULL")
        )
        url = f"{_CONTAINER}{relative}" if relative else full
        if not url:
            return None
        headers = {}
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if token_file := os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = read_text(self._calls, self._deadline, token_file).strip()
        if token:
            headers["Authorization"] = token
        found = self._local("GET", url, headers, self._deadline)
        if found is None:
            raise ComputeConnectionError("the container's service of credentials gives none")
        return _in_answer(json_object(found))

    def _of_instance(self) -> Keys | None:
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return None
        base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _INSTANCE).rstrip("/")
        until = Deadline(min(self._deadline.expires_at, Deadline.after(_INSTANCE_SECONDS).expires_at))
        try:
            seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            token = self._local("PUT", f"{base}/latest/api/token", seconds, until)
            headers = {"X-aws-ec2-metadata-token": token.decode("latin-1").strip()} if token else {}
            place = f"{base}/latest/meta-data/iam/security-credentials/"
            names = self._local("GET", place, headers, until)
            if not names or not (name := names.decode("latin-1").split("\n")[0].strip()):
                return None
            found = self._local("GET", f"{place}{name}", headers, until)
        except (ComputeError, OSError):
            return None  # there is no such service outside of AWS
        return None if found is None else _in_answer(json_object(found))

    def _local(self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline) -> bytes | None:
        """By no proxy: it is of this machine alone."""
        http = HttpClient(
            partial(dial, calls=self._calls, driver_gives_up=_INSTANCE_SECONDS),
            proxy_for=lambda *_: None,
            deadline=deadline,
        )
        http.waits_for = "the machine's own credentials"
        try:
            answer = http.request(method, url, headers)
        finally:
            http.close()
        return answer.body if answer.status == 200 else None


def profile_in_use(profile: str | None) -> str | None:
    """The target's, or the environment's; None where neither names one."""
    return profile or os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE") or None


def _of_environment() -> Keys:
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not secret or not os.environ.get("AWS_ACCESS_KEY_ID"):
        raise ComputeConfigurationError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set")
    token = os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_SECURITY_TOKEN")
    return Keys(os.environ["AWS_ACCESS_KEY_ID"], secret, token)


def _in_answer(found: Mapping[str, Any]) -> Keys | None:
    key, secret, token = (found.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token"))
    if not isinstance(key, str) or not isinstance(secret, str):
        return None
    return Keys(key, secret, token if isinstance(token, str) else None)


def _session_name() -> str:
    return f"floe-monitor-{int(time.time())}"
