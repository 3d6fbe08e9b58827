"""Prometheus, Alertmanager and whoever is paged: real servers on loopback."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from conformance.alerts.clocks import Clock

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"


def missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


@dataclass(frozen=True, slots=True)
class Notified:
    """One alert of one notification: `receiver` is the last part of its URL, `at` is `time.monotonic`."""

    at: float
    receiver: str
    group: str
    firing: bool
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(self.labels.items()))


class Pager(LoopbackServer):
    """Takes Alertmanager's webhooks and keeps what they say."""

    def __init__(self) -> None:
        self.received: list[Notified] = []
        super().__init__(_Webhook)


class _Webhook(HttpHandler):
    owner: Pager

    def do_POST(self) -> None:  # noqa: N802 - http.server looks for it
        at = time.monotonic()
        body = json.loads(self.body())
        receiver = self.path.rsplit("/", 1)[-1]
        self.owner.received.extend(
            Notified(
                at,
                receiver,
                body["groupKey"],
                each["status"] == "firing",
                each["labels"],
                each["annotations"],
            )
            for each in body["alerts"]
        )
        self.answer(200, b"")


class Servers:
    """Runs the shipped rules and Alertmanager's example, on `clock`, for these jobs; `with` stops them.

    Each job's monitors are what `discover` says, by a file that Prometheus watches.
    """

    def __init__(self, folder: Path, clock: Clock, jobs: Sequence[str], step: float) -> None:
        self._folder, self._clock, self._jobs = folder, clock, jobs
        self._step = f"{round(clock.seconds(step) * 1000)}ms"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.pager = Pager()
        self.url = ""

    def __enter__(self) -> Self:
        try:
            alertmanager = self._start(
                "prometheus-alertmanager", self._routing(), ["--cluster.listen-address="]
            )
            lookback = f"--query.lookback-delta={self._clock.literal('5m')}"
            self.url = "http://" + self._start("prometheus", self._scraping(alertmanager), [lookback])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.pager.close()

    @property
    def prometheus_pid(self) -> int:
        return self._processes[-1].pid

    def replace_rules(self, text: str) -> str:
        """From now on Prometheus evaluates these; what it evaluated before."""
        path = self._folder / "rules.yaml"
        former = path.read_text()
        path.write_text(text)
        self._processes[-1].send_signal(signal.SIGHUP)
        return former

    def discover(self, job: str, addresses: Sequence[str]) -> None:
        """From now on Prometheus looks for the job's monitors here."""
        new = self._folder / f"{job}.new"
        new.write_text(json.dumps([{"targets": list(addresses)}]))
        new.replace(self._folder / f"{job}.json")

    def query(self, expression: str) -> list[dict[str, Any]]:
        address = f"{self.url}/api/v1/query?query={urllib.parse.quote(expression)}"
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - loopback
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def _routing(self) -> str:
        """The example, with the pager in the place of every receiver."""
        shipped = self._clock.shortened((DEPLOY / "alertmanager.yaml").read_text())
        routing = yaml.safe_load(shipped)
        for receiver in routing["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = f"http://{LOOPBACK}:{self.pager.port}/{receiver['name']}"
        return json.dumps(routing)

    def _scraping(self, alertmanager: str) -> str:
        rules = self._folder / "rules.yaml"
        rules.write_text(self._clock.shortened((DEPLOY / "rules.yaml").read_text()))
        shipped = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
        [scrape] = shipped["scrape_configs"]
        del scrape["static_configs"]
        for job in self._jobs:
            self.discover(job, [])
        return json.dumps(
            {
                "global": {
                    "scrape_interval": self._step,
                    "scrape_timeout": self._step,
                    "evaluation_interval": self._step,
                },
                "rule_files": [str(rules)],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
                "scrape_configs": [
                    {
                        **scrape,
                        "job_name": job,
                        "file_sd_configs": [{"files": [str(self._folder / f"{job}.json")]}],
                    }
                    for job in self._jobs
                ],
            }
        )

    def _start(self, program: str, configuration: str, options: Sequence[str]) -> str:
        home = self._folder / program
        home.mkdir()
        (home / "config.yml").write_text(configuration)  # JSON is YAML
        storage = "storage.tsdb.path" if program == "prometheus" else "storage.path"
        address = f"{LOOPBACK}:{free_port()}"
        command = [
            program, f"--config.file={home / 'config.yml'}", f"--web.listen-address={address}",
            f"--{storage}={home / 'data'}", "--log.level=warn", *options,
        ]  # fmt: skip
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes.append(process)
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{address}/-/ready", timeout=10):
                    return address
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{program} does not start:\n{(home / 'log').read_text()}")
