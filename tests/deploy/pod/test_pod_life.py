"""The harness itself, with scripts for containers: order, exits, grace, volumes, and what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.pod.fields import JobSpec, PodTemplate, read
from conformance.pod.kubelet import Node, Pod
from conformance.pod.objects import Objects
from conformance.pod.workloads import Job
from tests.conformance.pod.test_fields import CONTAINER, TEMPLATE
from tests.deploy.pod.pods import secret
from tests.harness.polling import settled

if TYPE_CHECKING:
    from conformance.pod.container import Image

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.timeout(1200)]

LONG = 600.0
ENDING = "trap 'exit 0' TERM; echo started; while :; do sleep 0.05; done"
HEEDS = {
    "exec": {"command": ["grep", "-q", "^SigCgt:.*[4-7c-f]...$", "/proc/1/status"]},
    "periodSeconds": 1,
    "timeoutSeconds": 60,
    "failureThreshold": 600,
}
"""A probe that passes once process 1 has a handler for SIGTERM, without which it would ignore it."""
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


def container(name: str, script: str, **further: Any) -> dict[str, Any]:
    rights = CONTAINER["securityContext"] | {"readOnlyRootFilesystem": True}
    own = {"name": name, "image": "own:1", "command": ["sh", "-c", script], "securityContext": rights}
    return own | further


def template(*containers: dict[str, Any], **spec: Any) -> PodTemplate:
    context = {"runAsNonRoot": True, "runAsUser": 1234, "runAsGroup": 1235, "fsGroup": 1236}
    given = {"volumes": [], "securityContext": context, "containers": [*containers], **spec}
    return read(PodTemplate, {"metadata": {}, "spec": TEMPLATE["spec"] | given})


def node(debian: Image, *objects: dict[str, Any]) -> Node:
    return Node({"own:1": debian}, Objects(objects), backoff=0.01)


async def ended(pod: Pod) -> None:
    await pod.until(lambda: pod.ended, LONG)


async def test_sidecars_end_after_the_rest_and_the_last_one_first(debian: Image, tmp_path: Path) -> None:
    sidecars = [
        container(name, ENDING, restartPolicy="Always", startupProbe=HEEDS) for name in ("first", "second")
    ]
    spec = template(
        container("main", "exit 3"),
        initContainers=[*sidecars, container("once", "exit 0")],
        restartPolicy="Never",
    )
    async with Pod("order", spec, node(debian), tmp_path) as pod:
        await ended(pod)
    assert pod.phase == "Failed"
    ends = [each for each in pod.events if "started" in each or "exited" in each]
    assert ends == [
        *("first started", "second started", "once started", "once exited 0"),
        *("main started", "main exited 3", "second exited 0", "first exited 0"),
    ]


async def test_an_init_container_is_tried_again_or_fails_the_pod(debian: Image, tmp_path: Path) -> None:
    volume = {"volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]}
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/var/run/data"}]}
    second = container("once", "[ -e /run/data/x ] || { echo > /run/data/x; exit 1; }", **mounts)
    main = container("main", "dd if=/dev/zero of=/var/run/data/full bs=2M count=1", **mounts)
    for policy, phase in (("OnFailure", "Succeeded"), ("Never", "Failed")):
        done = main | {"command": ["true"]}
        spec = template(done, initContainers=[second], restartPolicy=policy, **volume)
        async with Pod(policy.lower(), spec, node(debian), tmp_path) as pod:
            await ended(pod)
        assert pod.phase == phase, pod.report()
        assert pod.containers["once"].restarts == (policy == "OnFailure")
    async with Pod("full", template(main, restartPolicy="Never", **volume), node(debian), tmp_path) as pod:
        await ended(pod)
    assert "No space left on device" in pod.log("main")


async def test_what_ignores_sigterm_is_killed_after_the_grace(debian: Image, tmp_path: Path) -> None:
    """A Secret that was missing keeps it waiting before; its files are the group's alone."""
    given: dict[str, Any] = {
        "volumeMounts": [{"name": "key", "mountPath": "/key", "readOnly": True}],
        "envFrom": [{"secretRef": {"name": "s"}}],
    }
    spec = template(
        container("main", f"cat /key/a; id; {DEAF}", **given),
        volumes=[{"name": "key", "secret": {"secretName": "s", "defaultMode": 0o400}}],
        terminationGracePeriodSeconds=1,
    )
    own = node(debian)
    async with Pod("deaf", spec, own, tmp_path) as pod:
        await pod.until(lambda: any("waits: Secret 's' not found" in each for each in pod.events), LONG)
        own.objects.apply(secret("s", a="token\n"))
        await pod.until(lambda: "main started" in pod.events, LONG)
        await pod.until(lambda: "uid=1234 gid=1235 groups=1235,1236" in pod.log("main"), LONG)
        assert pod.log("main").startswith("token\n")
        found = (pod.volume("key") / "a").stat()
        assert (found.st_mode & 0o777, found.st_gid) == (0o440, 1236)
        assert await pod.execute("main", "sh", "-c", "echo $a; hostname") == (0, "token\ndeaf\n")
        await pod.delete()
    assert pod.events[-3:] == ["main sent SIGTERM", "main sent SIGKILL", "main exited 137"]


async def test_a_job_fails_after_its_retries_or_at_its_deadline(debian: Image, tmp_path: Path) -> None:
    for name, script, limits, condition, pods in (
        ("retried", "exit 1", {"backoffLimit": 1}, "Failed: BackoffLimitExceeded", 2),
        ("late", ENDING, {"activeDeadlineSeconds": 1}, "Failed: DeadlineExceeded", 1),
    ):
        made = template(container("main", script), restartPolicy="Never", terminationGracePeriodSeconds=1)
        spec = read(JobSpec, {"template": made.model_dump(by_alias=True, exclude_defaults=True), **limits})
        async with Job(name, spec, node(debian), tmp_path) as job:
            assert await job.finish(LONG) == condition
        assert len(job.pods) == pods


async def test_what_never_passes_its_startup_probe_is_restarted(debian: Image, tmp_path: Path) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "timeoutSeconds": 60, "failureThreshold": 1}
    spec = template(container("main", ENDING, startupProbe=probe), terminationGracePeriodSeconds=1)
    async with Pod("never", spec, node(debian), tmp_path) as pod:
        await pod.until(lambda: pod.containers["main"].restarts >= 2, LONG)
        assert not pod.ready
        assert not pod.containers["main"].started.is_set()
    assert "main failed startup: " in pod.events


SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.deploy.pod.test_pod_life import ENDING, container, node, template
from conformance.pod.container import Image
from conformance.pod.kubelet import Pod

async def main(root, folder):
    image = Image(Path(root), {"PATH": "/usr/bin:/bin"})
    async with Pod("left", template(container("main", ENDING)), node(image), Path(folder)) as pod:
        await pod.until(lambda: "main started" in pod.events, 300)
        print(pod.init, pod.process_1("main"), flush=True)
        await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_nothing_of_it_outlives_the_program(
    debian: Image, tmp_path: Path, ending: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(debian.root), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    namespaces = set().union(*(of(int(each)) for each in (await process.stdout.readline()).split()))
    assert len(namespaces) == 4
    assert not namespaces & of(os.getpid())
    process.send_signal(ending)
    await process.wait()
    await asyncio.to_thread(settled, lambda: not namespaces & in_use(), LONG)
    mounts = await asyncio.to_thread(Path("/proc/self/mountinfo").read_text)
    assert " /media" not in mounts


def of(process: int) -> set[str]:
    """Its namespaces of processes and mounts."""
    return {str(Path(f"/proc/{process}/ns/{kind}").readlink()) for kind in ("pid", "mnt")}


def in_use() -> set[str]:
    """Those that some process has."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            found |= of(int(each.name))
    return found
