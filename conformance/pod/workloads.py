"""What makes pods: a Deployment's one, and the pods of a Job, one after another until one succeeds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from conformance.pod.fields import CronJobSpec, DeploymentSpec, JobSpec, PodTemplate, read
from conformance.pod.kubelet import LONGEST_BACKOFF, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conformance.pod.kubelet import Node

    Manifest = Mapping[str, Any]


def deployment(manifests: Iterable[Manifest]) -> PodTemplate:
    """The template of the only Deployment among them. Raises `UnsupportedFieldError`."""
    return read(DeploymentSpec, _only(manifests, "Deployment")).template


def cron_job(manifests: Iterable[Manifest]) -> JobSpec:
    """The job of the only CronJob among them. Raises `UnsupportedFieldError`."""
    return read(CronJobSpec, _only(manifests, "CronJob")).job_template.spec


def _only(manifests: Iterable[Manifest], kind: str) -> Any:
    found = [each for each in manifests if each["kind"] == kind]
    if len(found) != 1:
        raise ValueError(f"one {kind} is wanted, not {len(found)}")
    return found[0]["spec"]


class Job:
    """`async with` runs it. `condition` is what its status would have: Complete, or Failed with a reason."""

    def __init__(self, name: str, spec: JobSpec, node: Node, folder: Path) -> None:
        self._name, self._spec, self._node, self._folder = name, spec, node, folder
        self.condition = ""
        self.pods: list[Pod] = []
        """The last one may be running."""
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._live(), name=self._name)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def pod(self) -> Pod:
        """The newest, as soon as there is one."""
        await self._begun.wait()
        return self.pods[-1]

    async def finish(self, seconds: float = 120) -> str:
        """Its condition, as soon as it has one. Raises `TimeoutError` with what happened until then."""
        done, _ = await asyncio.wait({self._task}, timeout=seconds)
        if not done:
            raise TimeoutError(f"not within {seconds:g} s\n{self.report()}")
        self._task.result()
        return self.condition

    def report(self) -> str:
        """Of each pod."""
        return "\n".join(pod.report() for pod in self.pods)

    async def _live(self) -> None:
        try:
            async with asyncio.timeout(self._spec.active_deadline_seconds):
                for number in range(self._spec.backoff_limit + 1):
                    if number:
                        await asyncio.sleep(min(LONGEST_BACKOFF, self._node.backoff * 2 ** (number - 1)))
                    if await self._succeeds(f"{self._name}-{number}"):
                        self.condition = "Complete"
                        return
                self.condition = "Failed: BackoffLimitExceeded"
        except TimeoutError:
            self.condition = "Failed: DeadlineExceeded"

    async def _succeeds(self, name: str) -> bool:
        pod = Pod(name, self._spec.template, self._node, self._folder)
        self.pods.append(pod)
        async with pod:
            self._begun.set()
            try:
                while not pod.ended:
                    with contextlib.suppress(TimeoutError):
                        await pod.until(lambda: pod.ended, seconds=3600)
            except asyncio.CancelledError:
                await pod.delete()
                raise
        return pod.phase == "Succeeded"
