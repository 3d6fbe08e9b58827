"""What the Helm chart can be told: its values, their defaults, and what each is for.

The one source of the chart's `values.yaml`, its `values.schema.json` and its README's table (`deploy.chart`).
Where Kubernetes has a type of its own, the value is passed through as it is and the API server judges it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Object = dict[str, Any]
Strings = dict[str, str]
Name = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h|d))+$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[int | str | None, Field(description="A count or a percentage.")]


class Part(BaseModel):
    """A mapping among the values. A key that it does not have is refused: it is misspelt."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Image(Part):
    registry: str = Field("", description="Host of the registry, put before `repository`.")
    repository: str = Field("floe-monitor", min_length=1, description="The image's name.")
    engines: str = Field(
        "duckdb",
        pattern=r"^[a-z]+(-[a-z]+)*$",
        description="The set of engines in it: the tag is VERSION-ENGINES.",
    )
    tag: str = Field("", description="A tag of your own in its place.")
    digest: str = Field(
        "", pattern=r"^(sha256:[0-9a-f]{64})?$", description="`sha256:…`; the tag counts no more."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When a node asks the registry."
    )
    pull_secrets: list[Name] = Field([], description="Names of Secrets with the registry's credentials.")


class MountedSecret(Part):
    name: Name = Field(description="The existing Secret.")
    env: dict[EnvironmentName, str] = Field({}, description="Environment variables by the Secret's keys.")
    optional: bool = Field(False, description="Start without it too.")


class Sidecar(Part):
    """For `mode: sidecar`."""

    wait_for: list[str] = Field([], description="Targets that must be up before the job starts.")
    wait_timeout: Duration = Field("5m", description="After this the pod fails.")
    wait_resources: Object = Field(
        {
            "requests": {"cpu": "20m", "memory": "96Mi", "ephemeral-storage": "32Mi"},
            "limits": {"cpu": "500m", "memory": "384Mi", "ephemeral-storage": "128Mi"},
        },
        description="Resources of the container that waits.",
    )


class Shards(Part):
    """For `mode: statefulset`: becomes `config.shard`."""

    enabled: bool = Field(False, description="Divide the targets between the pods, in place of all for each.")
    replicas: int = Field(1, ge=1, description="On how many pods each target is: docs/shards.md.")


class ServiceAccount(Part):
    create: bool = Field(True, description="Have the chart make it.")
    name: Name = Field("", description="Its name; the release's by default, `default` where none is made.")
    annotations: Strings = Field({}, description="For identities of a cloud (IRSA, workload identity).")
    automount_token: bool = Field(False, description="floe-monitor asks Kubernetes nothing.")


class Service(Part):
    enabled: bool = Field(True, description="Not made in `mode: sidecar`.")
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field("ClusterIP", description="Its type.")
    headless: bool | None = Field(
        None, description="No address of its own. Unset: where each pod is a monitor (not a deployment)."
    )
    port: int = Field(9464, ge=1, le=65535, description="Its port; the pods' is `config.http.port`.")
    annotations: Strings = Field({}, description="Its annotations.")
    labels: Strings = Field({}, description="Further labels.")
    spec: Object = Field(
        {}, description="Further fields of its spec (`ipFamilyPolicy`, `internalTrafficPolicy`, …)."
    )


class Ingress(Part):
    enabled: bool = Field(False, description="An Ingress to the status page and to the routes that act.")
    class_name: str = Field("", description="The IngressClass.")
    labels: Strings = Field({}, description="Further labels.")
    annotations: Strings = Field({}, description="Its annotations (authentication belongs here).")
    hosts: list[str] = Field([], description="Host names; they become `http.allowed_hosts` too.")
    path: str = Field("/", description="The page has no prefix of its own: `/`.")
    path_type: Literal["Prefix", "Exact", "ImplementationSpecific"] = Field("Prefix", description="Its type.")
    tls: list[Object] = Field([], description="As `spec.tls` of an Ingress.")


class HttpRoute(Part):
    enabled: bool = Field(False, description="An HTTPRoute of the Gateway API in place of an Ingress.")
    annotations: Strings = Field({}, description="Its annotations.")
    parent_refs: list[Object] = Field([], description="The gateways.")
    hostnames: list[str] = Field([], description="Host names; they become `http.allowed_hosts` too.")
    filters: list[Object] = Field([], description="Filters of its one rule.")


class Monitor(Part):
    """What ServiceMonitor and PodMonitor have in common."""

    enabled: bool = False
    labels: Strings = Field({}, description="What the operator's Prometheus selects by, such as `release`.")
    interval: Duration = Field("15s", description="Time between scrapes.")
    scrape_timeout: Duration = Field("10s", description="Deadline of one.")
    relabelings: list[Object] = Field([], description="After the one that sets `node`.")
    metric_relabelings: list[Object] = Field([], description="For samples.")
    endpoint: Object = Field({}, description="Further fields of its endpoint (`authorization`, `tlsConfig`).")
    spec: Object = Field({}, description="Further fields of its spec (`sampleLimit`, …).")


class ServiceMonitor(Monitor):
    enabled: bool = Field(False, description="Scrape through the Service, by the Prometheus operator.")


class PodMonitor(Monitor):
    enabled: bool = Field(False, description="Scrape the pods: the way for `mode: sidecar`.")


class PrometheusRule(Part):
    enabled: bool = Field(False, description="The alert and recording rules of deploy/prometheus.")
    otlp: bool = Field(False, description="Those for metrics that Prometheus receives over OTLP.")
    labels: Strings = Field({}, description="What the operator's Prometheus selects by, such as `release`.")
    disabled: list[str] = Field(
        [], description="Names of alerts to leave out; beside jobs alone, that on the absence of monitors."
    )
    rule_labels: Strings = Field({}, description="Labels for every alert, such as `team`.")
    namespace: Name = Field(
        "", description="Where the operator's Prometheus looks; the release's by default."
    )
    runbook_url: str = Field("", description="Where you have docs/alerts.md; each alert adds its `#name`.")
    extra_groups: list[Object] = Field([], description="Groups of your own.")


class Dashboards(Part):
    enabled: bool = Field(False, description="A ConfigMap for each, for Grafana's sidecar.")
    labels: Strings = Field({"grafana_dashboard": "1"}, description="What Grafana's sidecar selects by.")
    annotations: Strings = Field({}, description="Such as `grafana_folder`.")
    namespace: Name = Field("", description="Where Grafana looks; the release's by default.")


class NetworkPolicy(Part):
    enabled: bool = Field(True, description="Close the port to everybody but those below.")
    scraper_namespaces: list[Name] = Field(["monitoring"], description="Namespaces whose pods may scrape.")
    ingress_from: list[Object] = Field([], description="Further peers, such as the ingress controller.")
    egress: list[Object] = Field(
        [], description="Rules for what it may reach: its engines and DNS. Empty: everything."
    )


class PodDisruptionBudget(Part):
    enabled: bool = Field(False, description="For a deployment or a statefulset of more than one pod.")
    min_available: int | str | None = Field(None, description="A count or a percentage.")
    max_unavailable: int | str | None = Field(1, description="Counts where `minAvailable` is unset.")


class HelmTest(Part):
    enabled: bool = Field(True, description="A pod for `helm test`, which asks the Service.")
    annotations: Strings = Field({}, description="Further annotations.")
    timeout: Duration = Field("10s", description="Deadline of one answer.")


def _probe(path: str, period: int, timeout: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


class Values(Part):
    """Values of the floe-monitor chart."""

    global_: Object = Field(
        {}, alias="global", description="Of charts that have this one within; `imageRegistry` is heeded."
    )
    name_override: str = Field("", max_length=63, description="The application's name in labels.")
    fullname_override: str = Field("", max_length=63, description="Name of every object.")
    namespace_override: Name = Field("", description="Another namespace than the release's.")
    common_labels: Strings = Field({}, description="Labels of every object.")
    common_annotations: Strings = Field({}, description="Annotations of every object.")
    mode: Literal["deployment", "daemonset", "statefulset", "sidecar"] = Field(
        "deployment",
        description="One monitor; one on each node; several with stable names; or none, but what your own "
        "jobs need for a sidecar.",
    )
    image: Image = Field(Image(), description="")
    config: Object = Field(
        {},
        description="floe-monitor's configuration, as in docs/configuration.md; its schema is part of this "
        "one. Unless it says otherwise the daemon listens on every address, at port 9464, and logs JSON.",
    )
    existing_config_map: Name = Field(
        "", description="A ConfigMap with the key `floe-monitor.yaml`, in place of `config`."
    )
    config_change: Literal["reload", "restart"] = Field(
        "reload",
        description="On a changed `config`: the daemon reloads it within a minute; or there are new pods.",
    )
    secrets: list[MountedSecret] = Field(
        [],
        description="Existing Secrets, each mounted at /var/run/secrets/NAME; keys that dbt needs as "
        "variables by `env`.",
    )
    env: list[Object] = Field([], description="Further environment variables.")
    env_from: list[Object] = Field([], description="Sources of such.")
    sidecar: Sidecar = Field(Sidecar(), description="")

    replicas: int = Field(
        1,
        ge=0,
        description="Pods of a deployment or statefulset, each with every target unless they are shards.",
    )
    shards: Shards = Field(Shards(), description="")
    update_strategy: Object = Field({}, description="`strategy` or `updateStrategy` of the workload.")
    pod_management_policy: Literal["Parallel", "OrderedReady"] = Field(
        "Parallel", description="Of a statefulset."
    )
    min_ready_seconds: int = Field(0, ge=0, description="How long a new pod must be ready to count.")
    revision_history_limit: int = Field(3, ge=0, description="Former versions kept for a rollback.")
    data_volume: Object = Field(
        {}, description="Volume for profiles.yml, at /var/lib/floe-monitor: an emptyDir by default."
    )
    tmp_volume: Object = Field({}, description="Volume for /tmp: an emptyDir by default.")
    volume_claim_templates: list[Object] = Field([], description="Of a statefulset.")
    persistent_volume_claim_retention_policy: Object = Field(
        {}, description="Of a statefulset: what becomes of the claims of pods that are there no more."
    )

    resources: Object = Field(
        {
            "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "32Mi"},
            "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "256Mi"},
        },
        description="docs/operations.md has the rules for sizing.",
    )
    pod_security_context: Object = Field(
        {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        description="On OpenShift user and groups are left to the cluster.",
    )
    security_context: Object = Field(
        {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        description="Of every container.",
    )
    termination_grace_period_seconds: int | None = Field(
        None, ge=0, description="Unset: `config.shutdown_grace` and 20 s."
    )
    startup_probe: Object = Field(
        _probe("/healthz", 1, 2, 30), description="In `mode: sidecar` it asks /readyz: the job waits for it."
    )
    liveness_probe: Object = Field(_probe("/healthz", 10, 5, 3), description="Fails for what a restart ends.")
    readiness_probe: Object = Field(_probe("/readyz", 5, 5, 3), description="The first round is done.")
    lifecycle: Object = Field({}, description="Hooks of the container.")

    workload_annotations: Strings = Field({}, description="Annotations of the workload itself.")
    pod_labels: Strings = Field({}, description="Further labels of the pods.")
    pod_annotations: Strings = Field({}, description="Further annotations of the pods.")
    priority_class_name: str = Field("", description="A monitor should outlive what it watches.")
    runtime_class_name: str = Field("", description="The container runtime.")
    scheduler_name: str = Field("", description="The scheduler.")
    node_selector: Strings = Field({}, description="Labels of nodes.")
    tolerations: list[Object] = Field([], description="`[{operator: Exists}]` for a daemonset on every node.")
    affinity: Object = Field({}, description="Affinity of the pods.")
    topology_spread_constraints: list[Object] = Field(
        [], description="Without `labelSelector` they are of this release's pods."
    )
    host_network: bool = Field(False, description="The node's own network; the restricted policy forbids it.")
    host_aliases: list[Object] = Field([], description="Lines of /etc/hosts.")
    dns_policy: str = Field("", description="Policy of name resolution.")
    dns_config: Object = Field({}, description="Its configuration.")

    extra_init_containers: list[Object] = Field([], description="Before the monitor.")
    extra_containers: list[Object] = Field([], description="Beside the monitor.")
    extra_volumes: list[Object] = Field([], description="Volumes of the pod.")
    extra_volume_mounts: list[Object] = Field([], description="Mounts of the monitor.")
    extra_manifests: list[Object | str] = Field([], description="Whole objects; templates are filled in.")

    service_account: ServiceAccount = Field(ServiceAccount(), description="")
    service: Service = Field(Service(), description="")
    ingress: Ingress = Field(Ingress(), description="")
    http_route: HttpRoute = Field(HttpRoute(), description="")
    service_monitor: ServiceMonitor = Field(ServiceMonitor(), description="")
    pod_monitor: PodMonitor = Field(PodMonitor(), description="")
    prometheus_rule: PrometheusRule = Field(PrometheusRule(), description="")
    dashboards: Dashboards = Field(Dashboards(), description="")
    network_policy: NetworkPolicy = Field(NetworkPolicy(), description="")
    pod_disruption_budget: PodDisruptionBudget = Field(PodDisruptionBudget(), description="")
    test: HelmTest = Field(HelmTest(), description="")
