"""The few calls of BigQuery's REST API that a probe makes: v2, as its public reference has them."""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from floe_monitor_bigquery.transport import answered, content_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_bigquery.config import BigQueryConfig
    from floe_monitor_bigquery.transport import Transport

DEFAULT_ENDPOINT = "https://bigquery.googleapis.com"
SMALLEST_BILL = 10 << 20
"""BigQuery's smallest bill for a query that reads a table, in bytes; `SELECT 1` reads none."""


def endpoint(config: BigQueryConfig) -> str:
    """Where dbt's driver goes, emulator variable included."""
    found = config.api_endpoint or os.environ.get("BIGQUERY_EMULATOR_HOST") or DEFAULT_ENDPOINT
    return found.rstrip("/")


class Api:
    def __init__(self, config: BigQueryConfig, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._base = f"{endpoint(config)}/bigquery/v2/projects"
        self.headers: Mapping[str, str] = {}

    def reach(self) -> int:
        """Any answer at all, without credentials; its status."""
        return self._transport.send("GET", f"{endpoint(self._config)}/").status

    def reach_with_token(self, transport: Transport | None = None) -> int:
        """Any answer at all, with the token; its status. One that is no good any more gets 401."""
        return (transport or self._transport).send("GET", self._dataset(), headers=self.headers).status

    def dry_run(self, statement: str) -> dict[str, Any]:
        """Has BigQuery check a statement and the right to run it; nothing runs and nothing is billed."""
        query: dict[str, Any] = {"query": statement, "useLegacySql": False}
        if self._config.priority is not None:
            query["priority"] = self._config.priority.upper()
        reference = {"projectId": self._config.job_project, **self._location()}
        job = {"jobReference": reference, "configuration": {"dryRun": True, "query": query}}
        return self._call("POST", f"{self._jobs()}/jobs", job)

    def dataset(self) -> dict[str, Any]:
        return self._call("GET", self._dataset())

    def run(self, statement: str, seconds: float) -> dict[str, Any]:
        """Runs it as a query of its own; BigQuery answers within `seconds`, done or not."""
        request = {
            "query": statement,
            "useLegacySql": False,
            "timeoutMs": max(1, int(seconds * 1000)),
            "maximumBytesBilled": str(self._config.maximum_bytes_billed or SMALLEST_BILL),
            "requestId": str(uuid.uuid4()),
            **self._location(),
        }
        return self._call("POST", f"{self._jobs()}/queries", request)

    def cancel(self, job: Mapping[str, Any]) -> None:
        query = f"?location={quote(str(job['location']), safe='')}" if job.get("location") else ""
        self._call("POST", f"{self._jobs()}/jobs/{quote(str(job['jobId']), safe='')}/cancel{query}", {})

    def _dataset(self) -> str:
        name = quote(self._config.dataset_name, safe="")
        return f"{self._base}/{quote(self._config.project_name, safe='')}/datasets/{name}"

    def _jobs(self) -> str:
        return f"{self._base}/{quote(self._config.job_project, safe='')}"

    def _location(self) -> dict[str, str]:
        return {"location": self._config.location} if self._config.location else {}

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {**self.headers, "accept": "application/json"}
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        response = self._transport.send(method, url, data, headers)
        if not 200 <= response.status < 300:
            raise answered(url, response)
        return content_of(url, response)
