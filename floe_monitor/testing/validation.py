"""What a plugin finds, how fast it says so, and what it leaves behind."""

from __future__ import annotations

import gc
import logging
import math
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ConnectionResult, ConnectionStatus, ErrorType
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.registry.foreign_plugin import (
    CHECK_NAME,
    MAX_ITEMS,
    MAX_TEXT,
    ContractError,
    adapt_result,
    default_isolation,
)
from floe_monitor.testing.audit import watching
from floe_monitor.testing.kit import (
    Given,
    Kit,
    Outcome,
    RunningValidation,
    build,
    fault,
    for_profile,
    secrets_of,
    validate,
)
from floe_monitor.testing.process_state import changes, process_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin

_PARALLEL = 8
_REPEATS = 12
_SHORT_SECONDS = 0.5
_DESCRIPTORS = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")


class ValidationConformance(Kit):
    def test_healthy_target(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        result = self._works(self._validate(plugin, config))
        _keep_secrets(config, result, caplog.text)

    def test_preparing_needs_no_network(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """It is outside of the deadline: no timeout bounds a wait in it."""
        prepare = getattr(plugin, "prepare", None)
        if prepare is None:
            return  # upstream's plugins have none
        with watching({"socket.connect", "socket.getaddrinfo"}, this_thread_only=False) as seen:
            try:
                prepare(config)
            except Exception as error:  # noqa: BLE001 - the plugin's code
                fault(f"`prepare` raised {type(error).__name__}: {error}")
        if seen:
            fault(f"`prepare` goes to the network: {', '.join(sorted(seen))}")

    def test_broken_targets(
        self,
        plugin: ComputePlugin[Any],
        broken_configs: Mapping[str, Given],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if not broken_configs:
            pytest.skip("no `broken_configs`: nothing shows that the plugin recognizes a failing target")
        caplog.set_level(logging.DEBUG)
        for name, given in broken_configs.items():
            config = build(plugin, given)
            result = examine(self._validate(plugin, config))
            if result.status is ConnectionStatus.HEALTHY:
                fault(f"broken target {name!r} is reported HEALTHY")
            if result.error_type is None:
                fault(f"broken target {name!r}: the result has no error_type")
            if not result.message:
                fault(f"broken target {name!r}: the result has no message")
            _keep_secrets(config, result, caplog.text)

    @pytest.mark.parametrize("seconds", [_SHORT_SECONDS, 0.0], ids=["short", "expired"])
    def test_deadline(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, hanging_config: Given | None, seconds: float
    ) -> None:
        """An expired deadline counts too: to many drivers a timeout of 0 means none."""
        # A plugin that asks for processes says itself that its driver cannot be bounded from within.
        silent = None if hanging_config is None else build(plugin, hanging_config)
        hangs = silent is not None and default_isolation(plugin, silent) == "thread"
        target = silent if silent is not None and hangs else config
        # Several at once where they only wait: the bound must not be that of a lock or a pool of threads.
        number = _PARALLEL if hangs and seconds else 1
        under_way = [RunningValidation(plugin, target, seconds) for _ in range(number)]
        for result in [examine(one.outcome(self.overrun_seconds)) for one in under_way]:
            if hangs and (
                result.status is ConnectionStatus.HEALTHY or result.error_type != ErrorType.TIMEOUT
            ):
                fault(f"a target that never answers is {result.status.value}, error_type {result.error_type}")

    def test_parallel_validations(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        under_way = [RunningValidation(plugin, config, self.deadline_seconds) for _ in range(_PARALLEL)]
        results = [self._works(one.outcome(self.overrun_seconds)) for one in under_way]
        names = {tuple(check.name for check in result.checks) for result in results}
        if len(names) > 1:
            fault(f"one target, different checks from one validation to the next: {sorted(names)}")

    def test_leaves_nothing_behind(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, broken_configs: Mapping[str, Given]
    ) -> None:
        targets = [config, *(build(plugin, given) for given in broken_configs.values())]
        gc.collect()
        for target in targets:
            self._validate(plugin, target)  # imports, and whatever is made once
            before = _Resources()
            limit = time.monotonic() + 10
            for _ in range(_REPEATS):
                self._validate(plugin, target)
                if time.monotonic() > limit:
                    break
            leaked = before.more_now()
            if leaked:
                fault(f"repeated validations leak {leaked}")

    def test_leaves_the_process_as_it_was(
        self,
        plugin: ComputePlugin[Any],
        config: ComputeConfig,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        before = process_state()
        kept = config.model_copy(deep=True)
        # The state alone would miss a variable that an earlier validation has set already.
        with watching({"os.putenv", "os.unsetenv", "os.chdir"}, this_thread_only=False) as seen:
            self._validate(plugin, config)
            plugin.generate_dbt_profile(for_profile(plugin, config))
        if seen:
            fault(f"a validation changes the environment or working directory: {', '.join(sorted(seen))}")
        for what in changes(before, process_state()):
            fault(f"a validation changes {what}")
        if any(tmp_path.iterdir()):
            names = sorted(found.name for found in tmp_path.iterdir())
            fault(f"a validation leaves files in the working directory: {names}")
        if config != kept:
            fault("a validation changes the configuration it was given")
        printed = capfd.readouterr().out
        if printed:
            fault(f"the plugin prints to stdout: {printed[:200]!r}")

    def test_results_do_not_depend_on_former_probes(
        self, plugin: ComputePlugin[Any], config: ComputeConfig, broken_configs: Mapping[str, Given]
    ) -> None:
        """A verdict depends on the target's present state, not on what was probed before."""
        self._works(self._validate(plugin, config))
        for name, given in broken_configs.items():
            broken = build(plugin, given)
            alone = examine(self._validate(type(plugin)(), broken))
            after = examine(self._validate(plugin, broken))
            again = examine(self._validate(plugin, broken))
            for result in (after, again):
                if (result.status, result.error_type) != (alone.status, alone.error_type):
                    found = f"{result.status.value} ({result.error_type})"
                    fault(
                        f"broken target {name!r} is {found} after other probes, and as the first one "
                        f"{alone.status.value} ({alone.error_type})"
                    )
            self._works(self._validate(plugin, config))

    def test_configuration_reaches_another_process(self, config: ComputeConfig) -> None:
        try:
            copy = pickle.loads(pickle.dumps(config))  # noqa: S301 - what was pickled the line before
        except Exception as error:  # noqa: BLE001 - pickling runs the plugin's code
            fault(f"the configuration cannot be sent to a worker process: {type(error).__name__}: {error}")
        if copy != config:
            fault("the configuration is another after being sent to a worker process")

    def _validate(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> Outcome:
        return validate(plugin, config, self.deadline_seconds, self.overrun_seconds)

    def _works(self, outcome: Outcome) -> ConnectionResult:
        result = examine(outcome)
        if result.status is ConnectionStatus.UNHEALTHY:
            fault(f"the healthy target is UNHEALTHY: {result.message} ({result.error_type})")
        return result


def examine(outcome: Outcome) -> ConnectionResult:
    """The outcome's result, once nothing in it has to be corrected."""
    raw: Any = outcome.result
    try:
        result = adapt_result(raw)
    except ContractError as error:
        fault(str(error))
    _examine_measure("latency_ms", raw.latency_ms, outcome.seconds * 1000)
    _examine_text("message", raw.message)
    if not isinstance(raw.warnings, list) or len(raw.warnings) > MAX_ITEMS:
        fault(f"warnings: a list of at most {MAX_ITEMS} is wanted")
    for warning in raw.warnings:
        _examine_text("a warning", warning)
    _examine_error_type("the result", raw)
    _examine_checks(raw, outcome)
    return result


def _examine_checks(raw: Any, outcome: Outcome) -> None:
    found = raw.checks
    if not isinstance(found, list | tuple) or not found:
        fault("the result has no checks: nothing shows which step failed")
    if len(found) > MAX_ITEMS:
        fault(f"{len(found)} checks; at most {MAX_ITEMS} are kept")
    names = [check.name for check in found]
    for name in names:
        if not isinstance(name, str) or not CHECK_NAME.fullmatch(name):
            fault(f"check name {name!r}: a lower-case word, with a colon before an instance")
    if len(set(names)) < len(names):
        fault(f"two checks of one name: {sorted(names)}")
    for check in found:
        _examine_measure(f"latency_ms of check {check.name}", check.latency_ms, outcome.seconds * 1000)
        _examine_measure(f"started_ms of check {check.name}", check.started_ms, outcome.seconds * 1000)
        _examine_text(f"message of check {check.name}", check.message)
        _examine_error_type(f"check {check.name}", check)
    worst = max(found, key=lambda check: check.status.severity)
    if raw.status.severity < worst.status.severity:
        fault(f"the result is {raw.status.value} although check {worst.name} is {worst.status.value}")


def _examine_error_type(what: str, item: Any) -> None:
    if not isinstance(item.status, ConnectionStatus):
        fault(f"{what}: status {item.status!r} is no ConnectionStatus")
    if item.error_type is not None and not isinstance(item.error_type, ErrorType):
        fault(f"{what}: error_type {item.error_type!r} is no ErrorType")
    if item.status is ConnectionStatus.HEALTHY and item.error_type is not None:
        fault(f"{what} is HEALTHY and has error_type {item.error_type}")
    if item.status is ConnectionStatus.UNHEALTHY and item.error_type is None:
        fault(f"{what} is UNHEALTHY and has no error_type")


def _examine_measure(what: str, value: Any, elapsed_ms: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        fault(f"{what} is {value!r}: a finite number of milliseconds, not negative, is wanted")
    if value > elapsed_ms * 1.1 + 50:
        fault(f"{what} is {value:.0f} ms but the whole call took {elapsed_ms:.0f} ms")


def _examine_text(what: str, value: Any) -> None:
    if not isinstance(value, str):
        fault(f"{what} is a {type(value).__name__}, not a text")
    if len(value) > MAX_TEXT:
        fault(f"{what} has {len(value)} characters; {MAX_TEXT} are kept")


def _keep_secrets(config: ComputeConfig, result: ConnectionResult, log: str) -> None:
    places = {
        "the message": result.message,
        "a warning": "\n".join(result.warnings),
        "a check": "\n".join(f"{check.name} {check.message}" for check in result.checks),
        "the log": log,
    }
    for key, secret in secrets_of(config).items():
        for place, text in places.items():
            if len(secret) >= 4 and Redactor([secret])(text) != text:
                fault(f"credential {key!r} appears in {place}")


class _Resources:
    """Threads and descriptors of this process at one moment."""

    def __init__(self) -> None:
        self._threads = threading.active_count()
        self._descriptors = _descriptors()

    def more_now(self) -> str:
        """What there is more of, once it had some seconds to go; empty for nothing."""
        limit = time.monotonic() + 3
        while True:
            now = _Resources()
            grown = []
            # One or two may be of other threads; a leak in every validation is as many as validations.
            if now._threads > self._threads + 2:
                grown.append(f"threads ({now._threads - self._threads})")
            if now._descriptors > self._descriptors + 2:
                grown.append(f"descriptors ({now._descriptors - self._descriptors})")
            if not grown or time.monotonic() > limit:
                return " and ".join(grown)
            gc.collect()
            time.sleep(0.05)


def _descriptors() -> int:
    try:
        return sum(1 for _ in _DESCRIPTORS.iterdir())
    except OSError:
        return 0
