"""The project of a target that names none: what `google.auth.default` finds for dbt, `gcloud` not run."""

from __future__ import annotations

import configparser
import os
import shutil
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_bigquery.credentials import gcloud_directory, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ASKED_FOR = "external_account"
"""The kind of credentials whose project Google is asked for."""


def default_project(stored: Mapping[str, Any] | None) -> str | None:
    """By the default credentials as `read_stored` gave them; None where only a server of Google's can say.

    Raises `ComputeConfigurationError` where dbt finds none either.
    """
    # The older variable counts where the other is not set, and not where it is empty.
    if found := os.environ.get("GOOGLE_CLOUD_PROJECT", os.environ.get("GCLOUD_PROJECT")):
        return found
    if stored is None or stored.get("type") == _ASKED_FOR:
        return None
    project = str(stored.get("project_id") or "") if stored.get("type") == "service_account" else ""
    project = project or (_of_gcloud() if _are_of_gcloud() else "")
    if not project:
        raise ComputeConfigurationError(
            "project is missing: neither GOOGLE_CLOUD_PROJECT nor the default credentials name one, and dbt "
            "fails without; give `project`"
        )
    return project


def _are_of_gcloud() -> bool:
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return not named or named == str(gcloud_directory() / "application_default_credentials.json")


def _of_gcloud() -> str:
    """The active configuration's project, which dbt has the program print."""
    if shutil.which("gcloud") is None:
        return ""
    if found := os.environ.get("CLOUDSDK_CORE_PROJECT"):
        return found
    folder = gcloud_directory()
    name = os.environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or _content(folder / "active_config") or "default"
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(_content(folder / "configurations" / f"config_{name}"))
    except configparser.Error:
        return ""
    return parser.get("core", "project", fallback="").strip()


def _content(path: Path) -> str:
    return read_text(path, "gcloud's configuration").strip() if path.is_file() else ""
