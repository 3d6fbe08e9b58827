"""The configuration of a BigQuery target: dbt-bigquery's own keys, and a few that only the monitor reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import connection_without, require_known, secret_of

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x20\x7f/?#%`\\]*$", max_length=1024)]
"""Part of an API path: a project, a dataset, an account."""
Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=2048)]

DEFAULT_SCOPES = (
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/userinfo.email",
)
"""dbt-bigquery's."""
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"query"}
SECRETS = ("token", "refresh_token", "client_secret", "private_key")

_OF_METHOD = {
    "oauth": frozenset[str](),
    "service-account": frozenset({"keyfile"}),
    "service-account-json": frozenset({"keyfile_json", "private_key"}),
    "oauth-secrets": frozenset({"token", "refresh_token", "client_id", "client_secret", "token_uri"}),
}
_EVERY_METHODS = frozenset().union(*_OF_METHOD.values())
_TO_REFRESH = ("refresh_token", "client_id", "client_secret", "token_uri")
_OF_KEYFILE = ("client_email", "token_uri")


class BigQueryConfig(ReusingConfig):
    """The keys of `connection`, under dbt-bigquery's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["bigquery"] = "bigquery"
    method: Literal["oauth", "service-account", "service-account-json", "oauth-secrets"] = Field(
        description="How to authenticate; oauth means application default credentials"
    )
    project: Name | None = Field(
        default=None,
        description="Project that holds the dataset; unset: with method oauth, the default credentials' own",
    )
    database: Name | None = Field(default=None, description="The same as project, as dbt allows")
    dataset: Name | None = Field(default=None, description="Dataset that dbt builds in")
    schema_: Name | None = Field(
        default=None, alias="schema", description="The same as dataset, as dbt allows"
    )
    execution_project: Name | None = Field(
        default=None, description="Project that runs and pays for the queries; unset: project"
    )
    quota_project: Name | None = Field(default=None, description="Project whose API quota is used")
    location: Text | None = Field(default=None, description="Location of jobs and new datasets, e.g. EU")
    priority: Literal["interactive", "batch"] | None = Field(default=None, description="Priority of jobs")
    maximum_bytes_billed: int | None = Field(
        default=None, ge=0, description="Queries that would bill more bytes fail"
    )
    api_endpoint: Url | None = Field(default=None, description="Another address of the BigQuery API")
    impersonate_service_account: Name | None = Field(
        default=None, description="Service account to act as, by its e-mail address"
    )
    scopes: list[Text] | None = Field(default=None, description="OAuth scopes; unset: dbt-bigquery's")
    keyfile: Text | None = Field(default=None, description="File with the service account's key")
    keyfile_json: dict[str, Any] | None = Field(
        default=None,
        description="The key file's fields, without private_key: that goes under credentials",
    )
    client_id: Text | None = Field(default=None, description="OAuth client of the refresh token")
    token_uri: Url | None = Field(default=None, description="Token endpoint of the refresh token")
    job_execution_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        description="Seconds dbt waits for a job; unset: timeout_seconds; null: not written",
    )
    job_creation_timeout_seconds: int | None = Field(
        default=None, ge=1, description="Seconds dbt waits for a job to be accepted"
    )
    job_retries: int | None = Field(
        default=1, ge=0, description="Times dbt tries a job again; null leaves it to dbt-bigquery"
    )
    job_retry_deadline_seconds: int | None = Field(
        default=None, ge=1, description="Seconds after which dbt stops trying again"
    )
    compute_region: Text | None = Field(default=None, description="Region of Python models' compute")
    dataproc_cluster_name: Text | None = Field(default=None, description="Cluster for Python models")
    dataproc_batch: dict[str, Any] | None = Field(
        default=None, description="Dataproc batch for Python models"
    )
    gcs_bucket: Text | None = Field(default=None, description="Bucket for Python models")
    submission_method: Text | None = Field(default=None, description="How Python models are run")
    query: Literal["dry-run", "run"] = Field(
        default="dry-run",
        description="run: each probe also runs SELECT 1 as a job; read by the monitor alone",
    )

    @property
    def project_name(self) -> str:
        return self.project or self.database or ""

    @property
    def dataset_name(self) -> str:
        return self.dataset or self.schema_ or ""

    @property
    def job_project(self) -> str:
        return self.execution_project or self.project_name

    @property
    def scopes_to_ask(self) -> list[str]:
        return list(DEFAULT_SCOPES if self.scopes is None else self.scopes)

    @property
    def private_key(self) -> str | None:
        """Of the method service-account-json; within `keyfile_json` once a whole expression was resolved."""
        inside = self.keyfile_json.get("private_key") if isinstance(self.keyfile_json, dict) else None
        return secret_of(self, "private_key") or (str(inside) if inside else None)

    @model_validator(mode="before")
    @classmethod
    def _secrets_apart(cls, data: Any) -> Any:
        connection = connection_without(SECRETS, data)
        if connection.get("method") == "external-oauth-wif":
            raise ValueError(
                "method external-oauth-wif is not supported: dbt's requests to the identity provider have no "
                "time limit; use method oauth with a credential configuration file"
            )
        keyfile = connection.get("keyfile_json")
        if isinstance(keyfile, str) and "as_native" not in keyfile:
            raise ValueError(
                "keyfile_json is a mapping of the key file's fields: dbt-bigquery refuses and prints a text"
            )
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for one, other in (("project", "database"), ("dataset", "schema_")):
            names = f"{one} and {other.rstrip('_')}"
            if getattr(self, one) and getattr(self, other):
                raise ValueError(f"{names} are the same key to dbt: give one")
            found_late = one == "project" and self.method == "oauth"
            if not getattr(self, one) and not getattr(self, other) and not found_late:
                raise ValueError(f"missing: {one}")
        require_known(self.credentials, SECRETS)
        return self

    @model_validator(mode="after")
    def _method_has_its_own(self) -> Self:
        given = {key for key in _EVERY_METHODS if key in self.credentials or getattr(self, key, None)}
        without_use = sorted(given - _OF_METHOD.get(self.method, _EVERY_METHODS))
        if without_use:
            raise ValueError(f"{', '.join(without_use)}: of no use with this method")
        if self.method == "service-account" and "keyfile" not in given:
            raise ValueError("this method needs keyfile")
        if self.method == "service-account-json":
            self._has_whole_keyfile()
        if self.method == "oauth-secrets" and given != {"token"}:
            missing = [key for key in _TO_REFRESH if key not in given]
            if missing:
                raise ValueError(
                    f"this method needs token, or {', '.join(_TO_REFRESH)}; missing: {', '.join(missing)}"
                )
        return self

    def _has_whole_keyfile(self) -> None:
        if self.keyfile_json is None:
            raise ValueError("this method needs keyfile_json")
        if not isinstance(self.keyfile_json, dict):
            return  # an expression, for the profile
        if self.private_key is None:
            raise ValueError("this method needs credentials.private_key")
        if "private_key" in self.credentials and "private_key" in self.keyfile_json:
            raise ValueError("credentials.private_key and keyfile_json.private_key: give the first alone")
        missing = [key for key in _OF_KEYFILE if not self.keyfile_json.get(key)]
        if missing:
            raise ValueError(f"keyfile_json: missing {', '.join(missing)}")
