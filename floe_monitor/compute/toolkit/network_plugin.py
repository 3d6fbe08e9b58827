"""The base of plugins whose engine is reached over a network: what all their validations share."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from floe_monitor.compute.plugin import ConfigT
from floe_monitor.compute.toolkit.adapter_plugin import AdapterPlugin
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import (
    ConnectionCache,
    Reusable,
    ReusingConfig,
    reusing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from floe_monitor.compute.checks import Validation
    from floe_monitor.compute.deadline import Deadline
    from floe_monitor.compute.models import ConnectionResult

_R = TypeVar("_R", bound=Reusable)
_R_co = TypeVar("_R_co", bound=Reusable, covariant=True)


class Connector(Protocol[_R_co]):
    """Gets one validation to a connection, with a check for each step."""

    deadline: Deadline
    validation: Validation

    def prepare(self) -> None:
        """Before a connection is made or taken: all that the key depends on and that can fail."""

    @property
    def key(self) -> Hashable:
        """Differs wherever anything differs that a connection proves, secrets included."""

    @property
    def steps(self) -> Iterable[str]:
        """The checks that `connect` records."""

    def connect(self) -> _R_co: ...


class NetworkPlugin(AdapterPlugin[ConfigT], Generic[ConfigT]):
    """Bounded name look-ups, and connections kept between validations, which end with the plugin."""

    is_self_hosted = False
    loads: ClassVar[Sequence[str]] = ()
    """Modules that a validation imports, the driver's among them: loaded before the first deadline."""

    def __init__(self) -> None:
        self.blocking_calls = BlockingCalls()
        self.connections: ConnectionCache[Any] = ConnectionCache(self.name)

    def prepare(self, config: ConfigT) -> None:  # noqa: ARG002 - the same for all targets
        for module in self.loads:
            import_module(module)

    def shutdown(self) -> None:
        self.connections.close()

    def validate_by(
        self,
        connector: Connector[_R],
        config: ReusingConfig,
        examine: Callable[[Validation, _R], None],
        message: str,
    ) -> ConnectionResult:
        """One validation: over the connection that the target keeps, if it keeps one, or over a new one.

        `message` is the result's where every check passed.
        """
        with connector.validation as validation:
            connector.prepare()
            reusing(
                self.connections,
                connector.key,
                config,
                validation,
                connector.deadline,
                calls=self.blocking_calls,
                held=connector.steps,
                connect=connector.connect,
                examine=partial(examine, validation),
            )
        return validation.result(message)
