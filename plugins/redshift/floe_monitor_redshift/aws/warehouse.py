"""What AWS says of a cluster or a workgroup, and the temporary credentials that it gives for one.

None of these requests resumes a paused cluster, starts compute, or makes a user.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from floe_monitor_redshift.aws.requests import value_in
from floe_monitor_redshift.errors import AwsError, UnexpectedAnswerError

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor_redshift.aws.requests import AwsClient, Keys
    from floe_monitor_redshift.config import RedshiftConfig

CLUSTERS, WORKGROUPS = "redshift", "redshift-serverless"


class Readiness(Enum):
    READY = "ready"
    LIMITED = "limited"
    """It takes sessions, now and then or for reading."""
    STARTING = "starting"
    ASLEEP = "asleep"
    """And stays so until somebody resumes it."""
    GONE = "gone"
    """It takes no session, and no waiting helps."""


_OF_STATUS = {
    "available": Readiness.READY,
    "available, prep-for-resize": Readiness.READY,
    "available, resize-cleanup": Readiness.READY,
    "paused": Readiness.ASLEEP,
    "pausing": Readiness.ASLEEP,
    "creating": Readiness.STARTING,
    "resuming": Readiness.STARTING,
    "rebooting": Readiness.STARTING,
    "restoring": Readiness.STARTING,
    "deleting": Readiness.GONE,
    "final-snapshot": Readiness.GONE,
    "hardware-failure": Readiness.GONE,
    "incompatible-hsm": Readiness.GONE,
    "incompatible-network": Readiness.GONE,
    "incompatible-parameters": Readiness.GONE,
    "incompatible-restore": Readiness.GONE,
    # of workgroups
    "AVAILABLE": Readiness.READY,
    "MODIFYING": Readiness.LIMITED,
    "CREATING": Readiness.STARTING,
    "DELETING": Readiness.GONE,
}
"""Any other is one of something under way, at which sessions may still be taken."""


@dataclass(frozen=True, slots=True)
class WarehouseState:
    status: str
    node_type: str = ""
    """Of a cluster."""

    @property
    def readiness(self) -> Readiness:
        return _OF_STATUS.get(self.status, Readiness.LIMITED)


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    user: str
    password: str = field(repr=False)


class Warehouse:
    """One target's cluster or workgroup, as AWS' services know it."""

    def __init__(self, config: RedshiftConfig, client: AwsClient, keys: Keys) -> None:
        self._config, self._client, self._keys = config, client, keys

    def __str__(self) -> str:
        if self._config.serverless:
            return f"workgroup {self._config.workgroup!r}"
        return f"cluster {self._config.cluster!r}"

    def state(self, deadline: Deadline) -> WarehouseState | None:
        """None where its name is not known. Raises `AwsError`."""
        if self._config.serverless:
            return self._workgroup_state(deadline)
        if self._config.cluster is None:
            return None
        asked = {"ClusterIdentifier": self._config.cluster}
        text = self._client.query(self._keys, CLUSTERS, "DescribeClusters", asked, deadline)
        status = value_in(text, "ClusterStatus")
        if not status:
            raise UnexpectedAnswerError("AWS describes the cluster without its state")
        return WarehouseState(status[:100], value_in(text, "NodeType")[:100])

    def credentials(self, deadline: Deadline) -> DatabaseLogin:
        """Temporary ones, for a quarter of an hour. Raises `AwsError`."""
        if self._config.serverless:
            return self._workgroup_credentials(deadline)
        if self._config.method == "iam_role":
            action, asked = "GetClusterCredentialsWithIAM", {"DurationSeconds": "900"}
        else:
            action, asked = "GetClusterCredentials", self._user_and_groups()
        asked["DbName"] = self._config.database_name
        text = self._of_cluster(action, asked, deadline)
        login = DatabaseLogin(value_in(text, "DbUser"), value_in(text, "DbPassword"))
        if not login.user or not login.password:
            raise UnexpectedAnswerError("AWS gives credentials without a user or a password")
        return login

    def _user_and_groups(self) -> dict[str, str]:
        """Without AutoCreate, whatever the target says: a probe makes no users."""
        groups = enumerate(self._config.db_groups or (), start=1)
        named = {f"DbGroups.DbGroup.{position}": group for position, group in groups}
        return {"DbUser": self._config.user or "", "AutoCreate": "false", **named}

    def _of_cluster(self, action: str, asked: dict[str, str], deadline: Deadline) -> str:
        """By its identifier; behind a domain of one's own, by that where the identifier does not serve.

        dbt's driver asks in the other order, and takes what either gives.
        """
        named = {"ClusterIdentifier": self._config.cluster or ""}
        try:
            return self._client.query(self._keys, CLUSTERS, action, {**asked, **named}, deadline)
        except AwsError:
            if self._config.host_parts.of_aws:
                raise
            named = {"CustomDomainName": self._config.host}
            try:
                return self._client.query(self._keys, CLUSTERS, action, {**asked, **named}, deadline)
            except AwsError:
                pass
            raise  # of the two, what is said of the identifier

    def _workgroup_state(self, deadline: Deadline) -> WarehouseState | None:
        if self._config.workgroup is None:
            return None
        asked = {"workgroupName": self._config.workgroup}
        found = self._client.call(self._keys, WORKGROUPS, "GetWorkgroup", asked, deadline).get("workgroup")
        status = found.get("status") if isinstance(found, dict) else None
        if not isinstance(status, str):
            raise UnexpectedAnswerError("AWS describes the workgroup without its state")
        return WarehouseState(status[:100])

    def _workgroup_credentials(self, deadline: Deadline) -> DatabaseLogin:
        asked = {"dbName": self._config.database_name}
        if self._config.workgroup is not None:
            asked["workgroupName"] = self._config.workgroup
        else:
            asked["customDomainName"] = self._config.host
        found = self._client.call(self._keys, WORKGROUPS, "GetCredentials", asked, deadline)
        user, password = found.get("dbUser"), found.get("dbPassword")
        if not isinstance(user, str) or not isinstance(password, str):
            raise UnexpectedAnswerError("AWS gives credentials without a user or a password")
        return DatabaseLogin(user, password)
