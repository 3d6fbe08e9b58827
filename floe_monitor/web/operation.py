"""How an operation of the HTTP API is described."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

JSON, TEXT, PROBLEM, SVG = "application/json", "text/plain", "application/problem+json", "image/svg+xml"


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


Answers = tuple[tuple[HTTPStatus, Answer], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """`problems` are the statuses that it may answer with a problem object, those of every route apart."""

    method: Literal["get", "post", "delete"]
    path: str
    name: str
    summary: str
    tag: str
    answers: Answers
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[HTTPStatus, ...] = ()
    body: Any = None
    open: bool = False
    """Whether it never wants a credential."""


def resource_answers(type_: Any, description: str = "What was asked for") -> Answers:
    """Of a resource with an ETag."""
    return (
        (HTTPStatus.OK, Answer(description, ((JSON, type_),), ("ETag",))),
        (HTTPStatus.NOT_MODIFIED, Answer("It is what If-None-Match names", (), ("ETag",))),
    )


def plain_answers(type_: Any, description: str = "What was asked for") -> Answers:
    """Of what holds at this moment, or came of an act."""
    return ((HTTPStatus.OK, Answer(description, ((JSON, type_),))),)
