"""The state of a ClickHouse Cloud service, by Cloud's API: a connection to the service would wake it."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeError, EngineState, ErrorType, note_engine_state, note_server
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_client import HttpClient

if TYPE_CHECKING:
    from floe_monitor.compute import Check, Deadline, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_clickhouse.config import ClickHouseConfig

_SERVING = frozenset({"running", "partially_running", "degraded"})
_COMING = frozenset({"starting", "awaking", "provisioning"})
_STATES = {
    "idle": EngineState.SUSPENDED,
    **dict.fromkeys(_COMING, EngineState.STARTING),
    **dict.fromkeys(_SERVING, EngineState.RUNNING),
}
STATE_SHARE = 0.3
"""Of the time that a probe has which may wake the service: the state tells how long that takes, no more."""
ASLEEP = (
    "the service is idle and wakes when it is used: dbt's first statement waits for it, half a minute perhaps"
)


def may_connect(
    config: ClickHouseConfig, validation: Validation, calls: BlockingCalls, until: Deadline
) -> bool:
    """Whether a connection wakes nothing; the check `asleep` says what there is to know where it might."""
    note_server(config.server)
    with validation.check("asleep") as check:
        if config.cloud_service_id is None:
            check.degrade(
                "whether the service is idle is not to be seen, and a connection would wake it: no more is "
                "asked; give cloud_organization_id, cloud_service_id, cloud_key_id and cloud_key_secret to "
                "have its state asked for, or set wake_service to have it probed whatever it is",
                ErrorType.CONFIGURATION,
            )
            return False
        try:
            state = _state(config, calls, until)
        except ComputeError as error:
            check.degrade(
                f"whether the service is idle is not known, and no more is asked: {error}", error.error_type
            )
            return False
        return _judge(state, check)
    return False


def note_waking(config: ClickHouseConfig, calls: BlockingCalls, until: Deadline) -> None:
    """Before a connection that wakes an idle service. Where nothing is told, nothing is measured."""
    note_server(config.server)
    with suppress(ComputeError):
        if _state(config, calls, until.share(STATE_SHARE)) == "idle":
            note_engine_state(EngineState.STARTING)


def _judge(state: str, check: Check) -> bool:
    if state in _SERVING:
        if state != "running":
            check.warn(f"ClickHouse Cloud calls the service {state}")
        return True
    if state == "idle":
        check.message = ASLEEP
    elif state in _COMING:
        check.degrade(f"the service is starting: ClickHouse Cloud calls it {state}", ErrorType.CONNECTION)
    else:
        check.fail(
            f"the service does not run, and using it does not start it: ClickHouse Cloud calls it {state}",
            ErrorType.CONNECTION,
        )
    return False


def _state(config: ClickHouseConfig, calls: BlockingCalls, until: Deadline) -> str:
    """Raises `ComputeError` where the API does not tell."""
    pair = f"{config.cloud_key_id}:{secret_of(config, 'cloud_key_secret')}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Accept": "application/json"}
    path = f"/v1/organizations/{config.cloud_organization_id}/services/{config.cloud_service_id}"
    client = HttpClient(partial(dial, calls=calls), deadline=until)
    client.waits_for = "the service's state"
    try:
        answer = client.request("GET", f"{config.cloud_api.rstrip('/')}{path}", headers)
    finally:
        client.close()
    if answer.status != 200:
        hint = {
            401: ": it refuses the API key",
            403: ": the key may not see the service",
            404: ": no such service",
        }
        raise ComputeError(f"ClickHouse Cloud's API answers {answer.status}{hint.get(answer.status, '')}")
    try:
        state = json.loads(answer.body)["result"]["state"]
    except (ValueError, RecursionError, LookupError, TypeError):
        state = None
    if not isinstance(state, str):
        raise ComputeError("ClickHouse Cloud's API answers in a form that is not known")
    if state in _STATES:
        note_engine_state(_STATES[state])
    return state[:100]
