"""Resources of the pod that runs dbt: presets, what a plugin asks for, and what was given in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from floe_monitor.cli.terminal import CliError, unknown
from floe_monitor.compute import WORKLOAD_PRESETS, ResourceSpec, get_resource_requirements
from floe_monitor.compute.quantities import parse_quantity
from floe_monitor.compute.validation_messages import describe
from floe_monitor.registry.foreign_plugin import resource_requirements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.compute.plugin import ComputePlugin


def kubernetes_resources(spec: ResourceSpec) -> dict[str, Any]:
    return {
        f"{kind}s": {
            "cpu": getattr(spec, f"cpu_{kind}"),
            "memory": getattr(spec, f"memory_{kind}"),
            "ephemeral-storage": getattr(spec, f"ephemeral_storage_{kind}"),
        }
        for kind in ("request", "limit")
    }


def sized(plugin: ComputePlugin[Any] | None, size: str) -> ResourceSpec:
    """What the plugin asks for a job of this size, without one the common presets.

    `CliError` names the field that is no quantity.
    """
    try:
        return get_resource_requirements(size) if plugin is None else resource_requirements(plugin, size)
    except ValidationError as error:
        said = "; ".join(_problems(error))
        name = plugin.name if plugin is not None else size
        raise CliError(f"{name}: its resources of size {size} are none: {said}") from None
    except ValueError:
        raise unknown("no workload size", size, WORKLOAD_PRESETS) from None


def with_overrides(spec: ResourceSpec, given: Sequence[str]) -> ResourceSpec:
    """`given` as KEY=QUANTITY over the spec. `CliError` names each key whose value is none."""
    values = spec.model_dump()
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise CliError(f"--resource {each!r}: write KEY=QUANTITY, as cpu_request=500m")
        if key not in ResourceSpec.model_fields:
            raise unknown("--resource: no key", key, ResourceSpec.model_fields)
        values[key] = value
    try:
        made = ResourceSpec.model_validate(values)
    except ValidationError as error:
        raise CliError("--resource is refused:", *(f"  {problem}" for problem in _problems(error))) from None
    for what in ("cpu", "memory", "ephemeral_storage"):
        request, limit = getattr(made, f"{what}_request"), getattr(made, f"{what}_limit")
        if parse_quantity(limit) < parse_quantity(request):
            raise CliError(f"--resource is refused: {what}_limit {limit} is below {what}_request {request}")
    return made


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc']))}: {describe(each)}" for each in error.errors(include_url=False)
    ]
