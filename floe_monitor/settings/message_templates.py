"""Templates of messages: Jinja in a sandbox, refused at the reading where they cannot work."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

LONGEST_TEMPLATE = 8_192
LONGEST_TEXT = 8_192
"""Characters of what a template makes; the rest is cut."""

SAMPLES: tuple[Mapping[str, Any], ...] = (
    {
        "event": "unhealthy",
        "status": "unhealthy",
        "headline": "warehouse and 1 more are unhealthy",
        "text": "connection refused",
        "targets": ["warehouse", "lake"],
        "targets_total": 2,
        "cause": "host db.internal:5432",
        "error_type": "connection",
        "message": "connection refused",
        "began_at": "2026-01-01T00:00:00Z",
        "ended_at": "",
        "duration": "",
        "reminder": 0,
        "monitor": "monitor-0",
        "url": "",
        "notices": [],
    },
    {
        "event": "summary",
        "status": "",
        "headline": "2 notices",
        "text": "warehouse is unhealthy",
        "targets": [],
        "targets_total": 0,
        "cause": "",
        "error_type": "",
        "message": "",
        "began_at": "",
        "ended_at": "",
        "duration": "",
        "reminder": 0,
        "monitor": "monitor-0",
        "url": "",
        "notices": ["warehouse is unhealthy", "lake has recovered"],
    },
)
"""What a template is tried with: every variable there is, once as they mostly are, once mostly empty."""


def check_template(text: str) -> str:
    """The template itself. `ValueError` says why it makes no message."""
    if len(text) > LONGEST_TEMPLATE:
        raise ValueError(f"is longer than {LONGEST_TEMPLATE} characters")
    for sample in SAMPLES:
        if not render(text, sample).strip():
            raise ValueError(f"makes an empty text where event is {sample['event']!r}")
    return text


def render(text: str, variables: Mapping[str, Any]) -> str:
    """`ValueError` where it fails, a variable that there is not included."""
    from jinja2 import TemplateError  # noqa: PLC0415 - 50 ms, for those who write templates

    try:
        return _compiled(text).render(variables)[:LONGEST_TEXT]
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f" in line {number}" if number else ""
        known = ", ".join(sorted(SAMPLES[0]))
        raise ValueError(f"is no template{line}: {error.message}; there are {known}") from None
    except Exception as error:  # noqa: BLE001 - whatever the template's own operations raise
        raise ValueError(f"is no template: {type(error).__name__}: {str(error)[:200]}") from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - as above

    # Plain text: what is to be HTML for a service is escaped by whoever makes it HTML.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(text)
