"""Targets: what the configuration names, joined with the plugins that are installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.loader import PluginEntry
    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.credentials import Resolved
    from floe_monitor.health import Thresholds
    from floe_monitor.settings.models import TargetSettings


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """The probe settings in force for one target: its own over the common ones. Seconds."""

    interval: float
    timeout: float
    thresholds: Thresholds
    isolation: Literal["thread", "process"]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One configured compute.

    `entry.plugin` is None where the plugin is missing or broken; `entry.problem` then says why and every
    probe reports it. `fingerprint` is equal exactly when nothing that matters to probing has changed.
    """

    name: str
    entry: PluginEntry
    settings: TargetSettings
    policy: ProbePolicy
    fingerprint: str
    profile_config: ComputeConfig | None
    """For `generate_dbt_profile`: references unresolved, credentials as dbt expressions. None with the plugin."""

    @property
    def plugin_name(self) -> str:
        return self.settings.plugin

    @property
    def labels(self) -> Mapping[str, str]:
        return self.settings.labels

    def resolve(self) -> Resolved:
        """The configuration to probe with, read afresh: environment and files as they are now.

        Raises `CredentialError` naming the missing variable or unreadable file, never a value.
        """
        raise NotImplementedError
