"""Values, manifests and nodes for pods of the chart, as a cluster would have them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from conformance.pod.objects import Objects
from deploy.containers import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.deploy.chart_variants import Manifest

DBT = "dbt:1.11"
"""The image of deploy/helm/dbt-job."""
MONITOR = "floe-monitor"
RANDOM = 1_000_660_000
"""A user as OpenShift chooses one for each namespace."""


def configuration(plugin: str, **target: Any) -> Manifest:
    """Of one target `warehouse`, in the profile of the project here."""
    return {
        "probe": {"interval": "1s", "timeout": "10s"},
        "http": {"public_read": True},
        "profiles": [{"name": "shop", "path": f"{DATA}/profiles.yml", "target": "warehouse"}],
        "targets": {"warehouse": {"plugin": plugin, **target}},
    }


def secret(name: str, **texts: str) -> Manifest:
    return {"kind": "Secret", "metadata": {"name": name}, "stringData": texts}


def objects(manifests: Iterable[Manifest], *further: Manifest) -> Objects:
    return Objects([*manifests, *further])


def admitted(manifest: Manifest) -> Manifest:
    """A workload as OpenShift admits it: a user of the namespace's range, group 0, and that fsGroup."""
    changed = copy.deepcopy(manifest)
    changed["spec"]["template"]["spec"]["securityContext"] |= {"runAsUser": RANDOM, "fsGroup": RANDOM}
    return changed
