"""The composition root: builds the parts, runs them in one task group, stops them in order."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

import anyio

from floe_monitor import __version__
from floe_monitor.compute.toolkit import process_state
from floe_monitor.daemon.configuration import read_configuration
from floe_monitor.daemon.controller import Controller
from floe_monitor.daemon.descriptor_limit import raise_descriptor_limit
from floe_monitor.daemon.garbage_collection import FullCollections, full_collections_withheld
from floe_monitor.daemon.history import KeptHistory, build_history, build_past, take_up
from floe_monitor.daemon.http_surface import HttpSurface, bind
from floe_monitor.daemon.notifications import build_notifier
from floe_monitor.daemon.service_manager import ServiceManager
from floe_monitor.daemon.watchdog import Watchdog
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.liveness import BEAT_AGE_LIMIT, LivenessLimits, Verdict, liveness
from floe_monitor.domain.plurals import counted
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.probing.foreign_output import withholding_output
from floe_monitor.probing.runner import Runner
from floe_monitor.probing.scheduler import Scheduler
from floe_monitor.probing.workers import WorkerPool
from floe_monitor.profiles import ProfileSynchronizer
from floe_monitor.settings.watcher import ConfigWatcher
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.fanout import Drops, Fanout
from floe_monitor.telemetry.log_sink import LogSink
from floe_monitor.telemetry.logs import configure_logging, get_logger
from floe_monitor.telemetry.otel_export import build_otel
from floe_monitor.telemetry.prometheus import PrometheusSink
from floe_monitor.web.change_feed import ChangeFeed

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from floe_monitor.daemon.configuration import Configuration
    from floe_monitor.daemon.http_surface import Listeners
    from floe_monitor.daemon.signals import Signals
    from floe_monitor.domain.events import Sink
    from floe_monitor.settings import Settings

    Announce = Callable[[Listeners, MonitorState, Settings], Iterable[str]]
    """Lines for standard error once requests are answered; written without waiting for a reader."""

PROBES_SHARE = 0.5
"""Of the grace period, what probes under way may use to finish."""

STOPPED, FAULT = 0, 70
"""Exit statuses: of a stop that was asked for, and of an unexpected exception."""


class SchedulerEndedError(Exception):
    """The scheduler has ended without being stopped."""


def run(
    config: Path,
    *,
    environ: Mapping[str, str],
    announce: Announce,
    signals: Signals,
) -> int:
    """Watch until SIGTERM or SIGINT; the exit status. `announce` is asked once requests are answered.

    Raises `ConfigurationError` and `ListenError` before anything has started. Validations may still hang
    when it returns: the caller ends the process with `os._exit`.
    """
    raise_descriptor_limit()
    with process_state.kept(), full_collections_withheld():
        read = read_configuration(config, environ)
        listeners = bind(read.loaded.settings.http)
        try:
            daemon = _Daemon(config, environ, read, listeners, signals)
        except BaseException:  # the port must be free again
            listeners.close()
            raise
        return daemon.run(announce)


class _Daemon:
    def __init__(
        self,
        config: Path,
        environ: Mapping[str, str],
        read: Configuration,
        listeners: Listeners,
        signals: Signals,
    ) -> None:
        settings = read.loaded.settings
        now = time.time()
        self._listeners = listeners
        self._signals = signals
        self._settings = settings
        self._state = MonitorState(
            started_at=now,
            config=ConfigStatus(loaded_at=now, attempted_at=now),
            shard=read.shard,
            configured=read.configured,
        )
        self._leave_by = 0.0
        self._started = time.monotonic()
        self._graces: SimpleQueue[float] = SimpleQueue()  # may be put to from within a signal handler
        drops = Drops()
        self._writer = configure_logging(settings.log, sys.stderr, drops)
        self._log = get_logger()
        prometheus = PrometheusSink()
        first = listeners.main[0]
        self._otel = build_otel(
            settings.otlp, environ, __version__, self._state, drops, listens=first.path or str(first.port)
        )
        self._feed = ChangeFeed(self._state)
        sinks: list[Sink] = [prometheus, LogSink(settings.log), self._feed]
        if self._otel is not None:
            sinks.append(self._otel)
        self._history = build_history(settings.history, self._state, environ, drops)
        self._past = None
        if self._history is not None:
            sinks.append(self._history)
            self._past = build_past(settings.history, environ)
        self._notifier = build_notifier(settings, self._state, environ, self._live)
        self._fanout = Fanout(sinks, drops=drops)
        self._publish = IncidentRecorder(self._state, self._fanout.publish).publish
        self._state.dropped = drops
        self._pool = WorkerPool(settings.workers.limit, settings.workers.per_plugin, self._state.set_workers)
        self._runner = Runner(self._pool, self._otel.tracing if self._otel is not None else None)
        self._page = MetricsPage(self._state, prometheus, __version__)
        self._config, self._environ, self._read = config, environ, read

    def run(self, announce: Announce) -> int:
        threading.Thread(target=self._leave_when_over, name="exit-guard", daemon=True).start()
        self._fanout.start()
        if self._history is not None:
            self._history.start()
        try:
            with withholding_output(self._report_output, of_everyone=True):
                anyio.run(self._main, announce)
        except Exception as error:  # noqa: BLE001 - logged by class and place, and reported by the exit status
            for cause in _causes(error):
                self._log.critical("stopping: an unexpected error", exc_info=cause)
            return FAULT
        finally:
            self._flush()
        return STOPPED

    async def _main(self, announce: Announce) -> None:
        self._stop = anyio.Event()
        self._reload_asked = anyio.Event()
        scheduler = Scheduler(
            self._state,
            self._pool,
            self._runner,
            self._publish,
            history=self._settings.history.results,
            salt=socket.gethostname(),
        )
        synchronizer = ProfileSynchronizer(
            self._read.profiles,
            self._read.targets,
            publish=self._publish,
            state=self._state,
            environ=self._environ,
        )
        surface = HttpSurface(self._listeners, self._settings.http, self._environ)
        self._controller = Controller(
            self._config,
            self._environ,
            self._read.loaded,
            self._state,
            scheduler,
            self._pool,
            synchronizer,
            self._publish,
            surface.access,
        )
        self._service_manager = ServiceManager(self._environ, self._live)
        self._connect_signals(asyncio.get_running_loop())
        answering = partial(
            surface.run,
            self._state,
            self._page,
            self._controller,
            limits=self._limits,
            publish=self._publish,
            history=self._kept_history(),
            feed=self._feed,
            past=self._past,
            interval=lambda: self._controller.settings.reload.poll_interval,
        )
        collections = FullCollections(lambda: self._state.config.generation)
        async with anyio.create_task_group() as services:
            await services.start(answering, name="http")
            services.start_soon(Watchdog(BEAT_AGE_LIMIT).run, name="watchdog")
            services.start_soon(self._service_manager.run, name="service-manager")
            services.start_soon(self._reload_when_asked, name="reload")
            services.start_soon(synchronizer.run, name="profiles")
            services.start_soon(self._follow_configuration, name="configuration")
            with anyio.CancelScope() as probing:
                async with asyncio.TaskGroup() as probes:
                    scheduler.apply(self._read.watched)
                    if self._history is not None:
                        await take_up(self._history, self._state, self._fanout.publish)
                    if self._notifier is not None:
                        self._notifier.start()
                    services.start_soon(collections.run, name="garbage-collection")
                    await self._probe_until_stopped(scheduler, probes, announce)
                    probing.cancel()
            services.cancel_scope.cancel()
        self._service_manager.close()
        self._pool.close()
        self._runner.close()

    def _kept_history(self) -> KeptHistory | None:
        url = self._settings.history.url
        return None if self._history is None or url is None else KeptHistory(url, self._environ)

    async def _probe_until_stopped(
        self,
        scheduler: Scheduler,
        probes: asyncio.TaskGroup,
        announce: Announce,
    ) -> None:
        ticking = probes.create_task(scheduler.run(probes), name="scheduler")
        # A task that is cancelled from elsewhere ends without failing its group.
        ticking.add_done_callback(lambda _: self._stop.set())
        for line in announce(self._listeners, self._state, self._settings):
            self._writer.write(line)
        self._service_manager.ready(f"watching {counted(len(self._state.targets), 'target')}")
        await self._stop.wait()
        if ticking.done():
            raise SchedulerEndedError
        ticking.cancel()
        with anyio.move_on_after(self._controller.settings.shutdown_grace * PROBES_SHARE):
            while self._pool.taken > self._state.stuck_workers:  # noqa: ASYNC110 - a bounded, last wait
                await anyio.sleep(0.02)

    def _connect_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        def hand_over(callback: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop has closed: the last flush is under way
                loop.call_soon_threadsafe(callback)

        def stop(number: signal.Signals) -> None:
            grace = self._controller.settings.shutdown_grace
            # From the signal handler and not from the loop, which may be what hangs.
            self._guard_exit(grace)
            hand_over(lambda: self._begin_stop(number.name, grace))

        self._signals.connect(stop, lambda: hand_over(self._ask_to_reload))

    def _begin_stop(self, signal_name: str, grace: float) -> None:
        self._service_manager.stopping()
        self._log.info("stopping", signal=signal_name, grace_seconds=grace)
        self._stop.set()

    def _ask_to_reload(self) -> None:
        self._reload_asked.set()

    async def _reload_when_asked(self) -> None:
        """A task of its own: a reload that hangs must not delay the stop."""
        while True:
            await self._reload_asked.wait()
            self._reload_asked = anyio.Event()
            await self._controller.reload()

    async def _follow_configuration(self) -> None:
        settings = self._controller.settings.reload
        if not settings.watch:
            return
        while True:
            watcher = ConfigWatcher(lambda: self._controller.loaded, settings.poll_interval)
            try:
                async for _ in watcher:
                    await self._controller.reload()
            except Exception as error:  # noqa: BLE001 - a fault in watching files must not stop the probing
                self._log.error("watching the configuration failed; trying again", exc_info=error)
            await anyio.sleep(settings.poll_interval)

    def _limits(self) -> LivenessLimits:
        return LivenessLimits(stuck=self._controller.settings.workers.stuck_limit_in_force)

    def _live(self) -> Verdict:
        return liveness(self._state, time.monotonic(), self._limits(), self._started)

    def _guard_exit(self, grace: float) -> None:
        """End the process when the grace period is over, whatever still runs or hangs."""
        self._leave_by = time.monotonic() + grace
        self._graces.put(grace)

    def _leave_when_over(self) -> None:
        """A thread of its own from the start on: at a limit on threads the stop could not have one."""
        time.sleep(self._graces.get() + 0.5)
        os._exit(0)

    def _report_output(self, count: int) -> None:
        self._log.warning("output of plugins is withheld: it may hold a credential", characters=count)

    def _flush(self) -> None:
        left = max(0.5, self._leave_by - time.monotonic()) if self._leave_by else 2.0
        if self._notifier is not None:
            self._notifier.close(left / 4)
        self._fanout.close(left / 4)
        if self._history is not None:
            self._history.close(left / 2)
        if self._otel is not None:
            self._otel.shutdown(max(0.2, left / 2))
        self._log.info("stopped", stuck_workers=self._state.stuck_workers)
        self._writer.close(0.5)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error
