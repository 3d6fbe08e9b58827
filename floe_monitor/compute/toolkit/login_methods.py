"""The methods by which an adapter logs in: which keys each reads, and which a probe cannot use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.errors import ComputeConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.models import ComputeConfig


@dataclass(frozen=True, slots=True)
class LoginMethods:
    """`keys` of the login by method; `refused` are those that a probe cannot use, each with its reason."""

    keys: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, str]

    def require_usable(self, method: object) -> None:
        """Raises `ValueError` with the reason; for a validator of the key."""
        if reason := self._reason(method):
            raise ValueError(f"a probe cannot use it: {reason}")

    def require_importable(self, method: object) -> None:
        """Raises `ComputeConfigurationError` with the method and the reason."""
        if reason := self._reason(method):
            raise ComputeConfigurationError(f"method {method}: a probe cannot use it: {reason}")

    def keys_given(self, config: ComputeConfig) -> set[str]:
        """Of every method's: the credentials and the fields that have a value."""
        return {key for key in self._all() if key in config.credentials or getattr(config, key, None)}

    def keys_of_others(self, method: object) -> frozenset[str]:
        """Those that this method does not read; none where nobody knows the method."""
        own = self.keys.get(method) if isinstance(method, str) else None
        return frozenset() if own is None else self._all() - set(own)

    def _all(self) -> frozenset[str]:
        return frozenset(key for keys in self.keys.values() for key in keys)

    def _reason(self, method: object) -> str | None:
        return self.refused.get(method) if isinstance(method, str) else None
