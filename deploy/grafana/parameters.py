"""What differs between installations."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.grafana.links import PAGE, RUNBOOK


@dataclass(frozen=True, slots=True)
class Parameters:
    runbook_url: str = RUNBOOK
    """Where docs/alerts.md is read."""
    page_url: str = PAGE
    """A target's page; `{instance}` is the address of a monitor, `{target}` the target's name."""
