"""How one target is probed: its own settings over the common ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from floe_monitor.domain.expiry import ExpiryLead
from floe_monitor.domain.health import Thresholds
from floe_monitor.registry import foreign_plugin

if TYPE_CHECKING:
    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.registry.discovery import PluginEntry
    from floe_monitor.settings.models import ProbeSettings, TargetSettings


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """The probe settings in force for one target: its own over the common ones. Seconds."""

    interval: float
    timeout: float
    thresholds: Thresholds
    isolation: Literal["thread", "process"]
    expiry_lead: ExpiryLead = field(default_factory=ExpiryLead)
    failing: float | None = None
    """As configured: the interval while the target is not well."""

    @property
    def failing_interval(self) -> float:
        return self.interval if self.failing is None else self.failing

    @property
    def longest_interval(self) -> float:
        """What the age of a result compares with, whichever of the two is in force."""
        return max(self.interval, self.failing_interval)

    def as_settings(self) -> dict[str, Any]:
        """Under the keys of a target's `probe`."""
        return {
            "interval": self.interval,
            "failing_interval": self.failing_interval,
            "timeout": self.timeout,
            "failure_threshold": self.thresholds.failure,
            "failure_window": self.thresholds.last_for_failure,
            "success_threshold": self.thresholds.success,
            "success_window": self.thresholds.last_for_success,
            "isolation": self.isolation,
            "expiry_warning": self.expiry_lead.usual,
            "token_expiry_warning": self.expiry_lead.token,
        }


def policy_of(
    target: TargetSettings, common: ProbeSettings, entry: PluginEntry, config: ComputeConfig | None
) -> ProbePolicy:
    own = target.probe

    def pick(key: str) -> Any:
        value = getattr(own, key)
        return getattr(common, key) if value is None else value

    isolation = pick("isolation")
    if isolation is None:
        plugin = entry.plugin
        isolation = foreign_plugin.default_isolation(plugin, config) if plugin is not None else "thread"
    return ProbePolicy(
        interval=pick("interval"),
        timeout=pick("timeout"),
        thresholds=Thresholds(
            pick("failure_threshold"),
            pick("success_threshold"),
            pick("failure_window") or 0,
            pick("success_window") or 0,
        ),
        isolation=isolation,
        expiry_lead=_lead(target, common),
        failing=pick("failing_interval"),
    )


def _lead(target: TargetSettings, common: ProbeSettings) -> ExpiryLead:
    """A target's own lead is also that of its tokens, unless it has one for them, too."""
    own = target.probe
    if own.expiry_warning is None:
        token = common.token_expiry_warning if own.token_expiry_warning is None else own.token_expiry_warning
        return ExpiryLead(common.expiry_warning, token)
    return ExpiryLead(own.expiry_warning, own.token_expiry_warning)
