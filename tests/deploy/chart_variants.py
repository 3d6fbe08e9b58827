"""Values of the chart that between them take every branch of its templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deploy.chart import CHART

ROOT = Path(__file__).parents[2]

Manifest = dict[str, Any]
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
"""Names, in the order of the rules. One variant leaves out the first, one all but the last."""
TARGET: Manifest = {"targets": {"dev": {"plugin": "duckdb", "connection": {"path": ":memory:"}}}}
SECRET = {"name": "ware.house", "env": {"WAREHOUSE_PASSWORD": "password"}}
PEER = {"podSelector": {"matchLabels": {"app": "ingress"}}}
_MOUNT = {"name": "certificates", "mountPath": "/certificates", "readOnly": True}
_VOLUME = {"name": "certificates", "configMap": {"name": "certificates"}}
_CLAIM = {
    "metadata": {"name": "kept"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_OTHER = {"name": "other", "image": "other:1", "securityContext": _CONFINED}
_RULE = {"alert": "Own", "expr": "vector(1)"}

VARIANTS: dict[str, Manifest] = {
    "nothing": {},
    "duckdb": yaml.safe_load((CHART / "ci" / "duckdb-values.yaml").read_text()),
    "postgres": yaml.safe_load((CHART / "ci" / "postgres-values.yaml").read_text()),
    "many targets": yaml.safe_load((CHART / "ci" / "many-targets-values.yaml").read_text()),
    "secured": yaml.safe_load((CHART / "ci" / "secured-values.yaml").read_text()),
    "daemonset": {
        "mode": "daemonset",
        "config": TARGET,
        "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}},
        "tolerations": [{"operator": "Exists"}],
        "podDisruptionBudget": {"enabled": True},
    },
    "statefulset": {
        "mode": "statefulset",
        "config": {**TARGET, "shutdown_grace": "1m30s"},
        "replicas": 3,
        "volumeClaimTemplates": [_CLAIM],
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"},
        "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    },
    "statefulset of its own": {"mode": "statefulset", "config": TARGET, "service": {"headless": False}},
    "shards": {
        "mode": "statefulset",
        "config": TARGET,
        "replicas": 4,
        "shards": {"enabled": True, "replicas": 2},
    },
    "names": {
        "config": {**TARGET, "shutdown_grace": 25.5},
        "fullnameOverride": "watch",
        "namespaceOverride": "elsewhere",
        "workloadAnnotations": {"ignore": "drift"},
        "global": {"imageRegistry": "mirror.example"},
        "nameOverride": "monitor",
        "commonLabels": {"team": "core"},
        "commonAnnotations": {"owner": "core"},
        "podLabels": {"tier": "data"},
        "podAnnotations": {"note": "kept"},
        "serviceAccount": {"create": False},
    },
    "image": {
        "config": TARGET,
        "image": {"registry": "registry.example/", "digest": f"sha256:{'a' * 64}", "pullSecrets": ["pull"]},
        "serviceAccount": {"name": "known", "annotations": {"cloud/role": "x"}},
        "configChange": "restart",
        "terminationGracePeriodSeconds": 0,
    },
    "placement": {
        "config": TARGET,
        "replicas": 2,
        "updateStrategy": {"type": "Recreate"},
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "schedulerName": "own",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "data", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["db"]}],
        "dnsPolicy": "ClusterFirst",
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "podDisruptionBudget": {"enabled": True},
    },
    "extras": {
        "config": TARGET,
        "env": [{"name": "TZ", "value": "UTC"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [_VOLUME],
        "extraVolumeMounts": [_MOUNT],
        "extraContainers": [_OTHER],
        "extraInitContainers": [{**_OTHER, "name": "first"}],
        "extraManifests": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-own"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-text'}\n",
        ],
        "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
        "dataVolume": {"persistentVolumeClaim": {"claimName": "shared"}},
        "tmpVolume": {"emptyDir": {"sizeLimit": "1Gi"}},
    },
    "scraped": {
        "config": TARGET,
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "relabelings": [{"targetLabel": "cluster", "replacement": "one"}],
            "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
            "spec": {"sampleLimit": 1000},
        },
        "podMonitor": {"enabled": True, "spec": {"sampleLimit": 1000}},
        "prometheusRule": {
            "enabled": True,
            "disabled": ALERTS[:1],
            "namespace": "monitoring",
            "ruleLabels": {"team": "core"},
            "runbookUrl": "https://wiki.example/floe",
            "extraGroups": [{"name": "own", "rules": [_RULE]}],
        },
        "dashboards": {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "dbt"}},
    },
    "scraped plainly": {
        "config": TARGET,
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "rules for metrics by OTLP": {"config": TARGET, "prometheusRule": {"enabled": True, "otlp": True}},
    "ingress": {
        "config": {**TARGET, "http": {"port": 8080}},
        "service": {
            "port": 80,
            "type": "LoadBalancer",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "spec": {"ipFamilyPolicy": "PreferDualStack"},
        },
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": ["floe.example"],
            "tls": [{"hosts": ["floe.example"], "secretName": "tls"}],
            "annotations": {"auth": "required"},
        },
        "networkPolicy": {"ingressFrom": [PEER], "egress": [{"to": [PEER]}]},
    },
    "encrypted": {
        "config": {**TARGET, "http": {"tls": {"certificate": "/tls/tls.crt", "key": "/tls/tls.key"}}},
        "serviceMonitor": {"enabled": True, "endpoint": {"tlsConfig": {"insecureSkipVerify": True}}},
    },
    "health apart": {"config": {**TARGET, "http": {"health": {"port": 9465}}}},
    "plain ingress": {"config": TARGET, "ingress": {"enabled": True, "hosts": ["floe.example"]}},
    "route": {
        "config": TARGET,
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "gateway"}],
            "hostnames": ["floe.example"],
            "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["X-Forwarded-User"]}}
            ],
        },
    },
    "plain route": {"config": TARGET, "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}},
    "less": {
        "existingConfigMap": "own",
        "service": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "test": {"enabled": False},
    },
    "closed": {"config": TARGET, "networkPolicy": {"scraperNamespaces": []}, "test": {"enabled": False}},
    "balanced": {"config": TARGET, "mode": "daemonset", "service": {"type": "LoadBalancer"}},
    "without a test": {"config": TARGET, "test": {"enabled": False}},
    "host": {"config": TARGET, "mode": "daemonset", "hostNetwork": True},
}
"""By name. `host` asks for what the restricted policy forbids."""

JOBS: dict[str, Manifest] = {
    "job": {"config": TARGET},
    "job that waits plainly": {"config": TARGET, "sidecar": {"waitFor": ["dev"]}},
    "job that waits": {
        "config": TARGET,
        "sidecar": {"waitFor": ["dev"]},
        "secrets": [SECRET],
        "env": [{"name": "TZ", "value": "UTC"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [_VOLUME],
        "extraVolumeMounts": [_MOUNT],
        "tolerations": [{"operator": "Exists"}],
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True, "disabled": ALERTS[:-1]},
    },
}
"""Values of our chart within the one of the example."""
