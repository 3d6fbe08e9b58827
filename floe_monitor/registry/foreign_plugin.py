"""What plugins return, turned into this contract's values: bounded, clean, and never trusted.

A plugin may be upstream's, with a result type of its own, or faulty, with a megabyte of binary for a message.
What leaves this module is safe to log, to label with and to encode. The accessors at the end answer for
plugins that lack what this contract has beyond upstream's.
"""

from __future__ import annotations

import contextlib
import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, TypeVar

from floe_monitor.compute.errors import ComputeConfigurationError, resource_error_in
from floe_monitor.compute.evidence import MOST_STATES, Noted, earliest
from floe_monitor.compute.models import (
    CatalogConfig,
    CheckResult,
    ConnectionResult,
    ConnectionStatus,
    EngineState,
    ErrorType,
    Expiry,
    ExpiryKind,
    ObservedState,
    ResourceSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin

E = TypeVar("E", bound=Enum)

MAX_TEXT = 2_000
"""Characters of a message or a warning."""
MAX_ITEMS = 50
"""Checks, and warnings, of one result."""
MAX_LATENCY_MS = 7 * 86_400_000.0
CHECK_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}(?::[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79})?")

MAX_NAME = 255
"""Characters of a server's name, and of what an expiry is said to be of."""
LATEST = 253_402_300_799.0
"""The last second of the year 9999, which certificates have for never."""

_READ = 65_536  # characters of a text that are looked at
_TAIL = 16_384  # of those, what is dropped from a longer text: it may end inside a secret
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class ContractError(Exception):
    """A plugin returned something that is no result. The text names the fault, never a value."""


def clean_text(value: object, redact: Callable[[str], str] | None = None, limit: int = MAX_TEXT) -> str:
    """`value` as one line of printable text of at most `limit` characters.

    `redact` sees the text before it is cut or changed, so that no part of a secret survives at the edge; it
    looks through colours and control characters by itself.
    """
    text = _as_text(value)
    if len(text) > _READ:
        text = text[:_READ]
        text = (redact(text) if redact else text)[:-_TAIL]
    elif redact:
        text = redact(text)
    if not text.isprintable():
        text = _ANSI.sub("", text)
        text = _SURROGATE.sub("\ufffd", text)
        text = _UNPRINTABLE.sub(" ", text)
        text = " ".join(text.split())
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def describe_error(error: BaseException, redact: Callable[[str], str] | None = None, limit: int = 500) -> str:
    """An exception as `Class: text`, clean and bounded, whatever its `__str__` does."""
    kind = clean_text(type(error).__name__, redact, 120)  # a class made at run time may be called anything
    try:
        text = clean_text(str(error), redact, limit)
    except BaseException:  # noqa: BLE001 - __str__ is the plugin's code
        text = ""
    return f"{kind}: {text}" if text else kind


def adapt_result(value: object, redact: Callable[[str], str] | None = None) -> ConnectionResult:
    """A plugin's result as ours. Raises `ContractError` where it is none.

    Accepts any object with a `status` that is one of the three words or an enum of them; everything else is
    optional and is cut, cleaned or dropped rather than refused. An UNHEALTHY result without an error type
    gets its first failed check's, else `connection`.
    """
    try:
        status = _required_status(value, "validate_connection returned", "a result")
        checks = adapt_checks(getattr(value, "checks", ()), redact)
        error_type = _member(ErrorType, getattr(value, "error_type", None))
        if status is ConnectionStatus.HEALTHY:
            error_type = None
        elif error_type is None and status is ConnectionStatus.UNHEALTHY:
            named = (check.error_type for check in checks if check.status is ConnectionStatus.UNHEALTHY)
            error_type = next((kind for kind in named if kind is not None), ErrorType.CONNECTION)
        return ConnectionResult(
            status=status,
            latency_ms=_milliseconds(getattr(value, "latency_ms", 0.0)),
            message=clean_text(getattr(value, "message", ""), redact),
            warnings=_warnings(getattr(value, "warnings", ()), redact),
            checks=checks,
            error_type=error_type,
            server_address=clean_text(getattr(value, "server_address", ""), redact, MAX_NAME),
            expiries=_expiries(getattr(value, "expiries", ()), redact),
            engine_states=_engine_states(getattr(value, "engine_states", ())),
        )
    except ContractError:
        raise
    except Exception as error:  # noqa: BLE001 - attributes and texts may run the plugin's code
        raise ContractError(f"reading the result raised {type(error).__name__}") from None


def adapt_checks(value: object, redact: Callable[[str], str] | None = None) -> tuple[CheckResult, ...]:
    """The checks of a result, or of a validation that never returned one, with distinct well-formed names."""
    if not isinstance(value, list | tuple):
        return ()
    checks: list[CheckResult] = []
    names: set[str] = set()
    for item in value[:MAX_ITEMS]:
        status = _required_status(item, "among the checks is", "a check")
        healthy = status is ConnectionStatus.HEALTHY
        checks.append(
            CheckResult(
                name=_unique(_check_name(getattr(item, "name", ""), redact), names),
                status=status,
                latency_ms=_milliseconds(getattr(item, "latency_ms", 0.0)),
                message=clean_text(getattr(item, "message", ""), redact),
                error_type=None if healthy else _member(ErrorType, getattr(item, "error_type", None)),
                started_ms=_milliseconds(getattr(item, "started_ms", 0.0)),
            )
        )
    return tuple(checks)


def adapt_noted(value: Noted, redact: Callable[[str], str] | None = None) -> Noted:
    """What a validation had noted that never returned a result."""
    address = clean_text(value.server_address, redact, MAX_NAME)
    return Noted(address, _expiries(value.expiries, redact), _engine_states(value.engine_states))


def _expiries(value: object, redact: Callable[[str], str] | None) -> tuple[Expiry, ...]:
    """Those that say what ends, and when, before the end of time; of each kind the earliest."""
    if not isinstance(value, list | tuple):
        return ()
    found = []
    for item in value[:MAX_ITEMS]:
        what, at = _member(ExpiryKind, getattr(item, "what", None)), getattr(item, "at", None)
        if what is None or not _is_unix_time(at):
            continue
        found.append(Expiry(what, float(at), clean_text(getattr(item, "of", ""), redact, MAX_NAME)))
    return earliest(found)


def _engine_states(value: object) -> tuple[ObservedState, ...]:
    if not isinstance(value, list | tuple):
        return ()
    found = []
    for item in value[:MOST_STATES]:
        state, at = _member(EngineState, getattr(item, "state", None)), getattr(item, "at", None)
        if state is not None and _is_unix_time(at):
            found.append(ObservedState(state, float(at)))
    return tuple(found)


def _is_unix_time(value: object) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < LATEST


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: 4 * _READ]).decode("utf-8", "replace")
    return value if type(value) is str else str(value)


def _required_status(value: object, lead: str, wanted: str) -> ConnectionStatus:
    status = _member(ConnectionStatus, getattr(value, "status", None))
    if status is None:
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise ContractError(f"{lead} {kind}, not {wanted} with a status")
    return status


def _member(kind: type[E], value: object) -> E | None:
    """Of the enumeration, be it given as a word, or by another enumeration that has the same one."""
    if isinstance(value, kind):
        return value
    word = value.value if isinstance(value, Enum) else value
    try:
        return kind(word.lower()) if isinstance(word, str) else None
    except ValueError:
        return None


def _milliseconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return min(max(number, 0.0), MAX_LATENCY_MS) if math.isfinite(number) else 0.0


def _warnings(value: object, redact: Callable[[str], str] | None) -> list[str]:
    if not isinstance(value, list | tuple):
        # A lone text is one warning. Other iterables are left alone: some never end.
        value = [value] if isinstance(value, str | bytes) and value else []
    texts = [clean_text(item, redact) for item in value[:MAX_ITEMS]]
    if len(value) > MAX_ITEMS:
        texts[-1] = f"… and {len(value) - MAX_ITEMS + 1} more"
    return [text for text in texts if text]


def _check_name(value: object, redact: Callable[[str], str] | None) -> str:
    name = clean_text(value, redact, 120)
    if CHECK_NAME.fullmatch(name):
        return name
    word, colon, instance = name.partition(":")
    word = re.sub(r"[^a-z0-9_]+", "_", word.lower()).lstrip("_0123456789")[:40] or "check"
    instance = re.sub(r"[^A-Za-z0-9_.\-]+", "_", instance).lstrip(".-")[:80]
    return f"{word}:{instance}" if colon and instance else word


def _unique(name: str, taken: set[str]) -> str:
    """Names become label values, and two series of one name break a scrape."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    taken.add(candidate)
    return candidate


# ---------------------------------------------------------------- what a plugin may lack


def default_isolation(
    plugin: ComputePlugin[Any], config: ComputeConfig | None = None
) -> Literal["thread", "process"]:
    """Of a target, where its configuration is known and the plugin has an opinion on it."""
    asked = getattr(plugin, "get_default_isolation", None)
    if config is not None and callable(asked):
        with contextlib.suppress(Exception):
            return "process" if asked(config) == "process" else "thread"
    return "process" if getattr(plugin, "default_isolation", "thread") == "process" else "thread"


def prepare(plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
    """Have the plugin do what it does once; whatever that raises, the validation that follows reports.

    Raises `MonitorResourceError` where the monitor was short of something: it has to be done again.
    """
    preparing = getattr(plugin, "prepare", None)
    if callable(preparing):
        try:
            preparing(config)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises
            shortage = resource_error_in(error)
            if shortage is not None:
                raise shortage from None


def shut_down(plugin: ComputePlugin[Any]) -> None:
    ending = getattr(plugin, "shutdown", None)
    if callable(ending):
        with contextlib.suppress(Exception):
            ending()


def db_system_name(plugin: ComputePlugin[Any]) -> str:
    """OpenTelemetry's `db.system.name`; the plugin's name where it gives none."""
    return _declared(plugin, "db_system_name")


def adapter_type(plugin: ComputePlugin[Any]) -> str:
    """dbt's adapter; the plugin's name where it gives none."""
    return _declared(plugin, "adapter_type")


def _declared(plugin: ComputePlugin[Any], attribute: str) -> str:
    value: Any = None
    with contextlib.suppress(Exception):  # a property runs the plugin's code
        value = getattr(plugin, attribute, None)
    return clean_text(value, limit=64) if isinstance(value, str) and value else plugin.name


def resource_keys(plugin: ComputePlugin[Any]) -> dict[str, tuple[str, ...]]:
    """Keys of its configuration by the kind of what they name; none where it does not say."""
    declared: Any = None
    with contextlib.suppress(Exception):  # a property runs the plugin's code
        declared = dict(getattr(plugin, "resource_keys", {}))
    found: dict[str, tuple[str, ...]] = {}
    for kind, keys in (declared or {}).items():
        if isinstance(keys, list | tuple) and all(isinstance(key, str) for key in keys):
            found[str(kind)] = tuple(keys)
    return found


def config_schema(plugin: ComputePlugin[Any]) -> type[BaseModel] | None:
    getter = getattr(plugin, "get_config_schema", None)
    return getter() if getter is not None else None


def catalog_configs(plugin: ComputePlugin[Any], config: ComputeConfig) -> list[CatalogConfig]:
    """The catalogs that the target's own configuration attaches; none for a plugin without that method."""
    getter = getattr(plugin, "get_catalog_configs", None)
    return list(getter(config)) if getter is not None else []


def catalog_attachment_sql(plugin: ComputePlugin[Any], catalog: CatalogConfig) -> list[str] | None:
    getter = getattr(plugin, "get_catalog_attachment_sql", None)
    statements = getter(catalog) if getter is not None else None
    if statements is None:
        return None
    if not isinstance(statements, list | tuple) or not all(isinstance(line, str) for line in statements):
        raise ContractError("get_catalog_attachment_sql returned no list of statements")
    return list(statements)


def resource_requirements(plugin: ComputePlugin[Any], workload_size: str) -> ResourceSpec:
    """The plugin's spec as ours; upstream's has the same fields. `ValueError` for an unknown size."""
    spec: Any = plugin.get_resource_requirements(workload_size)
    if isinstance(spec, ResourceSpec):
        return spec
    return ResourceSpec.model_validate(spec, from_attributes=True)


def import_dbt_output(plugin: ComputePlugin[Any], output: dict[str, Any]) -> dict[str, Any]:
    """The keys of a target read from an adapter's output; `ComputeConfigurationError` where it cannot."""
    reader = getattr(plugin, "import_dbt_output", None)
    if reader is None:
        raise ComputeConfigurationError(f"the {plugin.name} plugin cannot import profiles")
    imported: dict[str, Any] = reader(output)
    return imported
