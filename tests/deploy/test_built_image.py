"""The `duckdb` image, built and run as Kubernetes would run it: two users, a root that cannot be written."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy import images
from deploy.containers import DATA, Container, imports, volumes
from floe_monitor import __version__
from tests.harness.polling import settled

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]

MOST = 190_000_000
"""Bytes over the base: 189 MB in November 2026, 145 of them DuckDB and its extensions."""
USERS = {"the image's": (10001, 10001), "the cluster's": (1_000_660_000, 0)}
"""User and group; OpenShift's are random, in group 0."""


def test_it_says_what_it_is(image: images.Image) -> None:
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.base.name"].startswith("localhost/base-")
    assert labels["floe-monitor.engines"] == "duckdb"
    assert image.config["User"] == "10001:10001"
    assert image.config["Healthcheck"]["Test"] == ["CMD", "floe-monitor", "healthcheck"]
    secrets = [each for each in image.config["Env"] if "PIP" in each or "SSL" in each]
    assert not secrets, "an index's address would be in it"


def test_it_is_as_small_as_it_was(image: images.Image) -> None:
    assert image.size - image.base_size < MOST


def test_nothing_in_it_builds_or_installs_packages(root: Path) -> None:
    """Nor gives its user another's rights, nor knows how pip found its index."""
    left = [
        str(path.relative_to(root))
        for pattern in (
            "pip",
            "setuptools",
            "wheel",
            "hatchling",
            "ensurepip",
            "*.whl",
            "pip.conf",
            "pip.crt",
        )
        for path in (
            *root.glob(f"opt/**/{pattern}"),
            *root.glob(f"usr/**/{pattern}"),
            *root.glob(f"etc/**/{pattern}"),
        )
        if path.is_dir() or path.stat().st_size
    ]
    assert not left
    compilers = [name for name in ("gcc", "cc", "make", "ld") for path in root.glob(f"usr/bin/{name}")]
    assert not compilers
    assert not [path for path in root.glob("usr/**/*") if path.is_file() and path.stat().st_mode & 0o6000]


def test_nothing_that_is_left_wants_what_was_left_out(
    image: images.Image, root: Path, tmp_path: Path
) -> None:
    """`deploy/docker/shrink.py` takes parts of packages away: each module that stays is imported."""
    mounts = volumes(root, tmp_path, {})
    count, missing = imports(Container(image, root, user=10001, group=10001, volumes=mounts))
    assert missing == {}
    assert count > 1000


# ---------------------------------------------------------------- running


@contextmanager
def running(
    image: images.Image, root: Path, folder: Path, port: int, user: int, group: int
) -> Iterator[tuple[Container, Path]]:
    """A daemon with a DuckDB and an Iceberg target, and its log."""
    memory = {"path": ":memory:"}
    configuration = {
        "http": {"host": "0.0.0.0", "port": port, "public_read": True},  # noqa: S104 - as in a pod
        "log": {"format": "json"},
        "history": {"url": f"sqlite:///{DATA}/history.db"},
        "profiles": [{"name": "project", "path": f"{DATA}/profiles.yml", "target": "dev"}],
        "targets": {
            "dev": {"plugin": "duckdb", "connection": memory},
            "lake": {"plugin": "duckdb", "connection": {**memory, "extensions": ["httpfs", "iceberg"]}},
        },
    }
    container = Container(
        image,
        root,
        user=user,
        group=group,
        volumes=volumes(root, folder, configuration),
        environment={"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    )
    log = folder / "log"
    container.start(log)
    try:
        yield container, log
    finally:
        container.kill()


def asked(port: int, route: str) -> Any:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://127.0.0.1:{port}{route}", timeout=10
    ) as answer:
        return json.load(answer)


@pytest.mark.parametrize(("user", "group"), USERS.values(), ids=USERS)
def test_it_watches_answers_and_stops(
    image: images.Image, root: Path, tmp_path: Path, unused_tcp_port: int, user: int, group: int
) -> None:
    with running(image, root, tmp_path, unused_tcp_port, user, group) as (container, log):
        ready = ("floe-monitor", "healthcheck", "--ready")
        settled(lambda: container.run(*ready).returncode == 0)
        # Past the proxy that the environment names, at the port of the configuration.
        checked = container.run(*image.config["Healthcheck"]["Test"][1:])
        assert checked.returncode == 0, checked.stderr
        status = Path(f"/proc/{container.process_1}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] == str(user)
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"] == "1"

        targets = {each["name"]: each for each in asked(unused_tcp_port, "/api/v1/targets")["targets"]}
        assert {name: each["status"] for name, each in targets.items()} == {
            "dev": "healthy",
            "lake": "healthy",
        }
        written = yaml.safe_load((tmp_path / "data" / "profiles.yml").read_text())
        assert written["project"]["outputs"]["dev"]["type"] == "duckdb"
        assert asked(unused_tcp_port, "/api/v1/status")["history_problem"] is None
        settled(lambda: "dev" in container.run("floe-monitor", "history").stdout)
        assert "Read-only file system" in container.run("touch", "/opt/floe-monitor/x").stderr

        assert container.stop(timeout=60) == 0
        said = log.read_text()
        assert '"stopped"' in said
        assert "Traceback" not in said
        assert container.run(*image.config["Healthcheck"]["Test"][1:]).returncode == 1
