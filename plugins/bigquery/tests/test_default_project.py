"""The project of a target that names none, beside what google-auth finds for dbt."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import google.auth
import pytest
from floe_monitor_bigquery.config import BigQueryConfig
from floe_monitor_bigquery.credentials import read_stored
from floe_monitor_bigquery.default_project import default_project

from floe_monitor.compute import ComputeConfigurationError, ConnectionResult, ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.bigquery_standin import StandIn

    Probe = Callable[..., ConnectionResult]

USER = {"type": "authorized_user", "refresh_token": "of-user", "client_id": "c", "client_secret": "s"}
OAUTH: dict[str, Any] = {"method": "oauth", "credentials": {}, "project": None}


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """gcloud's directory; the program prints the project of its active configuration, `of-gcloud`."""
    folder, programs = tmp_path / "gcloud", tmp_path / "programs"
    programs.mkdir()
    (programs / "gcloud").write_text("#!/bin/sh\necho ${CLOUDSDK_CORE_PROJECT:-of-gcloud}\n")
    (programs / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    (folder / "configurations").mkdir(parents=True)
    (folder / "active_config").write_text("work")
    (folder / "configurations" / "config_work").write_text("[core]\naccount = a\nproject = of-gcloud\n")
    (folder / "application_default_credentials.json").write_text(json.dumps(USER))
    return folder


def found() -> str | None:
    """By google-auth, as dbt calls it, and by the monitor: both the same, or a refusal for none."""
    theirs = google.auth.default()[1]
    stored = read_stored(BigQueryConfig(method="oauth", dataset="marts"))
    if theirs is None:
        with pytest.raises(ComputeConfigurationError, match="project is missing"):
            default_project(stored)
        return None
    assert default_project(stored) == theirs
    return str(theirs)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:Your application has authenticated using end user credentials")
def test_it_is_the_one_that_dbt_gets(
    gcloud: Path, keyfile: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found() == "of-gcloud"
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "of-variable")
    assert found() == "of-variable"
    monkeypatch.delenv("CLOUDSDK_CORE_PROJECT")
    named = tmp_path / "named.json"
    named.write_text(json.dumps(USER))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))
    assert found() is None, "gcloud is asked for its own credentials alone"
    named.write_text(json.dumps({**keyfile, "project_id": "of-key"}))
    assert found() == "of-key"
    monkeypatch.setenv("GCLOUD_PROJECT", "of-old-variable")
    assert found() == "of-old-variable"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-new-variable")
    assert found() == "of-new-variable"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "")
    assert found() == "of-key"
    monkeypatch.delenv("GCLOUD_PROJECT")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found() is None, "without the program nobody says it"


@pytest.mark.usefixtures("gcloud")
@pytest.mark.parametrize("broken", [b"[core\nproject = x", b"project = x", b"\xff\xfe", b""])
def test_a_configuration_of_gclouds_that_cannot_be_read(gcloud: Path, broken: bytes) -> None:
    (gcloud / "configurations" / "config_work").write_bytes(broken)
    with pytest.raises(ComputeConfigurationError):
        default_project(USER)


def test_a_probe_works_in_it(
    probe: Probe, standin: StandIn, keyfile: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))
    named.write_text(json.dumps({**keyfile, "project_id": "analytics"}))
    result = probe(**OAUTH)
    assert result.status is ConnectionStatus.HEALTHY, result
    named.write_text(json.dumps({**keyfile, "project_id": ""}))
    result = probe(**OAUTH)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.CONFIGURATION), result


def test_one_that_only_a_server_knows(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.compute_engine import _metadata

    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"127.0.0.1:{standin.port}")
    standin.state.metadata = True
    result = probe(**OAUTH)
    assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, ErrorType.CONFIGURATION), result
    assert result.checks[-1].name == "project"
    standin.state.metadata = False
    result = probe(**OAUTH)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.AUTHENTICATION)
