"""What can be asked for over HTTP: each route with its parameters and the types of its answers.

The OpenAPI document is made of this table; a test holds it and the routes of the application equal.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from floe_monitor.domain import history_json_types as kept
from floe_monitor.domain import json_types as json
from floe_monitor.domain.health import StatusWord
from floe_monitor.web.declaration_operations import DECLARATION_OPERATIONS
from floe_monitor.web.event_stream import EventName
from floe_monitor.web.operation import (
    JSON,
    PROBLEM,
    SVG,
    TEXT,
    Answer,
    Operation,
    Parameter,
    plain_answers,
    resource_answers,
)
from floe_monitor.web.target_query import MOST

DURATION = r"^([0-9]{1,4}(ms|s|m)|[0-9]{1,3}h|[0-9]{1,2}d)$"
"""Less than what is understood: `1m30s` is too."""

Span = Annotated[
    str,
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": DURATION}]}
    ),
]
Whole = Annotated[int, Field(ge=0, le=MOST)]
FieldNames = Annotated[
    list[str], WithJsonSchema({"type": "array", "items": {"enum": list(json.TargetJson.__annotations__)}})
]
TargetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]")]
"""As names begin: commas and spaces alone are none."""


_VERDICT = ((TEXT, str), (JSON, json.VerdictJson))
_NAME = Parameter("name", str, "A target's name", required=True)
_PAGE = (
    Parameter("limit", Whole, "At most so many rows"),
    Parameter("offset", Whole, "Without so many rows before"),
)
_SPAN = (
    Parameter("since", Span, "From when on: back from now (`24h`), or a moment"),
    Parameter("until", Span, "Before which moment; now without it"),
    Parameter("limit", Annotated[int, Field(ge=1, le=1000)], "At most so many rows; 100 without it"),
)
_LABEL = Parameter("label", list[str], "`key` or `key=value`; all of them must match")
_BADGE = (
    (HTTPStatus.OK, Answer("An image", ((SVG, str),), ("ETag",))),
    (HTTPStatus.NOT_MODIFIED, Answer("It is what If-None-Match names", (), ("ETag",))),
)
_BADGE_PARAMETERS = (
    Parameter("kind", Literal["status", "uptime", "latency"], "What it shows", required=True),
    Parameter("label", Annotated[str, Field(max_length=64)], "Instead of the name"),
)
_BAD, _NONE = HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND


def _health(path: str, name: str, summary: str) -> Operation:
    answers = (
        (HTTPStatus.OK, Answer("It is", _VERDICT)),
        (HTTPStatus.SERVICE_UNAVAILABLE, Answer("It is not, and why", _VERDICT)),
    )
    return Operation("get", path, name, summary, "health", answers, open=True)


OPERATIONS: tuple[Operation, ...] = (
    _health("/healthz", "healthz", "Whether the monitor works, or needs a restart"),
    _health("/readyz", "readyz", "Whether every target has a first result, and every profile was looked at"),
    Operation(
        "get",
        "/metrics",
        "metrics",
        "Metrics for Prometheus, as text or in OpenMetrics",
        "health",
        ((HTTPStatus.OK, Answer("Samples", ((TEXT, str), ("application/openmetrics-text", str)))),),
    ),
    Operation(
        "get",
        "/api/v1/openapi.json",
        "openapi",
        "This document",
        "monitor",
        resource_answers(dict[str, Any]),
    ),
    Operation(
        "get", "/api/v1/status", "status", "The monitor itself", "monitor", plain_answers(json.StatusJson)
    ),
    Operation(
        "post",
        "/-/reload",
        "reload",
        "Load the configuration again",
        "monitor",
        plain_answers(json.ReloadedJson, "The new configuration is in force"),
        problems=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    ),
    Operation(
        "get",
        "/api/v1/targets",
        "targets",
        "Targets and what is known of them now",
        "targets",
        resource_answers(json.TargetListJson),
        (
            Parameter("status", list[StatusWord], "Of these statuses"),
            Parameter("plugin", list[str], "Of these plugins"),
            _LABEL,
            Parameter("search", str, "Part of a target's name, or of what its last probe said"),
            Parameter("fields", FieldNames, "Only these fields of each target"),
            *_PAGE,
        ),
        (_BAD,),
    ),
    Operation(
        "get",
        "/api/v1/targets/{name}",
        "target",
        "One target in full",
        "targets",
        resource_answers(json.TargetDetailJson),
        (_NAME,),
        (_NONE,),
    ),
    Operation(
        "post",
        "/api/v1/targets/{name}/validate",
        "validate",
        "Probe a target now and wait for the result",
        "targets",
        (
            (HTTPStatus.OK, Answer("The result, whatever it found", ((JSON, json.ProbeJson),))),
            (HTTPStatus.SEE_OTHER, Answer("To the target's page, for a browser", (), ("Location",))),
        ),
        (_NAME,),
        (_NONE, HTTPStatus.CONFLICT),
    ),
    Operation(
        "get",
        "/api/v1/gate",
        "gate",
        "Whether targets can be used now",
        "targets",
        (
            (HTTPStatus.OK, Answer("Every one can", ((JSON, json.GateJson),))),
            (
                HTTPStatus.SERVICE_UNAVAILABLE,
                Answer("One cannot", ((JSON, json.GateJson), (PROBLEM, json.ProblemJson))),
            ),
        ),
        (
            Parameter("targets", list[TargetName], "Names; every target without it"),
            _LABEL,
            Parameter(
                "max_age",
                Annotated[str, Field(pattern=DURATION)],
                "A last probe that ended longer ago closes the gate: `90s`, `5m`",
            ),
            Parameter("strict", bool, "Whether a degraded target closes it too"),
        ),
        (_BAD, _NONE),
    ),
    Operation(
        "get",
        "/api/v1/incidents",
        "incidents",
        "Incidents: open ones, and the last that ended",
        "incidents",
        resource_answers(json.IncidentListJson),
        (
            Parameter("state", list[Literal["open", "ended"]], "In this state"),
            Parameter("target", list[str], "With one of these members"),
            *_PAGE,
        ),
        (_BAD,),
    ),
    Operation(
        "get",
        "/api/v1/incidents/{id}",
        "incident",
        "One incident in full",
        "incidents",
        resource_answers(json.IncidentDetailJson),
        (Parameter("id", str, "As the list has it", required=True),),
        (_NONE,),
    ),
    Operation(
        "get",
        "/badges/{name}/{kind}.svg",
        "badge",
        "A badge that shows a target's status, uptime or latency",
        "targets",
        _BADGE,
        (_NAME, *_BADGE_PARAMETERS),
        (_BAD, _NONE),
    ),
    Operation(
        "get",
        "/api/v1/history/targets/{name}/{kind}",
        "history",
        "What is kept of a target: results, changes of status, hours or days",
        "history",
        resource_answers(kept.KeptResultsJson | kept.KeptChangesJson | kept.KeptPeriodsJson),
        (
            _NAME,
            Parameter("kind", Literal["results", "changes", "hours", "days"], "Of what", required=True),
            *_SPAN,
        ),
        (_BAD, _NONE, HTTPStatus.CONFLICT),
    ),
    Operation(
        "get",
        "/api/v1/history/incidents",
        "history_incidents",
        "Incidents that are kept",
        "history",
        resource_answers(kept.KeptIncidentsJson),
        (Parameter("target", list[str], "With one of these members"), *_SPAN),
        (_BAD, HTTPStatus.CONFLICT),
    ),
    Operation(
        "get",
        "/public/badges/{name}/{kind}.svg",
        "public_badge",
        "A badge of the public page",
        "targets",
        (
            *_BADGE,
            (_BAD, Answer("A parameter is not understood", ((TEXT, str),))),
            (_NONE, Answer("There is none of that name", ((TEXT, str),))),
            (HTTPStatus.TOO_MANY_REQUESTS, Answer("This client asks too often", ((TEXT, str),))),
        ),
        (
            Parameter("name", str, "The name that the public page shows a target by", required=True),
            *_BADGE_PARAMETERS,
        ),
    ),
    Operation(
        "get",
        "/api/v1/events",
        "events",
        "What changes, as server-sent events for as long as the client listens",
        "monitor",
        ((HTTPStatus.OK, Answer("Events, each with JSON in `data`", (("text/event-stream", str),))),),
        (
            Parameter("events", list[EventName], "Only these"),
            Parameter("target", list[str], "Only what concerns these targets, and every result of theirs"),
        ),
        (_BAD,),
    ),
    *DECLARATION_OPERATIONS,
)
