"""What a process leaves to the next one as JSON, in columns that nothing searches."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter, ValidationError

from floe_monitor.domain.declarations import Declarations
from floe_monitor.domain.incidents import Incident
from floe_monitor.domain.saved_state import SavedTarget


@cache
def _states() -> TypeAdapter[SavedTarget]:
    return TypeAdapter(SavedTarget)


@cache
def _incidents() -> TypeAdapter[Incident]:
    return TypeAdapter(Incident)


def state_to_json(state: SavedTarget) -> str:
    return _states().dump_json(state).decode()


def state_from_json(text: str) -> SavedTarget | None:
    """None where it is damaged, or another version's: the target begins anew then."""
    try:
        return _states().validate_json(text)
    except ValidationError:
        return None


def incident_to_json(incident: Incident) -> str:
    return _incidents().dump_json(incident).decode("utf-8", "replace")


def incident_from_json(text: str) -> Incident | None:
    try:
        return _incidents().validate_json(text)
    except ValidationError:
        return None


@cache
def _declarations() -> TypeAdapter[Declarations]:
    return TypeAdapter(Declarations)


def declarations_to_json(declared: Declarations) -> str:
    return _declarations().dump_json(declared).decode("utf-8", "replace")


def declarations_from_json(text: str) -> Declarations | None:
    try:
        return _declarations().validate_json(text)
    except ValidationError:
        return None
