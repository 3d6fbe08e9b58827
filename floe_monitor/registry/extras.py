"""Which plugins can be installed besides: the extras in the metadata of the monitor's own distribution.

No other name is ever suggested: a guessed name may be another project's.
"""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = "floe-monitor"


def installable_plugins(own: str = OWN) -> dict[str, str]:
    """The distribution that each extra installs, by the extra's name, which is the plugin's.

    Distributions of this project alone (`floe-monitor-…`): an extra may also stand for tools.
    """
    try:
        found = metadata.distribution(own)
    except metadata.PackageNotFoundError:  # run from a directory that was never installed
        return {}
    extras = found.metadata.get_all("Provides-Extra") or []
    requirements = [Requirement(text) for text in found.requires or ()]
    return {
        extra: requirement.name
        for extra in extras
        for requirement in requirements
        if canonicalize_name(requirement.name).startswith(f"{canonicalize_name(own)}-")
        and requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    }
