"""What is asked of AWS before the way to the database: who signs, the state, temporary credentials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    EngineState,
    ErrorType,
    note_engine_state,
)
from floe_monitor_redshift.aws.keys import KeyChain, UnusableProfileError, profile_in_use
from floe_monitor_redshift.aws.requests import AwsClient, Keys
from floe_monitor_redshift.aws.shared_files import DEFAULT, read_shared_files
from floe_monitor_redshift.aws.warehouse import Readiness, Warehouse
from floe_monitor_redshift.errors import RedshiftError, throttled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_redshift.aws.warehouse import DatabaseLogin, WarehouseState
    from floe_monitor_redshift.config import RedshiftConfig

STATE_SHARE = 0.3
"""Of the time that is left: the state explains, and no login waits for it."""
_UNREPORTED = (RedshiftError, ComputeConnectionError, ComputeTimeoutError)
_STATES = {
    "paused": EngineState.SUSPENDED,
    "resuming": EngineState.STARTING,
    "available": EngineState.RUNNING,
}
"""Of a cluster. Whether a workgroup's compute rests AWS does not tell."""
_WITHOUT_RA3 = ("dc1.", "dc2.", "ds1.", "ds2.")


class AwsChecks:
    """Of one validation."""

    def __init__(
        self,
        config: RedshiftConfig,
        secrets: Mapping[str, str],
        calls: BlockingCalls,
        validation: Validation,
        deadline: Deadline,
    ) -> None:
        self.validation = validation
        self._config, self._secrets, self._calls, self._deadline = config, secrets, calls, deadline
        self._client: AwsClient | None = None
        self.login: DatabaseLogin | None = None
        """The temporary credentials, where IAM logs in."""
        self.state_is_known = False

    def run(self) -> bool:
        """Whether the way goes on: where AWS knows that no session comes of it, none is tried."""
        goes_on = False
        with self.validation:
            try:
                warehouse = self._warehouse()
                goes_on = not self._config.uses_iam if warehouse is None else self._ask(warehouse)
            finally:
                if self._client is not None:
                    self._client.close()
        return goes_on

    def _warehouse(self) -> Warehouse | None:
        """None where no keys are had, and dbt needs none, or a probe cannot tell."""
        keys: Keys | None = None
        with self.validation.check("iam") as check:
            try:
                keys = self._keys(self._chain())
            except UnusableProfileError as error:
                if self._config.uses_iam:
                    check.degrade(f"{error}: whether dbt can log in is not shown", ErrorType.CONFIGURATION)
                else:
                    check.warn(f"whether the cluster is paused cannot be known: {error}")
            except (ComputeConfigurationError, *_UNREPORTED) as error:
                if self._config.uses_iam:
                    raise
                check.warn(f"whether the cluster is paused cannot be known: {error}")
        if keys is None or self._client is None:
            return None
        self.validation.hide(*keys.secrets)
        return Warehouse(self._config, self._client, keys)

    def _chain(self) -> KeyChain:
        files = read_shared_files(self._calls, self._deadline)
        section = files.profiles.get(profile_in_use(self._config.iam_profile) or DEFAULT, {})
        region = (
            self._config.region
            or self._config.host_parts.region
            or os.environ.get("AWS_DEFAULT_REGION")
            or section.get("region")
        )
        if not region:
            raise ComputeConfigurationError(
                "region: neither the host, nor AWS_DEFAULT_REGION, nor the profile names it"
            )
        self._client = AwsClient(region, self._calls, self._deadline, section.get("endpoint_url"))
        return KeyChain(files, self._client, self._calls, self._deadline)

    def _keys(self, chain: KeyChain) -> Keys:
        if "access_key_id" in self._secrets:
            return Keys(self._secrets["access_key_id"], self._secrets["secret_access_key"])
        return chain.find(self._config.iam_profile)

    def _ask(self, warehouse: Warehouse) -> bool:
        state = self._ask_state(warehouse)
        if state is not None and not self._judge(warehouse, state):
            return False
        if not self._config.uses_iam:
            return True
        with self.validation.check("credentials") as check:
            try:
                self.login = warehouse.credentials(self._deadline)
            except RedshiftError as error:
                if not throttled(error):
                    raise
                check.degrade(f"{error}: dbt's driver asks again", ErrorType.CONNECTION)
        if self.login is not None:
            self.validation.hide(self.login.password)
        return check.status is ConnectionStatus.HEALTHY

    def _ask_state(self, warehouse: Warehouse) -> WarehouseState | None:
        """Not needed by dbt, which has perhaps no right to it: what is refused is a warning."""
        state = None
        with self.validation.check("state") as check:
            try:
                state = warehouse.state(self._deadline.share(STATE_SHARE))
            except _UNREPORTED as error:
                check.warn(f"whether {warehouse} is paused cannot be known: {error}")
            if state is not None:
                self.state_is_known = True
                check.message = f"{warehouse} is {state.status}"
                if (seen := _STATES.get(state.status)) is not None:
                    note_engine_state(seen)
                if state.readiness is Readiness.LIMITED:
                    check.warn(f"{warehouse} is {state.status}: sessions may be refused, or only read")
                if self._config.ra3_node and state.node_type.startswith(_WITHOUT_RA3):
                    check.degrade(
                        f"ra3_node is set, and {warehouse} has nodes of type {state.node_type}, which have "
                        "no references from one database to another",
                        ErrorType.CONFIGURATION,
                    )
        return state

    def _judge(self, warehouse: Warehouse, state: WarehouseState) -> bool:
        """Whether a session is worth trying."""
        if state.readiness is Readiness.ASLEEP:
            with self.validation.check("asleep") as check:
                check.fail(
                    f"{warehouse} is {state.status}, and stays so until somebody resumes it: dbt does not, "
                    "and a probe does not",
                    ErrorType.CONNECTION,
                )
        if state.readiness is Readiness.GONE:
            with self.validation.check("available") as check:
                check.fail(f"{warehouse} is {state.status}", ErrorType.CONNECTION)
        if state.readiness is Readiness.STARTING:
            with self.validation.check("available") as check:
                check.degrade(f"{warehouse} is {state.status}: it takes no session yet", ErrorType.CONNECTION)
        return state.readiness in {Readiness.READY, Readiness.LIMITED}
