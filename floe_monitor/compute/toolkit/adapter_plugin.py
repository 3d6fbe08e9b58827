"""The base of plugins that declare dbt's side of an engine instead of writing a method for each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from floe_monitor.compute.plugin import ComputePlugin, ConfigT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Adapter(Generic[ConfigT]):
    """What dbt needs for the engine, and how its profiles are written and read."""

    packages: tuple[str, ...]
    """PEP 508 requirements, as `get_required_dbt_packages` returns them."""
    generate: Callable[[ConfigT], dict[str, Any]]
    """As `generate_dbt_profile`."""
    import_output: Callable[[Mapping[str, Any]], dict[str, Any]]
    """As `import_dbt_output`."""


class AdapterPlugin(ComputePlugin[ConfigT], Generic[ConfigT]):
    adapter: Adapter[ConfigT]

    def generate_dbt_profile(self, config: ConfigT) -> dict[str, Any]:
        return self.adapter.generate(config)

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        return self.adapter.import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return list(self.adapter.packages)
