"""Validations where the name service is silent, for tests of what they leave running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.testing.silent_names import available, run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["available", "probe_thrice", "run"]

_PROBING = """
import sys, threading, time
from floe_monitor.testing.punctuality import Control
from floe_monitor.compute import Deadline
from floe_monitor.registry.config_validation import build_config
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.discovery import discover
plugin = discover().get(PLUGIN).plugin
config = build_config(plugin, FIELDS)
plugin.prepare(config)
before = set(threading.enumerate())
aside = lambda: [each for each in threading.enumerate() if each not in before]
with Control() as control:
    for _ in range(3):
        in_time = True
        try:
            with control.within(0.4), running_until(Deadline.after(0.4)):
                result = plugin.validate_connection(config)
        except AssertionError:
            in_time = False
        print(result.error_type.value, result.checks[-1].name, in_time, len(aside()))
until = time.monotonic() + 30
while aside() and time.monotonic() < until:
    time.sleep(0.05)
print(len(aside()))
"""


def probe_thrice(plugin: str, fields: Mapping[str, Any]) -> list[str]:
    """What three validations in a row come to there: error type, last check, whether in time, threads left
    behind; and at the end how many of those stay once the system's resolver has given up."""
    given = {"plugin": plugin, **fields}
    done = run(_PROBING.replace("PLUGIN", repr(plugin)).replace("FIELDS", repr(given)))
    return done.stdout.splitlines() or [done.stderr]
