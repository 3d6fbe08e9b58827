"""ConfigMaps and Secrets as the API server has them: what volumes and variables are made of."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Kind = Literal["ConfigMap", "Secret"]


class MissingObjectError(LookupError):
    """A ConfigMap, a Secret or a key of one that is not optional: the container does not start."""


class Objects:
    """By kind and name, of one namespace. Applied again, one is replaced; pods see it at their next sync."""

    def __init__(self, manifests: Iterable[Mapping[str, Any]] = ()) -> None:
        self._data: dict[tuple[str, str], dict[str, bytes]] = {}
        for each in manifests:
            if each["kind"] in {"ConfigMap", "Secret"}:
                self.apply(each)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Raises `ValueError` for another kind."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        plain, encoded = _FIELDS[kind] if kind in _FIELDS else _refuse(kind)
        self._data[kind, name] = {
            **{key: base64.b64decode(value) for key, value in (manifest.get(encoded) or {}).items()},
            **{key: value.encode() for key, value in (manifest.get(plain) or {}).items()},
        }

    def data(self, kind: Kind, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """Raises `MissingObjectError`; empty where it may be missing."""
        found = self._data.get((kind, name))
        if found is None and not optional:
            raise MissingObjectError(f"{kind} {name!r} not found")
        return found or {}

    def value(self, kind: Kind, name: str, key: str, *, optional: bool = False) -> str | None:
        """Raises `MissingObjectError`; None where it may be missing."""
        found = self.data(kind, name, optional=optional).get(key)
        if found is None and not optional:
            raise MissingObjectError(f"{kind} {name!r} has no key {key!r}")
        return None if found is None else found.decode()


_FIELDS = {"ConfigMap": ("data", "binaryData"), "Secret": ("stringData", "data")}
"""Of each kind: the field with texts, and that in base64."""


def _refuse(kind: str) -> tuple[str, str]:
    raise ValueError(f"neither ConfigMap nor Secret: {kind}")
