"""The settings of dbt's session: what dbt-clickhouse sends with each statement, as its drivers write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor_clickhouse.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_clickhouse.config import ClickHouseConfig

_ALWAYS = {
    "mutations_sync": "3",
    "lightweight_deletes_sync": "3",
    "alter_sync": "3",
    "insert_distributed_sync": "1",
}
_OF_REPLICATED = {"database_replicated_enforce_synchronous_settings": "1", "insert_quorum": "auto"}
_OF_SHARED = {"select_sequential_consistency": "1"}
_NO_SETTINGS = frozenset(
    {
        "database", "buffer_size", "session_id", "compress", "decompress", "session_timeout", "session_check",
        "query_id", "quota_key", "wait_end_of_query", "client_protocol_version", "role",
    }
)  # fmt: skip
"""Parameters of the HTTP interface, which dbt's driver passes on as they are."""
_RESERVED = frozenset({"query", "user", "password", "default_format", "stacktrace", "close_session"})
_OPTIONAL = frozenset(
    {"send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression"}
)


def dbt_settings(config: ClickHouseConfig) -> dict[str, Any]:
    """But for `session_id`: a session would stay with the server for a minute."""
    settings = dict(config.custom_settings or {})
    added = dict(_ALWAYS)
    if config.cluster_mode or config.database_engine == "Replicated":
        added |= _OF_REPLICATED
    if config.database_engine == "Shared":
        added |= _OF_SHARED
    return {**added, **settings}


def http_parameters(settings: Mapping[str, Any], known: Mapping[str, tuple[str, bool]]) -> dict[str, str]:
    """What dbt's HTTP driver makes of them, by the server's own values and whether each is read-only.

    Raises `SettingError` where it would refuse one itself.
    """
    sent = {}
    for name, value in settings.items():
        text = _literal(value) if isinstance(value, dict | list | tuple) else str(value)
        compared = {True: "1", False: "0"}.get(value, text) if isinstance(value, bool) else text
        if name not in _NO_SETTINGS:
            current, readonly = known.get(name, (None, False))
            if current is None and (name in _RESERVED or name.startswith("param_")):
                raise SettingError(
                    f"custom_settings: {name} is a parameter of the HTTP interface, no setting"
                )
            if name in _OPTIONAL and (current is None or readonly):
                continue
            if readonly and current == compared:
                continue
            if readonly:
                raise SettingError(
                    f"the user may not change setting {name}, which dbt sets to {compared} (now {current}): "
                    "the profile is read-only (readonly), or the setting is constant in it"
                )
        sent[name] = text
    return sent


def native_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}


def _literal(value: Any) -> str:
    """As ClickHouse writes maps and arrays."""
    if isinstance(value, dict):
        pairs = (f"{_literal(key)}: {_literal(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)
