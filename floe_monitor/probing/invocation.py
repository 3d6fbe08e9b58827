"""Calls a plugin's validation in its worker, and turns what it raises into an error type and a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from floe_monitor.compute.errors import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    MonitorResourceError,
    resource_error_in,
)
from floe_monitor.compute.evidence import earliest
from floe_monitor.compute.models import ErrorType, Expiry, ExpiryKind
from floe_monitor.compute.toolkit import web_tokens
from floe_monitor.registry.foreign_plugin import ContractError, adapt_result, clean_text, describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute.models import ComputeConfig, ConnectionResult
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.credentials.resolver import Resolved

_BY_CLASS_NAME = {
    # Upstream's plugins raise classes of their own under the seed's names.
    ComputeConnectionError.__name__: ErrorType.CONNECTION,
    ComputeTimeoutError.__name__: ErrorType.TIMEOUT,
    ComputeConfigurationError.__name__: ErrorType.CONFIGURATION,
    TimeoutError.__name__: ErrorType.TIMEOUT,
    ConnectionError.__name__: ErrorType.CONNECTION,
}


class RaisedError(Exception):
    """What a plugin raised, described and scrubbed in its worker, where its traceback stays too."""

    def __init__(self, text: str, error_type: ErrorType) -> None:
        super().__init__(text)
        self.text = text
        self.error_type = error_type


def validate_with(
    plugin: ComputePlugin[Any], resolved: Resolved, distribution: str | None
) -> ConnectionResult:
    """The plugin's result, cleaned. Raises `RaisedError`, or `MonitorResourceError` for a shortage of the
    monitor's own, alone: no exception's own code reaches the loop."""
    try:
        result = adapt_result(plugin.validate_connection(resolved.config), resolved.redactor)
        tokens = tuple(token_expiries(resolved.config))
        return replace(result, expiries=earliest((*result.expiries, *tokens))) if tokens else result
    except ContractError as error:
        raise RaisedError(clean_text(str(error), resolved.redactor), ErrorType.PLUGIN) from None
    except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin is a result too
        shortage = resource_error_in(error)
        if shortage is not None:
            raise MonitorResourceError(str(shortage)) from None
        raise RaisedError(error_text(error, distribution, resolved.redactor), error_type_of(error)) from None


def token_expiries(config: ComputeConfig) -> Iterator[Expiry]:
    """When the web tokens end that the target is configured with, whatever its plugin does with them.

    What is fetched at each login, as by a client's secret, is in no configuration: it is renewed by itself.
    """
    for name, value in (*_texts(config.credentials, "credentials"), *_texts(config.connection, "connection")):
        at = web_tokens.valid_until(value)
        if at is not None:
            yield Expiry(ExpiryKind.TOKEN, at, f"the token in {name}")


def _texts(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, SecretStr):
        yield name, value.get_secret_value()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, name)


def error_type_of(error: BaseException) -> ErrorType:
    """The error's own type where it names one, else by its class; `plugin` for any other."""
    own = getattr(type(error), "error_type", None)
    if isinstance(own, ErrorType):
        return own
    for ancestor in type(error).__mro__:
        known = _BY_CLASS_NAME.get(ancestor.__name__)
        if known is not None:
            return known
    return ErrorType.PLUGIN


def error_text(
    error: BaseException, distribution: str | None, redact: Callable[[str], str] | None = None
) -> str:
    """Its class and text; for a driver that is not installed, what to install."""
    if isinstance(error, ModuleNotFoundError) and error.name and distribution:
        module = clean_text(error.name, redact, 120)
        return f"module {module} is not installed: install {distribution} with its dependencies"
    return describe_error(error, redact)
