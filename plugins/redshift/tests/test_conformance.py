"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from conformance.redshift_aws_standin import CLUSTER, TEMPORARY
from conformance.redshift_standin import LIMIT_REACHED
from floe_monitor.testing import (
    ComputePluginConformance,
    Given,
    KeptConnectionConformance,
    NetworkConformance,
    ValidationConformance,
)
from floe_monitor.testing.fault_proxy import LOOPBACK

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from conformance.redshift_aws_standin import AwsStandIn
    from conformance.redshift_standin import StandIn

    Keys = Callable[..., dict[str, Any]]


class Redshift:
    plugin_name = "redshift"
    driver_modules: ClassVar[Sequence[str]] = ("redshift_connector", "boto3", "certifi")
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds: ClassVar[float] = 0.5
    deadline_seconds: ClassVar[float] = 5.0


class TestPassword(Redshift, ComputePluginConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(role="builder", query_group="dbt", ra3_node=True)

    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Callable[..., StandIn]) -> Mapping[str, Given]:
        return {
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "wrong password": keys({"password": "wrong battery"}),
            "no TLS there": keys(sslmode="prefer"),
            "no such database": keys(dbname="nowhere"),
            "full": keys(port=launch(unready=LIMIT_REACHED).port),
            "a page of something else": keys(port=launch(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n").port),
        }


class Tls(Redshift):
    """With TLS and its name, under a root that the system trusts."""

    @pytest.fixture
    def healthy_config(
        self, keys: Keys, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path
    ) -> Given:
        port = launch(tls=tls, demands_tls=True).port
        return keys(port=port, host="localhost", sslmode="verify-full")


@pytest.mark.gate
class TestFaultsOfTls(Tls, NetworkConformance):
    """Faults before, in and after the handshake."""

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        """The certificate is for localhost."""
        return super().pointed_at(keys, "localhost" if host == LOOPBACK else host, port)


class TestIam(Redshift, ValidationConformance):
    """By AWS, with the cluster's state and temporary credentials."""

    host_key = None

    @pytest.fixture
    def healthy_config(
        self, keys: Keys, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path, aws: AwsStandIn
    ) -> Given:
        port = launch(tls=tls, users={"IAM:dbt": TEMPORARY}).port
        given = {"access_key_id": "AKIDWELL", "secret_access_key": aws.state.keys["AKIDWELL"].secret}
        return keys(given, port=port, sslmode=None, method="iam", cluster_id=CLUSTER)

    @pytest.fixture
    def broken_configs(self, healthy_config: dict[str, Any], keys: Keys) -> Mapping[str, Given]:
        connection = {**healthy_config["connection"], "sslmode": None}
        given = healthy_config["credentials"]
        return {
            "wrong secret": keys({**given, "secret_access_key": "wrong battery"}, **connection),
            "unknown cluster": keys(given, **{**connection, "cluster_id": "nowhere"}),
            "no such user": keys(given, **{**connection, "user": "nobody"}),
        }


@pytest.mark.gate
class TestKept(Redshift, KeptConnectionConformance):
    """One session for several probes."""

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys()
