"""The builders of this version of dashboards warn, when they are imported, that there is a newer one."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import deploy.grafana.__main__  # noqa: F401 - and what it imports
