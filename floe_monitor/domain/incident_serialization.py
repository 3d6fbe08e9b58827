"""Incidents as JSON shapes, whose types are in `json_types`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from floe_monitor.domain.incidents import Incident, Member, Reason
    from floe_monitor.domain.json_types import (
        IncidentDetailJson,
        IncidentJson,
        MemberJson,
        ReasonJson,
        ResourceJson,
    )
    from floe_monitor.domain.resources import Resource

TARGETS_NAMED = 20
"""In a row of the list; the incident itself has all."""


def resource(shared: Resource) -> ResourceJson:
    return {"kind": shared.kind, "name": shared.name}


def incident(known: Incident) -> IncidentJson:
    """One row of the list."""
    last = known.reasons[-1] if known.reasons else None
    cause, ended = known.cause, known.ended_at
    return {
        "id": known.id,
        "state": "open" if known.is_open else "ended",
        "status": known.status.word,
        "worst_status": known.worst.word,
        "began_at": moment(known.began_at),
        "ended_at": moment(known.ended_at),
        "duration_seconds": None if ended is None else round(max(0.0, ended - known.began_at), 3),
        "end": known.end,
        "merged_into": known.merged_into,
        "cause": None if cause is None else resource(cause),
        "error_type": last.error_type if last else None,
        "message": last.message if last else "",
        "targets": list(known.members)[:TARGETS_NAMED],
        "targets_total": known.members_total,
    }


def member(known: Member) -> MemberJson:
    return {
        "target": known.target,
        "plugin": known.plugin,
        "status": known.status.word,
        "worst_status": known.worst.word,
        "began_at": moment(known.began_at),
        "ended_at": moment(known.ended_at),
        "end": known.end,
        "error_type": known.latest_error,
        "shares": [resource(shared) for shared in known.resources],
    }


def reason(known: Reason) -> ReasonJson:
    return {
        "at": moment(known.at),
        "target": known.target,
        "status": known.status.word,
        "error_type": known.error_type,
        "message": known.message,
    }


def incident_detail(known: Incident) -> IncidentDetailJson:
    return {
        **incident(known),
        "members": [member(each) for each in known.members.values()],
        "reasons": [reason(each) for each in known.reasons],
        "reasons_dropped": known.reasons_dropped,
    }
