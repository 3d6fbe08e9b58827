"""`render job|cronjob|sidecar`: a dbt job for one target, with the monitor beside it, ready for kubectl."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from floe_monitor import __version__
from floe_monitor.cli.configuration import load_targets, pick
from floe_monitor.cli.options import ConfigOption, TargetArgument, parse_duration
from floe_monitor.cli.terminal import OK, CliError, write

if TYPE_CHECKING:
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import Settings

COMMON = ("probe", "slo", "workers", "history", "shutdown_grace")
"""Sections of the configuration that the pod's has too, as far as they were given."""


class ManifestKind(StrEnum):
    JOB = "job"
    CRONJOB = "cronjob"
    SIDECAR = "sidecar"


def render(
    kind: Annotated[ManifestKind, typer.Argument(metavar="KIND", help="job, cronjob or sidecar.")],
    target: TargetArgument,
    image: Annotated[str, typer.Option("--image", help="Image with dbt, and the project in /dbt.")],
    size: Annotated[str, typer.Option("--size", help="small, medium or large.")] = "medium",
    resource: Annotated[
        Optional[list[str]],
        typer.Option("--resource", metavar="KEY=QUANTITY", help="In place of the size's; may be repeated."),
    ] = None,
    profile: Annotated[
        Optional[str],
        typer.Option("--profile", help="Of the dbt project; unset: the one that keeps the target."),
    ] = None,
    secret: Annotated[
        Optional[str],
        typer.Option("--secret", help="The Secret with the credentials; unset: the job's name."),
    ] = None,
    monitor_image: Annotated[
        Optional[str], typer.Option("--monitor-image", help="Unset: floe-monitor:VERSION-ENGINE.")
    ] = None,
    schedule: Annotated[str, typer.Option("--schedule", help="Of a cronjob.")] = "0 * * * *",
    deadline: Annotated[
        float,
        typer.Option(
            "--deadline", parser=parse_duration, metavar="DURATION", help="After this the job is ended."
        ),
    ] = 3600.0,
    config: ConfigOption = None,
) -> int:
    """Print the Kubernetes manifests of a dbt job on TARGET with the monitor as its sidecar."""
    import dataclasses

    from floe_monitor.cli import job_manifests
    from floe_monitor.cli.job_resources import sized, with_overrides
    from floe_monitor.cli.manifest_yaml import manifest_yaml

    loaded, configured = load_targets(config)
    (picked,) = pick(configured, [target])
    plugin = picked.entry.plugin
    if plugin is None:
        raise CliError(f"target {picked.name}: {picked.entry.problem}")
    order = job_manifests.Order(
        target=picked,
        profile=profile or _profile_of(loaded.settings, picked),
        resources=with_overrides(sized(plugin, size), resource or []),
        packages=plugin.get_required_dbt_packages(),
        image=image,
        monitor_image=monitor_image or f"floe-monitor:{__version__}-{picked.plugin_name}",
        secret=secret or "",
        deadline=max(1, round(deadline)),
        schedule=schedule,
    )
    if secret is None:
        order = dataclasses.replace(order, secret=order.name)
    if problem := job_manifests.unusable_files(order):
        raise CliError(f"target {picked.name}: {problem}")
    given = loaded.settings.model_dump(
        mode="json", include=set(COMMON), exclude_unset=True, exclude_none=True
    )
    document = job_manifests.configuration(order, given)
    text = manifest_yaml([document])
    made = job_manifests.manifests(kind.value, order, text)
    lines = [f"# floe-monitor {__version__}: render {kind.value} {picked.name}"]
    lines += [f"# The image {image} needs: {', '.join(order.packages)}"]
    if order.variables:
        keys = ", ".join(sorted(set(order.variables.values())))
        lines += [f"# The Secret {order.secret} needs the keys: {keys}"]
    write("\n".join([*lines, manifest_yaml(made).rstrip()]))
    return OK


def _profile_of(settings: Settings, target: Target) -> str:
    kept = [each.name for each in settings.profiles if each.targets is None or target.name in each.targets]
    if len(set(kept)) != 1:
        why = "none keeps it" if not kept else f"it is in {', '.join(sorted(set(kept)))}"
        raise CliError(f"target {target.name}: which profile does dbt use? {why}; name it with --profile")
    return kept[0]
