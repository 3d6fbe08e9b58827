"""What can be asked for over HTTP: each route with its parameters and the types of its answers.

The OpenAPI document is made of this table; a test holds it and the routes of the application equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from floe_monitor.domain import json_types as json
from floe_monitor.domain.health import StatusWord
from floe_monitor.web.event_stream import EventName
from floe_monitor.web.target_query import MOST

JSON, TEXT, PROBLEM = "application/json", "text/plain", "application/problem+json"
DURATION = r"^([0-9]{1,4}(ms|s|m)|[0-9]{1,3}h|[0-9]{1,2}d)$"
"""Less than what is understood: `1m30s` is too."""

Whole = Annotated[int, Field(ge=0, le=MOST)]
FieldNames = Annotated[
    list[str], WithJsonSchema({"type": "array", "items": {"enum": list(json.TargetJson.__annotations__)}})
]
TargetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]")]
"""As names begin: commas and spaces alone are none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is what pydantic describes; in a query unless its name stands in the path."""

    name: str
    type: Any
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`bodies` by media type; none where there is no body."""

    description: str
    bodies: tuple[tuple[str, Any], ...] = ()
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """`problems` are the statuses that it may answer with a problem object, those of every route apart."""

    method: Literal["get", "post", "delete"]
    path: str
    name: str
    summary: str
    tag: str
    answers: tuple[tuple[HTTPStatus, Answer], ...]
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[HTTPStatus, ...] = ()
    body: Any = None
    open: bool = False
    """Whether it never wants a credential."""


def found(type_: Any, description: str = "What was asked for") -> tuple[tuple[HTTPStatus, Answer], ...]:
    """Of a resource with an ETag."""
    return (
        (HTTPStatus.OK, Answer(description, ((JSON, type_),), ("ETag",))),
        (HTTPStatus.NOT_MODIFIED, Answer("It is what If-None-Match names", (), ("ETag",))),
    )


def told(type_: Any, description: str = "What was asked for") -> tuple[tuple[HTTPStatus, Answer], ...]:
    """Of what holds at this moment, or came of an act."""
    return ((HTTPStatus.OK, Answer(description, ((JSON, type_),))),)


_VERDICT = ((TEXT, str), (JSON, json.VerdictJson))
_NAME = Parameter("name", str, "A target's name", required=True)
_PAGE = (
    Parameter("limit", Whole, "At most so many rows"),
    Parameter("offset", Whole, "Without so many rows before"),
)
_LABEL = Parameter("label", list[str], "`key` or `key=value`; all of them must match")
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
        found(dict[str, Any]),
    ),
    Operation("get", "/api/v1/status", "status", "The monitor itself", "monitor", told(json.StatusJson)),
    Operation(
        "post",
        "/-/reload",
        "reload",
        "Load the configuration again",
        "monitor",
        told(json.ReloadedJson, "The new configuration is in force"),
        problems=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    ),
    Operation(
        "get",
        "/api/v1/targets",
        "targets",
        "Targets and what is known of them now",
        "targets",
        found(json.TargetListJson),
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
        found(json.TargetDetailJson),
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
        found(json.IncidentListJson),
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
        found(json.IncidentDetailJson),
        (Parameter("id", str, "As the list has it", required=True),),
        (_NONE,),
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
)
