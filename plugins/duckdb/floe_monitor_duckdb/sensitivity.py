"""Which of the values that a target gives to DuckDB are credentials, by their keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SENSITIVE = re.compile(
    r"secret$|token$|password|passwd|credential$|_key$|connection_string|private", re.IGNORECASE
)
_NAMES = frozenset({"secret", "meta_secret"})
_NOT_SENSITIVE = frozenset({"type", "name", "provider", "persistent", "scope", "secret_type"})


def sensitive_texts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts under sensitive keys, with the keys that lead to them; an item of a list has the list's."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from sensitive_texts(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from sensitive_texts(item, path)
    elif path and is_sensitive(path) and isinstance(value, str):
        yield path, value


def is_sensitive(path: Iterable[str]) -> bool:
    """Whether the last of these keys holds a credential; `secret` in an `attach` is the name of one.

    So is DuckLake's `meta_secret`, in its options.
    """
    *parents, key = path
    if key in _NOT_SENSITIVE or (parents and parents[-1] == "attach"):
        return False
    if parents[-2:] == ["attach", "options"] and key.lower() in _NAMES:
        return False
    return bool(_SENSITIVE.search(key))
