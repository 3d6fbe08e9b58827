"""Manifests of a dbt job with the monitor beside it, made of one target of the configuration.

The pod is that of the chart's sidecar (deploy/helm); a test holds the two together.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from floe_monitor.cli.job_resources import kubernetes_resources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from floe_monitor.compute import ResourceSpec
    from floe_monitor.domain.targets import Target

Manifest = dict[str, Any]
Kind = Literal["job", "cronjob", "sidecar"]
PORT = 9464
DATA, CONFIG = "/var/lib/floe-monitor", "/etc/floe-monitor"
USER = 10001
PACKAGES = "floe-monitor/dbt-packages"
"""Annotation with the requirement lines of the image that runs dbt."""
_TAKEN = frozenset({"/", "/tmp", "/dbt", DATA, CONFIG})  # noqa: S108 - where a Secret would hide something
_LONGEST_NAME = 52  # of a CronJob: its Jobs add eleven characters
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_MONITOR_RESOURCES = {
    "requests": {"cpu": "20m", "memory": "96Mi", "ephemeral-storage": "32Mi"},
    "limits": {"cpu": "500m", "memory": "384Mi", "ephemeral-storage": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be rendered. `secret` is the one Secret with all that the target's references name."""

    target: Target
    profile: str
    resources: ResourceSpec
    packages: Sequence[str]
    image: str
    monitor_image: str
    secret: str
    deadline: int
    schedule: str

    @property
    def name(self) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", f"dbt-{self.target.name}".lower())
        return slug[:_LONGEST_NAME].strip("-")

    @property
    def variables(self) -> dict[str, str]:
        """Those that dbt reads, by the key of the Secret that has each."""
        found = {name: name for name in sorted(self.target.variables)}
        for each in self.target.profile_names:
            found[each.name] = each.name if each.file is None else posixpath.basename(each.file)
        return found

    @property
    def files(self) -> dict[str, list[str]]:
        """Names of files by the directory in which the configuration has them."""
        found: dict[str, list[str]] = {}
        for each in self.target.profile_names:
            if each.file is not None:
                folder, name = posixpath.split(each.file)
                found.setdefault(folder, []).append(name)
        return found


def unusable_files(order: Order) -> str:
    """Why one Secret cannot be mounted where the target's credentials are read; empty where it can."""
    names = [name for names in order.files.values() for name in names]
    for folder in order.files:
        if not folder.startswith("/") or folder in _TAKEN:
            where = folder or "the working directory"
            example = "/var/run/secrets/warehouse"
            return f"credentials are read from {where}: a Secret needs a directory of its own, as {example}"
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    return (
        f"credentials of different directories are called {', '.join(twice)}: one Secret has each key once"
        if twice
        else ""
    )


def manifests(kind: Kind, order: Order, configuration: str) -> list[Manifest]:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(order),
        "data": {"floe-monitor.yaml": configuration},
    }
    template = {
        "metadata": {
            "labels": _labels(order),
            "annotations": {
                "kubectl.kubernetes.io/default-container": "dbt",
                PACKAGES: ", ".join(order.packages),
            },
        },
        "spec": _pod(order),
    }
    if kind == "sidecar":
        # For a workload of one's own: Kubernetes keeps it and runs nothing.
        pod = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": _metadata(order),
            "template": template,
        }
        return [config_map, pod]
    job = {
        "backoffLimit": 2,
        "activeDeadlineSeconds": order.deadline,
        "ttlSecondsAfterFinished": 86_400,
        "template": template,
    }
    if kind == "job":
        return [
            config_map,
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(order), "spec": job},
        ]
    spec = {"schedule": order.schedule, "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}}
    return [
        config_map,
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": _metadata(order), "spec": spec},
    ]


def configuration(order: Order, common: Mapping[str, Any]) -> Manifest:
    """The target's part of the configuration, for a pod. `common` are sections that were given."""
    return {
        **common,
        "http": {"host": "0.0.0.0", "port": PORT},  # noqa: S104 - in a pod
        "log": {"format": "json"},
        "profiles": [
            {
                "name": order.profile,
                "path": f"{DATA}/profiles.yml",
                "target": order.target.output_name,
                "targets": [order.target.name],
            }
        ],
        "targets": {
            order.target.name: order.target.settings.model_dump(
                mode="json", exclude_unset=True, exclude_none=True
            )
        },
    }


def _metadata(order: Order) -> Manifest:
    return {"name": order.name, "labels": _labels(order)}


def _labels(order: Order) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "floe-monitor",
        "app.kubernetes.io/instance": order.name,
        "app.kubernetes.io/component": "monitor",
        "app.kubernetes.io/part-of": "floe",
    }


def _pod(order: Order) -> Manifest:
    environment = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": order.secret, "key": key}}}
        for name, key in sorted(order.variables.items())
    ]
    mounts = [
        {"name": f"credentials-{number}", "mountPath": folder, "readOnly": True}
        for number, folder in enumerate(order.files)
    ]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        # One user for all containers: a new profiles.yml is readable by its owner alone.
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_monitor(order, environment, mounts), _wait(order, environment, mounts)],
        "containers": [_dbt(order, environment, mounts)],
        "volumes": [
            {"name": "floe-monitor-config", "configMap": {"name": order.name}},
            {"name": "floe-monitor-data", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "floe-monitor-tmp", "emptyDir": {"sizeLimit": "128Mi"}},
            {"name": "floe-monitor-wait", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "dbt-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            *(
                {
                    "name": f"credentials-{number}",
                    "secret": {
                        "secretName": order.secret,
                        "defaultMode": 0o440,
                        "items": [{"key": name, "path": name} for name in names],
                    },
                }
                for number, names in enumerate(order.files.values())
            ),
        ],
    }  # fmt: skip


def _monitor(order: Order, environment: list[Manifest], mounts: list[Manifest]) -> Manifest:
    return {
        "name": "floe-monitor",
        "image": order.monitor_image,
        "restartPolicy": "Always",  # a native sidecar
        "args": ["run", "--config", f"{CONFIG}/floe-monitor.yaml"],
        "env": environment,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/readyz", 1, 2, 60),
        "livenessProbe": _probe("/healthz", 10, 5, 3),
        "readinessProbe": _probe("/readyz", 5, 5, 3),
        "resources": _MONITOR_RESOURCES,
        "securityContext": _CONFINED,
        "volumeMounts": [
            {"name": "floe-monitor-config", "mountPath": CONFIG, "readOnly": True},
            *mounts,
            {"name": "floe-monitor-data", "mountPath": DATA},
            {"name": "floe-monitor-tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
        ],
    }


def _wait(order: Order, environment: list[Manifest], mounts: list[Manifest]) -> Manifest:
    return {
        "name": "floe-monitor-wait",
        "image": order.monitor_image,
        "args": [
            "wait",
            order.target.name,
            "--timeout",
            "5m",
            "--config",
            f"{CONFIG}/floe-monitor.yaml",
        ],
        "env": environment,
        "resources": _MONITOR_RESOURCES,
        "securityContext": _CONFINED,
        "volumeMounts": [
            {"name": "floe-monitor-config", "mountPath": CONFIG, "readOnly": True},
            *mounts,
            {"name": "floe-monitor-wait", "mountPath": "/tmp"},  # noqa: S108 - as above
        ],
    }


def _dbt(order: Order, environment: list[Manifest], mounts: list[Manifest]) -> Manifest:
    own = {
        "DBT_PROFILES_DIR": DATA,
        "DBT_TARGET_PATH": "/tmp/target",  # noqa: S108 - as above
        "DBT_LOG_PATH": "/tmp/logs",  # noqa: S108 - as above
        "HOME": "/tmp",  # noqa: S108 - as above
    }
    return {
        "name": "dbt",
        "image": order.image,
        "command": ["dbt", "build", "--profile", order.profile, "--target", order.target.output_name],
        "workingDir": "/dbt",
        "env": [*({"name": name, "value": value} for name, value in own.items()), *environment],
        "resources": kubernetes_resources(order.resources),
        "securityContext": _CONFINED,
        "volumeMounts": [
            {"name": "floe-monitor-data", "mountPath": DATA, "readOnly": True},
            *mounts,
            {"name": "dbt-tmp", "mountPath": "/tmp"},  # noqa: S108 - as above
        ],
    }


def _probe(path: str, period: int, timeout: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
