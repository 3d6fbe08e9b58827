"""dbt's output as a plugin generates it, and once more from what it imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import ComputePlugin


class OutputGenerator:
    def __init__(self, plugin: ComputePlugin[Any]) -> None:
        self._plugin = plugin

    def generate(
        self, connection: Mapping[str, Any], credentials: Mapping[str, str] | None = None, **more: Any
    ) -> dict[str, Any]:
        """`credentials` are what is to be written down: expressions of dbt's."""
        keys = {"connection": dict(connection), "credentials": dict(credentials or {})}
        return self._plugin.generate_dbt_profile(
            build_config(self._plugin, {"plugin": self._plugin.name, **keys, **more})
        )

    def regenerate(self, imported: Mapping[str, Any]) -> dict[str, Any]:
        """Of the target that `import_dbt_output` made of an output."""
        credentials = {
            key: f"{{{{ env_var('{reference['env']}') }}}}"
            for key, reference in imported.get("credentials", {}).items()
        }
        return self.generate(imported["connection"], credentials, threads=imported["threads"])
