"""Extras in the metadata of real distributions, this project's own among them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from floe_monitor.registry.extras import installable_plugins


def test_what_can_be_installed_stands_in_the_extras_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert len(extras) > 1
    expected = {extra: names[0] for extra, names in extras.items() if names[0].startswith("floe-monitor-")}
    assert installable_plugins() == expected


def test_extras_of_tools_and_of_others_name_no_plugin(site: Any) -> None:
    info = site.distribution("Acme.Watch", {})
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Acme.Watch\nVersion: 1.0\n"
        "Requires-Dist: acme-watch-core\n"
        "Provides-Extra: trino\nRequires-Dist: acme_watch_trino>=2; extra == 'trino'\n"
        "Provides-Extra: old\nRequires-Dist: acme-watch-old; python_version < '3' and extra == 'old'\n"
        "Provides-Extra: dev\nRequires-Dist: pytest>=8; extra == 'dev'\n"
    )
    assert installable_plugins("acme-watch") == {"trino": "acme_watch_trino"}


def test_without_metadata_nothing_can_be_installed() -> None:
    assert installable_plugins("no-such-distribution") == {}
