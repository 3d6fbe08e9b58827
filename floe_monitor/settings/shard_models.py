"""`shard`: which part of the targets this monitor watches, where several share them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from floe_monitor.settings.fields import Model, VariableName

LARGEST = 10_000
_FORM = "must be a number, or {env: NAME} of a variable that holds one or ends in one"


class ShardVariable(Model):
    """Where the ordinal is found: a number, or a name that ends in `-` and a number."""

    env: VariableName = Field(description="Variable with the ordinal, or with a pod's name")


def _index(value: Any) -> int | ShardVariable:
    if isinstance(value, ShardVariable):
        return value
    if isinstance(value, dict) and value.keys() == {"env"}:
        return ShardVariable.model_validate(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)  # an environment variable
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST:
        return value
    raise ValueError(_FORM)


ShardIndex = Annotated[
    ShardVariable | int,
    PlainValidator(_index),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "exclusiveMaximum": LARGEST},
                {
                    "type": "object",
                    "properties": {"env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
                    "required": ["env"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class ShardSettings(Model):
    """Every shard has the same configuration but for `index`."""

    index: ShardIndex | None = Field(
        default=None,
        description="This monitor's ordinal, from 0: a number, or {env: NAME} of a variable with one or "
        "with a name that ends in one; unset: the number at the end of the host name",
    )
    count: int = Field(ge=1, le=LARGEST, description="Shards in all")
    replicas: int = Field(default=1, ge=1, le=LARGEST, description="Shards that watch each target")
