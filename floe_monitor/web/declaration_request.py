"""What a request declares, in JSON or as a form of the page sends it; and what of that cannot be."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from floe_monitor.domain.declarations import LONGEST_ANNOUNCEMENT, LONGEST_MAINTENANCE
from floe_monitor.settings.durations import parse_duration
from floe_monitor.web.responses import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

FORM = "application/x-www-form-urlencoded"
_Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


def _with_unit(value: Any) -> float:
    if not isinstance(value, str) or not value[-1:].isalpha():
        raise ValueError("write a duration with its unit: 90m, 2h")
    return parse_duration(value)


_Duration = Annotated[
    float,
    BeforeValidator(_with_unit),
    WithJsonSchema({"type": "string", "pattern": "^([1-9][0-9]{0,3}[sm]|[1-9][0-9]?h|[1-9]d)$"}),
]
"""Less than what is understood: `1h30m` is too."""
_Author = Annotated[str, Field(max_length=100)]


OF_WHICH = ("targets", "labels", "all")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _of_which(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [key]} for key in OF_WHICH]
    for key in OF_WHICH:
        schema["properties"][key].pop("default", None)


class MaintenanceRequest(_Body):
    """Of `targets`, of those with all `labels`, or of `all`: one of the three."""

    model_config = ConfigDict(json_schema_extra=_of_which)

    targets: Annotated[list[str], Field(min_length=1, max_length=1_000)] | SkipJsonSchema[None] = None
    labels: Annotated[dict[str, str], Field(min_length=1, max_length=20)] | SkipJsonSchema[None] = None
    all: Literal[True] | SkipJsonSchema[None] = None
    begins_at: AwareDatetime | None = Field(default=None, description="Now, without it")
    duration: _Duration = Field(ge=1, le=LONGEST_MAINTENANCE, description="How long it lasts: 2h")
    reason: _Line
    author: _Author = Field(default="", description="The credential's name without it")

    @model_validator(mode="after")
    def _one_of_three(self) -> MaintenanceRequest:
        given = [key for key in OF_WHICH if key in self.model_fields_set]
        if len(given) != 1 or getattr(self, given[0]) is None:
            raise ValueError("say of which targets: one of `targets`, `labels` and `all`")
        return self


class AnnouncementRequest(_Body):
    text: _Line
    duration: _Duration = Field(ge=1, le=LONGEST_ANNOUNCEMENT, description="How long it stands: 2h")
    author: _Author = Field(default="", description="The credential's name without it")
    public: bool = Field(default=False, description="On the public page too")


B = TypeVar("B", bound=_Body)


async def read_body(request: Request, model: type[B]) -> B:
    """`ProblemError` 415 for another media type, 422 with `problems` for what is not understood."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if media == FORM:
        body = _from_form(body)
    elif media != "application/json":
        problem = f"send application/json, not {media[:64] or 'nothing'!r}"
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = [
            _describe_error(each) for each in error.errors(include_url=False, include_context=False)[:20]
        ]
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"this was not understood: {problems[0]}", problems=problems
        ) from None


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(FORM)


def _from_form(body: bytes) -> bytes:
    """Of one line each; fields left empty are not there. The other way round a number could be a text."""
    values: dict[str, Any] = {}
    try:
        fields = parse_qsl(body.decode(), max_num_fields=50)
    except ValueError:
        fields = []
    for key, value in fields:
        text = value.strip()
        if not text:
            continue
        if key in ("all", "public"):  # a box that is not ticked is not sent
            values[key] = True
        elif key == "targets":
            values.setdefault(key, []).extend(filter(None, map(str.strip, text.split(","))))
        elif key == "labels":
            pairs = (each.partition("=") for each in text.split(","))
            values[key] = {name.strip(): label.strip() for name, _, label in pairs}
        else:
            values[key] = text
    return json.dumps(values).encode()


def _describe_error(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))[:100]
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
