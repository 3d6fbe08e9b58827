"""Exceptions that are a limitation, and those that are none."""

from __future__ import annotations

import pytest

from floe_monitor.compute import ErrorType, Validation
from floe_monitor.compute.checks import Failure
from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.compute.toolkit.limitations import degrade_by


def _limitation(error: Exception) -> Failure | None:
    return Failure(ErrorType.CONNECTION, "it starts") if isinstance(error, ConnectionError) else None


def _validate(error: Exception | None) -> Validation:
    with (
        Validation(lambda other: Failure(ErrorType.QUERY, str(other))) as validation,
        validation.check("query") as check,
        degrade_by(_limitation, check),
    ):
        if error is not None:
            raise error
    return validation


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (None, ConnectionStatus.HEALTHY, ""),
        (ConnectionError("refused"), ConnectionStatus.DEGRADED, "it starts"),
        (ValueError("wrong"), ConnectionStatus.UNHEALTHY, "wrong"),
    ],
)
def test_what_is_known_degrades_and_anything_else_fails(
    error: Exception | None, status: ConnectionStatus, message: str
) -> None:
    result = _validate(error).result()
    assert (result.status, result.message) == (status, message)
