"""What to do about a target that is not healthy: the tables of docs/alerts.md, and what `check` suggests.

A message that is of a known kind has that kind's remediation, any other that of its error type. Texts are
Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult


@dataclass(frozen=True, slots=True)
class MessageRemediation:
    """As `says`, a part of messages shown to people; `pattern` finds it."""

    says: str
    pattern: re.Pattern[str]
    do: str


def _kind(says: str, pattern: str, do: str) -> MessageRemediation:
    return MessageRemediation(says, re.compile(pattern, re.IGNORECASE), do)


BY_TYPE = {
    ErrorType.TIMEOUT: "compare the duration panel with `probe.timeout`; look at the engine",
    ErrorType.CONNECTION: "reach it from the same pod or node; then the engine's own logs",
    ErrorType.AUTHENTICATION: "rotate the credential; no restart is needed where it is a file",
    ErrorType.PERMISSION: "restore the grant that the message names",
    ErrorType.CONFIGURATION: (
        "correct what the message names; `floe-monitor config check` finds what shows without the engine"
    ),
    ErrorType.QUERY: "look at the engine's own state: disk, memory, recovery",
    ErrorType.EXTENSION: "install it where dbt looks for it; see the engine's page",
    ErrorType.CATALOG: "ask the catalog with the same credentials",
    ErrorType.PLUGIN: "the log line has the correlation id; report it to the plugin's author",
}

BY_MESSAGE = (
    _kind(
        "no plugin … is installed",
        r"no plugin .{1,200} is installed",
        "correct `plugin`, or install its package; `floe-monitor plugins list` shows what is there",
    ),
    _kind(
        "module … is not installed",
        r"module \S{1,200} is not installed",
        "install the plugin with the lock of its engine, which has its driver (docs/installation.md)",
    ),
    _kind(
        "environment variable … is not set",
        r"environment variable \S{1,200} is not set",
        "set it where floe-monitor runs, and where dbt does",
    ),
    _kind(
        "cannot resolve …",
        r"cannot resolve|name or service not known",
        "correct the host's name; ask for it from the same pod or node",
    ),
    _kind(
        "connection refused",
        r"connection refused",
        "start the engine, or correct host and port; inside a container localhost is the container itself",
    ),
    _kind(
        "… has expired",
        r"\bexpired\b",
        "renew it; a file that is replaced is read at the next probe",
    ),
    _kind(
        "certificate … refused, verify failed",
        r"certificate (?:is refused|verify failed)",
        "give the target the file of the authority that signed the certificate; see the engine's page",
    ),
    _kind(
        "too many connections",
        r"too many connections",
        "raise the limit on connections, or lower `threads`",
    ),
    _kind(
        "… is in use by PID …",
        r" is in use (?:for reading )?by ",
        "wait until that process ends, or end it: dbt cannot open the file until then",
    ),
    _kind(
        "… does not exist; dbt would create an empty database",
        r"does not exist; dbt would create",
        "nothing, if it is to be new; else correct `path`, which is relative to the working directory",
    ),
    _kind(
        "… in a directory that does not exist",
        r"in(?:to)? a directory that does not exist",
        "create the directory, or correct `path`, which is relative to the working directory",
    ),
    _kind(
        "… is corrupt, is truncated, is not a … database",
        r"(?:is|has a) (?:corrupt|truncated)|is not an? \w{1,40} database",
        "correct `path`, or restore the file from a copy",
    ),
    _kind(
        "… is suspended and does not resume by itself",
        r"is suspended and does not resume",
        "resume it, or let it resume by itself",
    ),
)


def remediation_for(result: ProbeResult) -> str | None:
    """What to do, as plain text; None where nothing is wrong or nobody knows."""
    if result.status is ConnectionStatus.HEALTHY:
        return None
    known = next((kind.do for kind in BY_MESSAGE if kind.pattern.search(result.message)), None)
    if known is None and result.error_type is not None:
        known = BY_TYPE[result.error_type]
    return None if known is None else known.replace("`", "")
