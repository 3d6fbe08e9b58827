"""Types of errors by the status of an HTTP answer."""

from __future__ import annotations

import pytest

from floe_monitor.compute import ErrorType
from floe_monitor.compute.toolkit.http_status import error_type_of


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, ErrorType.AUTHENTICATION),
        (403, ErrorType.PERMISSION),
        (404, ErrorType.CONFIGURATION),
        (407, ErrorType.CONFIGURATION),
        (408, ErrorType.TIMEOUT),
        (429, ErrorType.CONNECTION),
        (500, ErrorType.CONNECTION),
        (503, ErrorType.CONNECTION),
        (504, ErrorType.TIMEOUT),
    ],
)
def test_of_a_status(status: int, expected: ErrorType) -> None:
    assert error_type_of(status) is expected
