"""The OpenAPI document of the HTTP API: made of the table of operations, served beside them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from starlette.routing import Route

from floe_monitor.domain import json_types
from floe_monitor.domain.serialization import encode
from floe_monitor.web.operation import PROBLEM
from floe_monitor.web.operations import OPERATIONS
from floe_monitor.web.responses import conditional_response, represent, wants_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.web.operation import Answer, Operation, Parameter
    from floe_monitor.web.responses import Representation

PATH = "/api/v1/openapi.json"
_REFERENCE = "#/components/schemas/{model}"
_OF_EVERY_ROUTE = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "A parameter is not understood",
    HTTPStatus.UNAUTHORIZED: "A credential is missing, wrong or at its end",
    HTTPStatus.FORBIDDEN: "The credential lacks the scope, or a page of another site asked",
    HTTPStatus.NOT_FOUND: "There is none of that name",
    HTTPStatus.CONFLICT: "It cannot be done now",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of another media type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "It was refused, and nothing has changed",
    HTTPStatus.TOO_MANY_REQUESTS: "This client asks too often: `Retry-After` says when to come again",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too much is under way, or the monitor lacks a thread or descriptor",
}


def build_document() -> dict[str, Any]:
    """Takes some ten milliseconds of CPU."""
    schemas, definitions = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, schemas)
    problems = {
        status.phrase.title().replace(" ", ""): _problem(status, schemas) for status in sorted(_MEANINGS)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "floe-monitor",
            "version": "1",  # of the API, as its paths have it
            "summary": "Health of the compute engines under a dbt platform",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "../../", "description": "Where this document was found"}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": problems,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "user": {"type": "http", "scheme": "basic"},
            },
        },
    }


class OpenApi:
    """The document is made once, for the first who asks."""

    def __init__(self) -> None:
        self._made: dict[bool, Representation] = {}

    def routes(self) -> list[Route]:
        return [Route(PATH, self.document)]

    async def document(self, request: Request) -> Response:
        compressed = wants_gzip(request)
        if compressed not in self._made:
            self._made[compressed] = await anyio.to_thread.run_sync(_represent, compressed)
        return conditional_response(request, self._made[compressed], "application/json")


def _represent(compressed: bool) -> Representation:
    return represent(encode(build_document()), gzip_accepted=compressed)


class _Plain(GenerateJsonSchema):
    """Without a title for each field, which repeats its name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's own signature
        return False


def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """What to write for each type of the table, and the definitions that those refer to."""
    bodies = {_key(operation.body) for operation in OPERATIONS}
    types = {_key(each): each for operation in OPERATIONS for each in _types(operation)}
    adapters: list[tuple[Any, Any, TypeAdapter[Any]]] = [
        (key, "validation" if key in bodies else "serialization", TypeAdapter(each))
        for key, each in types.items()
    ]
    found, shared = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE, schema_generator=_Plain)
    definitions = shared["$defs"]
    # With `fields` a row of the list has any part of the keys.
    part = definitions["TargetPartJson"] = {**definitions["TargetJson"], "title": "TargetPartJson"}
    part.pop("required")
    rows = definitions["TargetListJson"]["properties"]["targets"]
    rows["items"] = {"$ref": _REFERENCE.format(model="TargetPartJson")}
    return {key: schema for (key, _), schema in found.items()}, dict(sorted(definitions.items()))


def _key(each: object) -> str:
    return repr(each)


def _types(operation: Operation) -> Iterator[Any]:
    yield json_types.ProblemJson
    for parameter in operation.parameters:
        yield parameter.type
    if operation.body is not None:
        yield operation.body
    for _, answer in operation.answers:
        for _, body in answer.bodies:
            yield body


def _operation(operation: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    answers = {str(status.value): _answer(answer, schemas) for status, answer in operation.answers}
    for status in (*operation.problems, *(() if operation.open else _OF_EVERY_ROUTE)):
        reference = f"#/components/responses/{status.phrase.title().replace(' ', '')}"
        answers.setdefault(str(status.value), {"$ref": reference})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [_parameter(each, operation.path, schemas) for each in operation.parameters],
        "responses": dict(sorted(answers.items())),
        # Whether one is wanted depends on the listener.
        "security": [] if operation.open else [{}, {"token": []}, {"user": []}],
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schemas[_key(operation.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(parameter: Parameter, path: str, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "path" if f"{{{parameter.name}}}" in path else "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": schemas[_key(parameter.type)],
    }


def _answer(answer: Answer, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    if answer.bodies:
        described["content"] = {media: {"schema": schemas[_key(body)]} for media, body in answer.bodies}
    return described


def _problem(status: HTTPStatus, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    return {
        "description": _MEANINGS[status],
        "content": {PROBLEM: {"schema": schemas[_key(json_types.ProblemJson)]}},
    }
