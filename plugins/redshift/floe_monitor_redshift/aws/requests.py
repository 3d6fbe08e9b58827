"""Signed requests to AWS' services, in both of the forms that they have; and where they go."""

from __future__ import annotations

import html
import json
import os
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor.compute.toolkit.sigv4 import Signer
from floe_monitor_redshift.errors import AwsError, UnexpectedAnswerError, translated
from floe_monitor_redshift.tls import aws_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

DRIVER_GIVES_UP = 60.0
"""Seconds after which AWS' library leaves a silent address."""
_SERVICE_VARIABLES = {
    "redshift": "AWS_ENDPOINT_URL_REDSHIFT",
    "redshift-serverless": "AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS",
    "sts": "AWS_ENDPOINT_URL_STS",
}
_VERSIONS = {"redshift": "2012-12-01", "sts": "2011-06-15"}
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Keys:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(text for text in (self.secret_access_key, self.session_token) if text)


class AwsClient:
    """Requests of one validation. Not for two threads at once."""

    def __init__(self, region: str, calls: BlockingCalls, deadline: Deadline, endpoint: str | None) -> None:
        """`endpoint` is that of a profile, for all services; variables come before it."""
        if not _REGION.fullmatch(region):
            raise ComputeConfigurationError("region is no name of a region of AWS")
        self._region, self._endpoint = region, endpoint
        self._http = HttpClient(
            partial(dial, calls=calls, driver_gives_up=DRIVER_GIVES_UP),
            context_for=lambda _: aws_context(),
            deadline=deadline,
        )

    def query(
        self, keys: Keys | None, service: str, action: str, parameters: Mapping[str, str], deadline: Deadline
    ) -> str:
        """The XML of the answer. Raises `AwsError`; unsigned without keys."""
        body = urlencode({"Action": action, "Version": _VERSIONS[service], **parameters}, quote_via=quote)
        answer = self._send(keys, service, action, body.encode(), {"Content-Type": _FORM}, deadline)
        text = answer.body.decode(errors="replace")
        if answer.status != 200:
            raise AwsError(service, action, answer.status, value_in(text, "Code"), value_in(text, "Message"))
        if f"<{action}Response" not in text:
            raise UnexpectedAnswerError(f"what answers for {service} is no service of AWS")
        return text

    def call(
        self, keys: Keys, service: str, action: str, parameters: Mapping[str, str], deadline: Deadline
    ) -> dict[str, Any]:
        """The JSON of the answer. Raises `AwsError`."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"RedshiftServerless.{action}",
        }
        body = json.dumps(parameters).encode()
        answer = self._send(keys, service, action, body, headers, deadline)
        found = json_object(answer.body)
        if answer.status != 200:
            code = str(found.get("__type") or answer.headers.get("x-amzn-errortype", ""))
            code = code.rpartition("#")[2].partition(":")[0][:100]
            said = found.get("message") or found.get("Message") or ""
            raise AwsError(service, action, answer.status, code, str(said))
        return found

    def close(self) -> None:
        self._http.close()

    def _send(
        self,
        keys: Keys | None,
        service: str,
        action: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> HttpAnswer:
        url = self._address(service)
        signed: dict[str, str] = {}
        if keys is not None:
            signer = Signer(
                keys.access_key_id, keys.secret_access_key, service, self._region, keys.session_token
            )
            signed = signer.headers("POST", url, now=time.time(), body=body)
        self._http.waits_for = f"the answer of {service} to {action}"
        with translated():
            return self._http.request("POST", url, {**headers, **signed}, body, deadline=deadline)

    def _address(self, service: str) -> str:
        """As AWS' library finds it: variables, then the profile, then the region."""
        ignored = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
        variables = (_SERVICE_VARIABLES[service], "AWS_ENDPOINT_URL")
        given = next((os.environ[name] for name in variables if os.environ.get(name)), self._endpoint)
        if given and not ignored:
            return f"{given.rstrip('/')}/"
        domain = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        return f"https://{service}.{self._region}.{domain}/"


def value_in(text: str, tag: str) -> str:
    """Of the first element of that name that holds text alone; empty without one."""
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", text)
    return html.unescape(found[1]) if found else ""
