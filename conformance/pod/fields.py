"""The part of Kubernetes' API that is simulated: any other field, or other value of a field, is refused.

Restricted pods alone: each container drops all capabilities, gains no rights and has a user other than root.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

WITHOUT_EFFECT = {
    "resources": "no control groups: neither memory nor CPU is limited",
    "securityContext.seccompProfile": "no filter of system calls",
    "imagePullPolicy": "no registry: images are directories",
    "serviceAccountName": "no API server; a token is never mounted",
    "ports": "names for probes; nothing is published or closed",
    "Deployment: all but template": "one pod of it",
    "CronJob: schedule, concurrencyPolicy": "the job starts when the test says so",
    "Job: ttlSecondsAfterFinished": "nothing is kept",
}
"""Fields that are accepted, and why they do nothing here."""

Octal = Annotated[int, Field(ge=0, le=0o777)]


class UnsupportedFieldError(ValueError):
    """What is not simulated, or is not of the API: a line for each field, with its path."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class _OneOf(Part):
    """Exactly one of its fields is given, beside those with a default other than None."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        choices = [name for name, field in type(self).model_fields.items() if field.default is None]
        if sum(getattr(self, name) is not None for name in choices) != 1:
            raise ValueError(f"exactly one of {', '.join(map(to_camel, choices))} is needed")
        return self


# ---------------------------------------------------------------- containers


class Reference(Part):
    name: str
    optional: bool = False


class KeyReference(Reference):
    key: str


class FieldReference(Part):
    api_version: Literal["v1"] = "v1"
    field_path: Literal["metadata.name", "metadata.namespace", "spec.nodeName", "status.podIP"]


class ValueSource(_OneOf):
    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None


class Variable(Part):
    name: str
    value: str = ""
    value_from: ValueSource | None = None


class VariableSource(_OneOf):
    prefix: str = ""
    secret_ref: Reference | None = None
    config_map_ref: Reference | None = None


class Port(Part):
    name: str = ""
    container_port: int
    protocol: Literal["TCP"] = "TCP"


class HttpGet(Part):
    path: str = "/"
    port: int | str
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"


class Exec(Part):
    command: list[str] = Field(min_length=1)


class Probe(Part):
    """Times in seconds; Kubernetes' defaults."""

    http_get: HttpGet | None = None
    exec: Exec | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = Field(10, ge=1)
    timeout_seconds: int = Field(1, ge=1)
    success_threshold: int = Field(1, ge=1)
    failure_threshold: int = Field(3, ge=1)
    termination_grace_period_seconds: int | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.http_get is None) == (self.exec is None):
            raise ValueError("exactly one of httpGet, exec is needed")
        return self


class Capabilities(Part):
    drop: tuple[Literal["ALL"]]


class SecurityContext(Part):
    allow_privilege_escalation: Literal[False]
    capabilities: Capabilities
    read_only_root_filesystem: bool = False
    run_as_user: int | None = Field(None, ge=1)
    run_as_group: int | None = None
    run_as_non_root: bool | None = None


class Mount(Part):
    name: str
    mount_path: str = Field(pattern="^/")
    read_only: bool = False


class Container(Part):
    name: str
    image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    restart_policy: Literal["Always"] | None = None
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[Variable] = []
    env_from: list[VariableSource] = []
    ports: list[Port] = []
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    resources: dict[Literal["requests", "limits"], dict[str, str | int]] = {}
    security_context: SecurityContext
    volume_mounts: list[Mount] = []

    def port(self, port: int | str) -> int:
        """By number, or by the name that the container gives it."""
        found = {each.name: each.container_port for each in self.ports}
        return port if isinstance(port, int) else found[port]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for probe in (self.startup_probe, self.liveness_probe, self.readiness_probe):
            wanted = probe.http_get.port if probe and probe.http_get else 0
            if isinstance(wanted, str) and wanted not in {each.name for each in self.ports}:
                raise ValueError(f"a probe asks at the port {wanted!r}, which the container does not have")
        return self


# ---------------------------------------------------------------- the pod


class ConfigMapVolume(Part):
    name: str
    optional: bool = False
    default_mode: Octal = 0o644


class SecretVolume(Part):
    secret_name: str
    optional: bool = False
    default_mode: Octal = 0o644


class EmptyDir(Part):
    medium: Literal["", "Memory"] = ""
    size_limit: Annotated[str, Field(pattern=r"^[0-9]+(Ki|Mi|Gi)?$")] = "1Gi"


class Volume(_OneOf):
    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDir | None = None


class Seccomp(Part):
    type: Literal["RuntimeDefault"]


class PodSecurityContext(Part):
    run_as_non_root: Literal[True]
    run_as_user: int | None = Field(None, ge=1)
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: list[int] = []
    seccomp_profile: Seccomp | None = None


class PodSpec(Part):
    service_account_name: str = "default"
    automount_service_account_token: Literal[False]
    enable_service_links: Literal[False]
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    termination_grace_period_seconds: int = Field(30, ge=0)
    security_context: PodSecurityContext
    init_containers: list[Container] = []
    containers: list[Container] = Field(min_length=1)
    volumes: list[Volume] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = {each.name for each in self.volumes}
        for container in (*self.init_containers, *self.containers):
            missing = sorted({each.name for each in container.volume_mounts} - known)
            if missing:
                raise ValueError(f"{container.name} mounts what is no volume: {', '.join(missing)}")
        if any(each.restart_policy for each in self.containers):
            raise ValueError("restartPolicy of a container is for init containers alone")
        return self


class Metadata(Part):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PodTemplate(Part):
    metadata: Metadata
    spec: PodSpec


# ---------------------------------------------------------------- what makes pods


class DeploymentSpec(Part):
    replicas: int = 1
    revision_history_limit: int = 10
    min_ready_seconds: int = 0
    strategy: dict[str, Any] = {}
    selector: dict[str, Any]
    template: PodTemplate


class JobSpec(Part):
    backoff_limit: int = Field(6, ge=0)
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    template: PodTemplate


class JobTemplate(Part):
    spec: JobSpec


class CronJobSpec(Part):
    schedule: str
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    job_template: JobTemplate


_Kind = TypeVar("_Kind", bound=Part)


def read(kind: type[_Kind], spec: Any) -> _Kind:
    """Raises `UnsupportedFieldError`."""
    try:
        return kind.model_validate(spec)
    except ValidationError as error:
        lines = [
            f"{_path(each['loc'])}: {_MEANING.get(each['type'], each['msg'])}" for each in error.errors()
        ]
        raise UnsupportedFieldError("\n".join(lines)) from None


_MEANING = {
    "extra_forbidden": "not simulated here",
    "missing": "needed here, where only restricted pods are simulated",
}


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in location)
    return "".join(parts).removeprefix(".") or "spec"
