"""What to do about a target: the runbook's tables, and which remediation a result gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.domain.events import ProbeResult
from floe_monitor.domain.remediation import BY_MESSAGE, BY_TYPE, remediation_for

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
DOCS = Path(__file__).resolve().parents[2] / "docs"


def result(status: ConnectionStatus, message: str, error_type: ErrorType | None = None) -> ProbeResult:
    return ProbeResult("dev", "lab", status, 0.1, 0.0, "c", message, error_type=error_type)


def table(heading: str) -> list[str]:
    text = (DOCS / "alerts.md").read_text()
    return text[text.index(heading) :].split("\n\n")[0].splitlines()[2:]


def test_the_runbook_has_the_same_words() -> None:
    assert list(BY_TYPE) == list(ErrorType)
    rows = [row.strip("| ").split(" | ") for row in table("| `error_type` | Usually | Do |")]
    assert [(kind, do) for kind, _, do in rows] == [(f"`{kind}`", do) for kind, do in BY_TYPE.items()]
    assert table("| The message says | Do |") == [f"| {kind.says} | {kind.do} |" for kind in BY_MESSAGE]


def test_every_kind_is_one_that_messages_of_the_verdicts_or_of_the_monitor_have() -> None:
    said = (DOCS / "verdicts.md").read_text() + (
        "no plugin 'shift' is installed\nmodule psycopg is not installed\nenvironment variable X is not set"
        "\ntoo many connections for role"
    )
    assert [kind.says for kind in BY_MESSAGE if not kind.pattern.search(said)] == []


@pytest.mark.parametrize(
    ("message", "error_type", "remediation"),
    [
        ("127.0.0.1 port 1: Connection refused", ErrorType.CONNECTION, "start the engine"),
        ("connection reset", ErrorType.CONNECTION, "reach it from the same pod"),
        ("certificate verify failed: certificate has expired", ErrorType.CONNECTION, "renew it"),
        ("SSL error: certificate verify failed", ErrorType.CONNECTION, "give the target the file"),
        ("no plugin 'a' is installed; did you mean 'b'?", ErrorType.PLUGIN, "correct plugin, or install"),
        ("environment variable PW is not set", ErrorType.CONFIGURATION, "set it where floe-monitor runs"),
        ("x.db does not exist; dbt would create an empty database", None, "nothing, if it is to be new"),
        ("something else", None, None),
        ("", ErrorType.TIMEOUT, "compare the duration panel with probe.timeout"),
    ],
)
def test_a_kind_of_message_goes_before_the_error_type(
    message: str, error_type: ErrorType | None, remediation: str | None
) -> None:
    found = remediation_for(result(UNHEALTHY, message, error_type))
    assert found is remediation if remediation is None else found is not None
    assert (found or "").startswith(remediation or "")
    assert "`" not in (found or "")
    assert remediation_for(result(DEGRADED, message, error_type)) == found
    assert remediation_for(result(HEALTHY, message)) is None


def test_no_message_makes_the_search_long() -> None:
    """Bounded repetitions alone: a server's message may be 2,000 characters of anything."""
    for kind in BY_MESSAGE:
        assert not re.search(r"[*+]", kind.pattern.pattern), kind.says
