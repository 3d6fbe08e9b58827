"""Probes as a kubelet asks them: when, how often in a row, and what counts as an answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.pod import fields
    from conformance.pod.container import Container
    from conformance.pod.sandbox import Sandbox

_REQUEST = "\r\n".join(
    ["GET {path} HTTP/1.1", "Host: {host}", "User-Agent: kube-probe/1.29", "Connection: close", "", ""]
)


class Asking:
    """A container's probe."""

    def __init__(
        self, probe: fields.Probe, spec: fields.Container, container: Container, sandbox: Sandbox
    ) -> None:
        self._probe, self._spec, self._container, self._sandbox = probe, spec, container, sandbox

    async def verdicts(self) -> AsyncIterator[tuple[bool, str]]:
        """Each time that its threshold of answers of one kind in a row is reached, once more for each further
        one: whether it succeeded, and the last answer."""
        await asyncio.sleep(self._probe.initial_delay_seconds)
        run, last = 0, None
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            well, said = await self.ask()
            run = run + 1 if well == last else 1
            last = well
            if run >= (self._probe.success_threshold if well else self._probe.failure_threshold):
                yield well, said
            await asyncio.sleep(max(0.0, begun + self._probe.period_seconds - loop.time()))

    async def ask(self) -> tuple[bool, str]:
        """Once: whether it succeeds, and what was answered."""
        try:
            async with asyncio.timeout(self._probe.timeout_seconds):
                if self._probe.http_get is not None:
                    return await self._ask_http(self._probe.http_get)
                command = self._probe.exec.command if self._probe.exec else ()
                status, output = await self._container.execute(*command)
                return status == 0, output.strip()
        except TimeoutError:
            return False, f"no answer within {self._probe.timeout_seconds} s"
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            return False, f"{type(error).__name__}: {error}"

    async def _ask_http(self, get: fields.HttpGet) -> tuple[bool, str]:
        """A status from 200 to 399 succeeds; certificates are not looked at."""
        connection = await self._sandbox.connect(self._spec.port(get.port))
        context = None
        if get.scheme == "HTTPS":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=context, server_hostname="" if context else None
            )
        except BaseException:
            connection.close()
            raise
        try:
            writer.write(_REQUEST.format(path=get.path, host=self._sandbox.name).encode())
            line = (await reader.readline()).decode(errors="replace")
            return 200 <= int(line.split()[1]) < 400, line.strip()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
