"""What AWS' own host names say: the cluster or workgroup, the region, whether it is serverless.

By the same shapes as dbt's driver, which derives from them what a profile does not say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLUSTER = re.compile(
    r"(?P<cluster>[^.]+)\.(?P<account>[^.]+)\.(?P<region>[^.]+)\.redshift(?:-dev)?\.amazonaws\.com.*",
    re.IGNORECASE,
)
_WORKGROUP = re.compile(
    r"(?:(?P<workgroup>[^.]+)\.)?(?P<account>[^.]+)\.(?P<region>[^.]+)\.redshift-serverless(?:-dev)?"
    r"\.amazonaws\.com.*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HostParts:
    """Of a host that is AWS' own; all None for any other, such as a custom domain."""

    cluster: str | None = None
    workgroup: str | None = None
    region: str | None = None

    @property
    def of_aws(self) -> bool:
        return self.region is not None


def parts_of(host: str) -> HostParts:
    if found := _WORKGROUP.fullmatch(host):
        return HostParts(workgroup=found["workgroup"], region=found["region"].lower())
    if found := _CLUSTER.fullmatch(host):
        return HostParts(cluster=found["cluster"], region=found["region"].lower())
    return HostParts()
