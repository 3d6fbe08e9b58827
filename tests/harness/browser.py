"""A real browser through its DevTools protocol over two pipes: no port, no driver."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 110.0
"""Seconds for all that one browser is asked: a busy machine starts one in half a minute."""
_LAST_WORDS = 10.0
"""Of those, for saying what the page shows instead."""
_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
)
_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Space": (32, " "),
    "ArrowDown": (40, ""),
}


class Browser:
    """Shows one page after the other. The browser reads from descriptor 3 and writes to 4."""

    def __init__(
        self,
        browser: str,
        profile: Path,
        *,
        width: int = 1280,
        dark: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self._until = time.monotonic() + patience
        self._numbers = itertools.count(1)
        self._session = ""
        self._buffer = b""
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = ["bash", "-c", script, "browser", browser, *_OPTIONS.split(), f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.emulate(width=width, dark=dark)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)
        os.close(self._to)
        os.close(self._from)

    def emulate(self, *, width: int, height: int = 844, dark: bool = False, scale: int = 1) -> None:
        """A screen; narrow ones are those of phones."""
        screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme, still])

    def allow_scripts(self, allowed: bool) -> None:
        self._ask("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        """Returns once the page has been laid out."""
        self._ask("Page.navigate", url=url)
        self.wait_for("location.href.startsWith('http') && document.readyState === 'complete'")

    def evaluate(self, url: str, expression: str) -> Any:
        self.open(url)
        return self.value(expression)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression; of a promise what it comes to."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until it is true, across navigations."""
        while True:
            try:
                if self.value(f"Boolean({expression})"):
                    return
            except AssertionError:
                if time.monotonic() > self._until - _LAST_WORDS:
                    raise
            assert time.monotonic() < self._until - _LAST_WORDS, f"not true: {expression}; {self._where()}"
            time.sleep(0.05)

    def press(self, key: str, *, shift: bool = False) -> None:
        code, text = _KEYS[key]
        common = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        common["modifiers"] = 8 if shift else 0
        down = "keyDown" if text else "rawKeyDown"
        self._ask("Input.dispatchKeyEvent", type=down, **common, **({"text": text} if text else {}))
        self._ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self._ask("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Of what the screen shows."""
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _where(self) -> Any:
        return self.value(
            "location.href + ' ' + document.title + ' ' + document.body.innerText.slice(0, 500)"
        )

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._to, json.dumps(request).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "result" in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._from], [], [], max(0.0, self._until - time.monotonic()))
            assert readable, "the browser gave no answer in time"
            read = os.read(self._from, 1 << 16)
            assert read, "the browser has ended"
            self._buffer += read
        text, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer
