"""A pod's life: init containers in order, sidecars, probes, restarts, the end with its grace."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from conformance.pod.container import Container, Identity, Plan
from conformance.pod.objects import MissingObjectError
from conformance.pod.probes import Asking
from conformance.pod.sandbox import ADDRESS, Sandbox
from conformance.pod.variables import command_line, environment
from conformance.pod.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.pod import fields
    from conformance.pod.container import Image
    from conformance.pod.objects import Objects
    from conformance.pod.sandbox import Backend

    Phase = Literal["Pending", "Running", "Succeeded", "Failed"]

SYNC = 0.2
"""Seconds between two looks at ConfigMaps and Secrets. A kubelet takes up to a minute or two."""
LONGEST_BACKOFF = 300.0
_POLL = 0.02


@dataclass(slots=True)
class Status:
    """Of a container, over its restarts."""

    restarts: int = 0
    ready: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Its start-up probe has succeeded; without one, that it runs."""
    last_exit: int | None = None
    running: Container | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """What pods are run with. `backoff`: seconds before a second restart; doubled for each further one."""

    images: Mapping[str, Image]
    objects: Objects
    services: Mapping[tuple[str, int], Backend] = field(default_factory=dict)
    name: str = "node-1"
    namespace: str = "default"
    backoff: float = 10.0


class Pod:
    """`async with` runs it, and leaves neither process nor mount. Logs of containers go to `folder`."""

    def __init__(self, name: str, template: fields.PodTemplate, node: Node, folder: Path) -> None:
        self.name, self.spec, self._node, self._folder = name, template.spec, node, folder
        self.phase: Phase = "Pending"
        self.events: list[str] = []
        """What happened, in order: `CONTAINER started`, `CONTAINER exited 0`, …"""
        every = [*self.spec.init_containers, *self.spec.containers]
        self.containers = {each.name: Status() for each in every}
        self._sandbox = Sandbox(name, node.services)
        self._volumes = Volumes(self._sandbox, self.spec, node.objects)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._sidecars: dict[str, asyncio.Task[int]] = {}

    async def __aenter__(self) -> Self:
        await self._sandbox.__aenter__()
        try:
            self._volumes.make()
            self._project()
        except BaseException:
            await self._sandbox.__aexit__()
            raise
        self._tasks = [
            asyncio.create_task(self._live(), name=f"{self.name}"),
            asyncio.create_task(self._sync(), name=f"{self.name}-volumes"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """At once, with all its processes: `delete` has the grace."""
        self._stopping = True
        tasks = [*self._tasks, *self._sidecars.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sandbox.__aexit__()

    # ------------------------------------------------------------ what is asked of it

    @property
    def ready(self) -> bool:
        """All its containers that go on are."""
        going_on = [
            *self.spec.containers,
            *(each for each in self.spec.init_containers if each.restart_policy),
        ]
        return all(self.containers[each.name].ready for each in going_on)

    @property
    def ended(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}

    async def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Raises `TimeoutError` with what happened, and what the kubelet's own task raised."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    for task in self._tasks:
                        if task.done() and not task.cancelled() and (error := task.exception()):
                            raise error
                    await asyncio.sleep(_POLL)
                return
        raise TimeoutError(f"not within {seconds:g} s\n{self.report()}")

    def report(self) -> str:
        """What happened, and the last that each container wrote."""
        logs = [f"{name}: {self.log(name)[-2000:]}" for name in self.containers]
        return "\n".join([f"{self.name}: {self.phase}", *self.events, *logs])

    def log(self, container: str) -> str:
        """What it wrote, over its restarts."""
        files = sorted(self._folder.glob(f"{self.name}.{container}.*.log"))
        return "".join(each.read_text(errors="replace") for each in files)

    def volume(self, name: str) -> Path:
        """Its files, from outside."""
        return self._volumes.outside(name)

    async def execute(self, container: str, *command: str, timeout: float = 60) -> tuple[int, str]:
        """Exit status and output. Raises `RuntimeError` where it does not run."""
        running = self.containers[container].running
        if running is None:
            raise RuntimeError(f"{container} does not run")
        return await running.execute(*command, timeout=timeout)

    def process_1(self, container: str) -> int:
        running = self.containers[container].running
        if running is None:
            raise RuntimeError(f"{container} does not run")
        return running.process_1

    @property
    def init(self) -> int:
        """The process that the pod ends with."""
        return self._sandbox.init

    async def delete(self) -> None:
        """Stop it as a deletion does: SIGTERM, grace, SIGKILL; sidecars after the others, last one first."""
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + self.spec.termination_grace_period_seconds
        others = [name for name in self.containers if name not in self._sidecars]
        await asyncio.gather(*(self._stop(name, deadline) for name in others))
        await self._stop_sidecars(deadline)
        await self.until(lambda: self.ended)

    # ------------------------------------------------------------ its life

    async def _live(self) -> None:
        if await self._initialize():
            self.phase = "Running"
            policy = self.spec.restart_policy
            codes = await asyncio.gather(*(self._keep(each, policy) for each in self.spec.containers))
            well = not any(codes)
        else:
            well = False
        deadline = asyncio.get_running_loop().time() + self.spec.termination_grace_period_seconds
        self._stopping = True
        await self._stop_sidecars(deadline)
        self.phase = "Succeeded" if well else "Failed"

    async def _initialize(self) -> bool:
        """Whether every init container has done its part."""
        once = "Never" if self.spec.restart_policy == "Never" else "OnFailure"
        for each in self.spec.init_containers:
            if each.restart_policy:
                self._sidecars[each.name] = asyncio.create_task(self._keep(each, "Always"), name=each.name)
                started = asyncio.create_task(self.containers[each.name].started.wait())
                await asyncio.wait({started, self._sidecars[each.name]}, return_when="FIRST_COMPLETED")
                started.cancel()
                if not self.containers[each.name].started.is_set():
                    self._sidecars[each.name].result()  # raises what ended it
            elif await self._keep(each, once) != 0:
                return False
            if self._stopping:
                return False
        return True

    async def _keep(self, spec: fields.Container, policy: str) -> int:
        """Run it again and again as its policy says; its last exit status."""
        status = self.containers[spec.name]
        while True:
            code = await self._run(spec, status)
            if self._stopping or policy == "Never" or (policy == "OnFailure" and code == 0):
                return code
            if status.restarts:  # the first restart is at once
                await asyncio.sleep(min(LONGEST_BACKOFF, self._node.backoff * 2 ** (status.restarts - 1)))
            if self._stopping:
                return code
            status.restarts += 1
            self.events.append(f"{spec.name} restarted")

    async def _run(self, spec: fields.Container, status: Status) -> int:
        """One run of it, from the start to its exit status."""
        plan = await self._plan(spec)
        log = self._folder / f"{self.name}.{spec.name}.{status.restarts:03}.log"
        container = Container(self._sandbox, plan, status.restarts, log)
        await container.start()
        self.events.append(f"{spec.name} started")
        status.running = container
        probing = asyncio.create_task(self._probe(spec, container, status), name=f"{spec.name}-probes")
        waiting = asyncio.create_task(container.wait(), name=spec.name)
        try:
            await asyncio.wait({probing, waiting}, return_when="FIRST_COMPLETED")
            if not waiting.done():
                probing.result()  # raises what ended it
        finally:
            probing.cancel()
            container.signal(signal.SIGKILL)
            await asyncio.wait({probing, waiting})
            status.running, status.ready = None, False
        code = status.last_exit = waiting.result()
        self.events.append(f"{spec.name} exited {code}")
        return code

    async def _plan(self, spec: fields.Container) -> Plan:
        """As soon as all objects that it refers to are there."""
        image = self._node.images[spec.image]
        while True:
            try:
                values = environment(spec, self._node.objects, self._fields(), image.environment)
                break
            except MissingObjectError as error:
                if (said := f"{spec.name} waits: {error}") not in self.events:
                    self.events.append(said)
                await asyncio.sleep(SYNC)
        binds = [self._volumes.bind(mount) for mount in spec.volume_mounts]
        identity = Identity.of(self.spec.security_context, spec.security_context, image)
        words = command_line(spec, values, image.entrypoint, image.command)
        directory = spec.working_dir or image.working_dir
        read_only = spec.security_context.read_only_root_filesystem
        return Plan(spec.name, image, words, values, identity, directory, read_only, binds)

    def _fields(self) -> dict[str, str]:
        return {
            "metadata.name": self.name,
            "metadata.namespace": self._node.namespace,
            "spec.nodeName": self._node.name,
            "status.podIP": ADDRESS,
        }

    # ------------------------------------------------------------ probes, and the end

    async def _probe(self, spec: fields.Container, container: Container, status: Status) -> None:
        if spec.startup_probe is not None:
            await self._probe_until_failure(spec.startup_probe, spec, container, "startup", first=True)
        status.started.set()
        self.events.append(f"{spec.name} passed start-up")
        async with asyncio.TaskGroup() as group:
            if spec.liveness_probe is not None:
                group.create_task(self._probe_until_failure(spec.liveness_probe, spec, container, "liveness"))
            if spec.readiness_probe is None:
                status.ready = True
            else:
                group.create_task(self._watch_readiness(spec.readiness_probe, spec, container, status))
            group.create_task(asyncio.Event().wait())  # until it is cancelled

    async def _probe_until_failure(
        self,
        probe: fields.Probe,
        spec: fields.Container,
        container: Container,
        kind: str,
        *,
        first: bool = False,
    ) -> None:
        """Stops the container where it fails. Returns at the `first` success."""
        async for well, said in Asking(probe, spec, container, self._sandbox).verdicts():
            if well and first:
                return
            if not well:
                self.events.append(f"{spec.name} failed {kind}: {said}")
                grace = probe.termination_grace_period_seconds
                if grace is None:
                    grace = self.spec.termination_grace_period_seconds
                await self._stop(spec.name, asyncio.get_running_loop().time() + grace)
                await asyncio.Event().wait()  # until it is cancelled

    async def _watch_readiness(
        self, probe: fields.Probe, spec: fields.Container, container: Container, status: Status
    ) -> None:
        async for well, said in Asking(probe, spec, container, self._sandbox).verdicts():
            if well != status.ready:
                self.events.append(f"{spec.name} {'ready' if well else f'not ready: {said}'}")
            status.ready = well

    async def _stop_sidecars(self, deadline: float) -> None:
        for name, task in reversed(self._sidecars.items()):
            await self._stop(name, deadline)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})

    async def _stop(self, name: str, deadline: float) -> None:
        """SIGTERM, and SIGKILL at the deadline."""
        running = self.containers[name].running
        if running is None:
            return
        self.events.append(f"{name} sent SIGTERM")
        running.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await running.ended.wait()
                return
        self.events.append(f"{name} sent SIGKILL")
        running.signal(signal.SIGKILL)
        await running.ended.wait()

    # ------------------------------------------------------------ volumes

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC)
            self._project()

    def _project(self) -> None:
        self.events += [f"{name} written" for name in self._volumes.project()]
