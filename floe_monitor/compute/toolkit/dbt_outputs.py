"""From a target to an adapter's output in profiles.yml, and back: what every plugin does alike.

Writing keeps what was given, word for word, and credentials as the expressions that stand for them. Reading
takes an output apart into the keys of a target, and refuses by name what would be lost on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.compute.models import ComputeConfig
from floe_monitor.compute.toolkit.env_references import variable_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_OF_THE_TARGET = frozenset(ComputeConfig.model_fields)
_NOT_OF_THE_CONNECTION = frozenset({"type", "threads"})


class UnknownKeysError(ComputeConfigurationError):
    """An output has keys that its adapter ignores. The rest of it can be imported without them."""

    def __init__(self, message: str, keys: Iterable[str]) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


def field_of(model: type[ComputeConfig], key: str) -> str:
    """The name of the field behind a key of `connection` (`schema_` behind `schema`)."""
    if key in model.model_fields and model.model_fields[key].alias is None:
        return key
    return next((name for name, field in model.model_fields.items() if field.alias == key), key)


def written(config: ComputeConfig, key: str, default: Any = None) -> Any:
    """`key` as it was given in `connection`; where it was not, `default`, or the field's own default."""
    field = field_of(type(config), key)
    if field in config.model_fields_set:
        return config.connection.get(key, getattr(config, field))
    return getattr(config, field) if default is None else default


def secret_of(config: ComputeConfig, key: str) -> str | None:
    """The credential's value: for a profile that is the expression to write down."""
    secret = config.credentials.get(key)
    return None if secret is None else secret.get_secret_value()


def connection_without(secrets: Iterable[str], data: object) -> dict[str, Any]:
    """The `connection` in what a model is validated from, before that; empty where it has none.

    Raises `ValueError` that names the first of `secrets` in it: a literal one would go into the profile.
    """
    connection = data.get("connection") if isinstance(data, dict) else None
    if not isinstance(connection, dict):
        return {}
    for key in secrets:
        if key in connection:
            raise ValueError(f"{key} belongs under `credentials`, by reference")
    return connection


def secrets_apart(secrets: Iterable[str]) -> Any:
    """A validator of a configuration model, which refuses literal `secrets` in `connection`."""

    def refuse(data: Any) -> Any:
        connection_without(secrets, data)
        return data

    return model_validator(mode="before")(refuse)


def require_known(credentials: Iterable[str], known: Collection[str]) -> None:
    """Raises `ValueError` that names a credential which dbt's adapter has no use for."""
    unknown = sorted(set(credentials) - set(known))
    if unknown:
        raise ValueError(f"credentials: {unknown[0]} has no use; known: {', '.join(known)}")


def output_of(
    config: ComputeConfig,
    adapter: str,
    keys: Iterable[str],
    secrets: Collection[str],
    defaults: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The output's keys in that order, those without a value left out; `defaults` over the fields' own."""
    output: dict[str, Any] = {"type": adapter}
    for key in keys:
        value = secret_of(config, key) if key in secrets else written(config, key, (defaults or {}).get(key))
        if value is not None:
            output[key] = value
    return output


# ---------------------------------------------------------------- reading


def connection_of(output: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the output's keys that belong to `connection`, credentials among them still."""
    return {key: value for key, value in output.items() if key not in _NOT_OF_THE_CONNECTION}


def take_credentials(connection: dict[str, Any], keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Take those keys out of `connection`, as references. Empty ones are left out.

    Raises `ComputeConfigurationError` for a literal value.
    """
    taken = {key: connection.pop(key) for key in keys if key in connection}
    given = {key: value for key, value in taken.items() if value is not None and value != ""}
    return {key: reference_of(key, value) for key, value in given.items()}


def reference_of(key: str, value: object) -> dict[str, str]:
    """The reference that a plain `env_var` expression is; `ComputeConfigurationError` for anything else."""
    name = variable_of(value)
    if name is None:
        raise ComputeConfigurationError(
            f"{key} is no plain {{{{ env_var('NAME') }}}}: put it in an environment variable and name that"
        )
    return {"env": name}


def unknown_keys(
    connection: Mapping[str, Any], model: type[ComputeConfig], monitor_only: Collection[str] = ()
) -> list[str]:
    """Those that are no key of the model's, sorted; the monitor's own keys are none of an output's either."""
    known = {field.alias or name for name, field in model.model_fields.items()}
    known -= {*monitor_only, *_OF_THE_TARGET}
    return sorted(str(key) for key in connection if key not in known)


def target_of(
    output: Mapping[str, Any],
    connection: Mapping[str, Any],
    credentials: Mapping[str, Any],
    unset: Iterable[str] = (),
) -> dict[str, Any]:
    """The keys of a target. `unset` are those that a new target writes by default: an imported output without
    them stays without."""
    given = {key: value for key, value in connection.items() if value is not None}
    given |= dict.fromkeys(key for key in unset if key not in given)
    found: dict[str, Any] = {"threads": output.get("threads", 1), "connection": given}
    return {**found, "credentials": dict(credentials)} if credentials else found
