"""Configuration in, dbt's output out, and back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from floe_monitor_bigquery import BigQueryComputePlugin

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from tests.harness.dbt_outputs import OutputGenerator

PLUGIN = BigQueryComputePlugin()
TOKEN = "{{ env_var('BQ_TOKEN') }}"
LEAST = {"method": "oauth", "project": "analytics", "dataset": "marts"}
KEYFILE = {
    "type": "service_account",
    "client_email": "a@b",
    "token_uri": "https://oauth2.googleapis.com/token",
}
KEY = {"private_key": "canary"}
INLINE = {"method": "service-account-json"}
REFRESH = {"client_id": "c", "token_uri": "https://oauth2.googleapis.com/token"}
REFRESH_SECRETS = {"refresh_token": "canary-refresh", "client_secret": "canary-secret"}
OUTPUTS = OutputGenerator(PLUGIN)
generate, regenerate = OUTPUTS.generate, OUTPUTS.regenerate


def test_the_least() -> None:
    assert generate(LEAST, timeout_seconds=600) == {
        "type": "bigquery",
        "method": "oauth",
        "project": "analytics",
        "dataset": "marts",
        "threads": 4,
        "job_execution_timeout_seconds": 600,
        "job_retries": 1,
    }


def test_a_project_that_is_left_to_the_default_credentials() -> None:
    output = {"type": "bigquery", "method": "oauth", "dataset": "marts", "threads": 4}
    assert regenerate(PLUGIN.import_dbt_output(output)) == output
    with pytest.raises(ComputeConfigurationError, match="project is missing"):
        PLUGIN.import_dbt_output({**output, "method": "service-account", "keyfile": "/k.json"})


def test_a_private_key_goes_into_its_place_as_an_expression() -> None:
    key = "{{ env_var('BQ_KEY') }}"
    output = generate(
        {**LEAST, "method": "service-account-json", "keyfile_json": KEYFILE}, {"private_key": key}
    )
    assert output["keyfile_json"] == {**KEYFILE, "private_key": key}
    assert "private_key" not in output


def test_a_private_key_is_never_written_down() -> None:
    given = {**LEAST, **INLINE, "keyfile_json": {**KEYFILE, "private_key": "canary"}}
    with pytest.raises(ComputeConfigurationError, match="by reference") as caught:
        generate(given)
    assert "canary" not in str(caught.value)


def test_what_the_monitor_alone_reads_is_not_written() -> None:
    kept: dict[str, Any] = {
        "connection_reuse": True,
        "connection_idle_seconds": 9,
        "connection_max_age_seconds": 99,
    }
    assert generate(LEAST, query="run", **kept) == generate(LEAST)


# The examples of the adapter's documentation, with references where it has literal secrets.
DOCUMENTED = """
oauth:
  {type: bigquery, method: oauth, project: GCP_PROJECT_ID, dataset: DBT_DATASET_NAME, threads: 4}
oauth_secrets_refresh:
  type: bigquery
  method: oauth-secrets
  project: GCP_PROJECT_ID
  dataset: DBT_DATASET_NAME
  threads: 4
  refresh_token: "{{ env_var('BQ_REFRESH_TOKEN') }}"
  client_id: CLIENT_ID
  client_secret: "{{ env_var('BQ_CLIENT_SECRET') }}"
  token_uri: https://oauth2.googleapis.com/token
oauth_secrets_token:
  type: bigquery
  method: oauth-secrets
  project: GCP_PROJECT_ID
  dataset: DBT_DATASET_NAME
  threads: 4
  token: "{{ env_var('BQ_TOKEN') }}"
service_account_file:
  type: bigquery
  method: service-account
  project: GCP_PROJECT_ID
  dataset: DBT_DATASET_NAME
  threads: 4
  keyfile: /path/to/bigquery/keyfile.json
service_account_json:
  type: bigquery
  method: service-account-json
  project: GCP_PROJECT_ID
  dataset: DBT_DATASET_NAME
  threads: 4
  keyfile_json:
    type: service_account
    project_id: GCP_PROJECT_ID
    private_key_id: xxx
    private_key: "{{ env_var('BQ_PRIVATE_KEY') }}"
    client_email: dbt@example.iam.gserviceaccount.com
    client_id: "123"
    auth_uri: https://accounts.google.com/o/oauth2/auth
    token_uri: https://oauth2.googleapis.com/token
    auth_provider_x509_cert_url: https://www.googleapis.com/oauth2/v1/certs
    client_x509_cert_url: https://www.googleapis.com/robot/v1/metadata/x509/dbt
everything_optional:
  type: bigquery
  method: oauth
  database: abc-123
  schema: my_dataset
  threads: 1
  location: US
  priority: interactive
  execution_project: buck-stops-here-456
  quota_project: my-bq-quota-project
  maximum_bytes_billed: 1000000000
  impersonate_service_account: dbt-runner@yourproject.iam.gserviceaccount.com
  scopes:
  - https://www.googleapis.com/auth/bigquery
  - https://www.googleapis.com/auth/cloud-platform
  api_endpoint: https://bigquery-pl.p.googleapis.com
  job_creation_timeout_seconds: 30
  job_execution_timeout_seconds: 600
  job_retries: 5
  job_retry_deadline_seconds: 1200
  compute_region: us-central1
  gcs_bucket: dbt-python
  dataproc_cluster_name: cluster
  submission_method: cluster
  dataproc_batch:
    environment_config: {execution_config: {service_account: dbt@x, subnetwork_uri: default}}
    labels: {role: dev}
expressions:
  type: bigquery
  method: service-account
  project: "{{ env_var('GCP_PROJECT') }}"
  dataset: "{{ env_var('DBT_DATASET', 'dev') }}"
  keyfile: "{{ env_var('GOOGLE_APPLICATION_CREDENTIALS') }}"
  threads: "{{ env_var('DBT_THREADS', '4') | as_number }}"
  priority: "{{ env_var('BQ_PRIORITY') }}"
  job_retries: "{{ env_var('RETRIES') | as_number }}"
  location: EU
keyfile_as_native:
  type: bigquery
  method: service-account-json
  project: p
  dataset: d
  threads: 1
  keyfile_json: "{{ env_var('BQ_KEYFILE') | as_native }}"
"""
EXAMPLES: dict[str, dict[str, Any]] = yaml.safe_load(DOCUMENTED)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_imported_output_generates_itself(name: str) -> None:
    assert regenerate(PLUGIN.import_dbt_output(EXAMPLES[name])) == EXAMPLES[name]


def test_old_names_become_todays() -> None:
    old = {"timeout_seconds": 300, "retries": 2, "dataproc_region": "eu"}
    output = regenerate(PLUGIN.import_dbt_output({**EXAMPLES["oauth"], **old}))
    today = {"job_execution_timeout_seconds": 300, "job_retries": 2, "compute_region": "eu"}
    assert output == {**EXAMPLES["oauth"], **today}


@pytest.mark.parametrize(
    ("example", "changes", "named"),
    [
        ("oauth_secrets_token", {"token": "canary"}, "token"),
        ("oauth_secrets_token", {"token": "{{ env_var('T', 'canary') }}"}, "token"),
        ("service_account_json", {"keyfile_json": {"private_key": "canary"}}, "keyfile_json.private_key"),
        ("oauth", {"hostname": "canary"}, "hostname"),
        ("oauth", {"connection_reuse": True}, "connection_reuse"),
        ("oauth_secrets_token", {"project": None}, "project"),
        ("oauth", {"retries": 1, "job_retries": 2}, "retries and job_retries"),
        ("oauth", {"workload_pool_provider_path": "x"}, "external-oauth-wif"),
    ],
)
def test_what_cannot_be_carried_over_is_named(example: str, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=named) as caught:
        PLUGIN.import_dbt_output({**EXAMPLES[example], **changes})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "credentials", "says"),
    [
        ({"method": None}, {}, "method"),
        ({"method": "service_account"}, {}, "method"),
        ({"method": "external-oauth-wif"}, {}, "no time limit"),
        ({"method": "service-account", "keyfile": "/k.json", "project": None}, {}, "missing: project"),
        ({"dataset": None}, {}, "missing: dataset"),
        ({"database": "other"}, {}, "project and database are the same"),
        ({"schema": "other"}, {}, "dataset and schema are the same"),
        ({"keyfile": "/k.json"}, {}, "of no use with"),
        ({}, {"token": "canary"}, "of no use with"),
        ({"method": "service-account"}, {}, "needs keyfile"),
        ({"method": "service-account", "keyfile": "/k", "keyfile_json": KEYFILE}, {}, "of no use with"),
        ({"method": "service-account-json"}, {}, "needs keyfile_json"),
        ({"method": "service-account-json", "keyfile_json": KEYFILE}, {}, "credentials.private_key"),
        ({**INLINE, "keyfile_json": {"a": "b"}}, {"private_key": "canary"}, "client_email"),
        ({**INLINE, "keyfile_json": {**KEYFILE, **KEY}}, KEY, "give the first"),
        ({"method": "service-account-json", "keyfile_json": "canary"}, {}, "mapping"),
        ({"method": "oauth-secrets"}, {}, "needs token, or"),
        ({"method": "oauth-secrets", "token": "canary"}, {}, "under `credentials`"),
        ({"method": "oauth-secrets", **REFRESH}, {"refresh_token": "canary"}, "missing: client_secret"),
        ({"method": "oauth-secrets", "client_id": "c"}, REFRESH_SECRETS, "missing: token_uri"),
        ({"method": "oauth-secrets"}, {"password": "canary"}, "has no use"),
        ({"api_endpoint": "bigquery.internal"}, {}, "api_endpoint"),
        ({"priority": "urgent"}, {}, "priority"),
        ({"project": "a/b"}, {}, "project"),
        ({"dataset": "a`b"}, {}, "dataset"),
        ({"job_execution_timeout_seconds": 0}, {}, "job_execution_timeout_seconds"),
        ({"datset": "x"}, {}, "did you mean 'dataset'"),
    ],
)  # fmt: skip
def test_wrong_combinations_are_refused(
    changes: dict[str, Any], credentials: dict[str, str], says: str
) -> None:
    connection = {key: value for key, value in {**LEAST, **changes}.items() if value is not None}
    with pytest.raises(ConfigProblems) as caught:
        build_config(PLUGIN, {"plugin": "bigquery", "connection": connection, "credentials": credentials})
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)
