"""The requests about clusters, understood and answered by an emulator of AWS that others wrote."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from conformance import environments
from conformance.moto_server import REGION, REQUIREMENTS, MotoServer
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.redshift_standin import StandIn
    from floe_monitor.compute import ConnectionResult

KEYS = {"access_key_id": "AKIDANY", "secret_access_key": "moto minds none"}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[MotoServer]:
    if reason := environments.unwanted(REQUIREMENTS):
        pytest.skip(reason)
    try:
        made = MotoServer(tmp_path_factory.mktemp("moto"))
    except subprocess.CalledProcessError:
        pytest.skip(f"pip finds no package index for requirements/{REQUIREMENTS}")
    with made:
        yield made


@pytest.mark.gate
def test_states_of_a_cluster(
    moto: MotoServer,
    probe: Callable[..., ConnectionResult],
    launch: Callable[..., StandIn],
    tls: ssl.SSLContext,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as the login, whose temporary password the stand-in does not know."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", moto.url)
    server = launch(tls=tls)
    target = {
        "credentials": KEYS, "port": server.port, "method": "iam", "sslmode": None, "region": REGION,
        "cluster_id": "marts",
    }  # fmt: skip
    result = probe(**target)
    assert (result.status, result.checks[-1].name) == (ConnectionStatus.UNHEALTHY, "credentials")
    assert "ClusterNotFound" in result.message
    moto.make_cluster("marts")
    result = probe(**target)
    assert [check.name for check in result.checks] == [
        "iam", "state", "credentials", "network", "tls", "login",
    ]  # fmt: skip
    assert (result.error_type, result.warnings) == (ErrorType.AUTHENTICATION, [])
    assert server.state.startups[-1]["user"] == "IAM:dbt"
    moto.ask("PauseCluster", ClusterIdentifier="marts")
    result = probe(**target)
    assert (result.status, result.checks[-1].name) == (ConnectionStatus.UNHEALTHY, "asleep")
    assert "<ClusterStatus>paused</ClusterStatus>" in moto.ask("DescribeClusters", ClusterIdentifier="marts")
