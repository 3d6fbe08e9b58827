"""Real targets with small plugins, and configurations of profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from floe_monitor.compute import ComputeConfig, ComputePlugin, ConnectionResult, ConnectionStatus
from floe_monitor.domain.health import Thresholds
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.targets import Target
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.models import ProfileSettings, TargetSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class PlainPlugin(ComputePlugin):
    """Writes down what it is given."""

    name = "plain"
    version = "1"
    floe_api_version = "1.0"
    is_self_hosted = True

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        return ConnectionResult(ConnectionStatus.HEALTHY, 0.0)

    def get_required_dbt_packages(self) -> list[str]:
        return []

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        secrets = {key: value.get_secret_value() for key, value in config.credentials.items()}
        return {"type": "plain", "threads": config.threads, **config.connection, **secrets}


@dataclass
class Made:
    """Makes targets and profiles of this test's own."""

    path: Path
    events: list[Any] = field(default_factory=list)

    def target(
        self,
        name: str = "dev",
        generate: Callable[[ComputeConfig], Any] | None = None,
        problem: str | None = None,
        **settings: Any,
    ) -> Target:
        model = TargetSettings.model_validate({"plugin": "plain", **settings})
        plugin: PlainPlugin | None = None
        if problem is None:
            plugin = PlainPlugin()
            if generate is not None:
                plugin.generate_dbt_profile = generate  # type: ignore[method-assign,assignment]
        credentials = {
            key: SecretStr(f"{{{{ env_var('{reference.env or key.upper()}') }}}}")
            for key, reference in model.credentials.items()
        }
        config = ComputeConfig(
            plugin="plain", threads=model.threads, connection=model.connection, credentials=credentials
        )
        return Target(
            name=name,
            entry=PluginEntry("plain", "plain", "1", "plain:Plain", plugin, problem),
            settings=model,
            policy=ProbePolicy(30.0, 5.0, Thresholds(1, 1), "thread"),
            fingerprint=name,
            profile_config=config,
        )

    def targets(self, *targets: Target) -> dict[str, Target]:
        return {target.name: target for target in targets}

    def profile(self, name: str = "ours", **settings: Any) -> ProfileSettings:
        return ProfileSettings.model_validate({"name": name, "path": str(self.path), **settings})

    def publish(self, event: Any) -> None:
        self.events.append(event)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "profiles.yml")
