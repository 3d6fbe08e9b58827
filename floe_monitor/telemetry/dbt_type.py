"""The dbt adapter type behind a target, as its plugin writes it into profiles."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floe_monitor.domain.targets import Target

PATIENCE = 1.0
"""Seconds a plugin has to generate one profile, before a scrape goes on without it."""


class DbtTypes:
    """Asks a plugin once, by the first of its targets, and remembers: every target of a plugin has one type.

    A plugin that raises, or hangs, leaves the type empty.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}

    def __call__(self, target: Target) -> str:
        plugin = target.entry.plugin
        if plugin is None or target.profile_config is None:
            return ""
        known = self._known.get(id(plugin))
        if known is None:
            # The plugin is kept beside its type, so that its id is not given to another.
            known = self._known[id(plugin)] = (plugin, self._ask(target))
        return known[1]

    def _ask(self, target: Target) -> str:
        answer: list[str] = []

        def ask() -> None:
            plugin, config = target.entry.plugin, target.profile_config
            if plugin is None or config is None:
                return
            try:
                answer.append(str(plugin.generate_dbt_profile(config).get("type", "")))
            except Exception:  # noqa: BLE001 - a plugin may raise anything; the label stays empty
                answer.append("")

        asking = threading.Thread(target=ask, name=f"dbt-type-{target.plugin_name}", daemon=True)
        asking.start()
        asking.join(PATIENCE)
        return answer[0][:64] if answer else ""
