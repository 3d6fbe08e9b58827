from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance import environments, postgres_servers
from conformance.pod import images as pod_images
from conformance.pod.container import Image
from deploy import images
from deploy.chart import DBT_JOB, with_dependencies
from tests.deploy.charts import need_helm
from tests.deploy.pod.pods import DBT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PROJECT = Path(__file__).with_name("project")


@pytest.fixture(scope="session")
def job_chart(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """deploy/helm/dbt-job with the chart inside."""
    need_helm()
    return with_dependencies(DBT_JOB, tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="session")
def duckdb(image: images.Image, root: Path) -> dict[str, Image]:
    return {image.name.removeprefix("localhost/"): pod_images.of(image, root)}


@pytest.fixture(scope="session")
def debian(starts_processes: None) -> Iterator[Image]:
    """The base that images are made over."""
    if reason := images.lacking():
        pytest.skip(reason)
    with images.mounted(images.base_image()) as root:
        yield Image(root, {"PATH": "/usr/bin:/bin"})


@pytest.fixture(scope="session")
def postgres(starts_processes: None) -> Iterator[dict[str, Image]]:
    if reason := images.lacking():
        pytest.skip(reason)
    image = images.built("postgres")
    with images.mounted(image.name) as root:
        yield {image.name.removeprefix("localhost/"): pod_images.of(image, root)}


@pytest.fixture
def with_dbt() -> Iterator[Callable[[str], dict[str, Image]]]:
    """The image that runs dbt with these requirements."""
    made = []

    def make(requirements: str) -> dict[str, Image]:
        if reason := environments.unwanted(requirements):
            pytest.skip(reason)
        if sys.version_info[:2] != (3, 11):
            pytest.skip("packages for another Python than the base's 3.11")
        manager = pod_images.dbt(requirements, PROJECT)
        made.append(manager)
        return {DBT: manager.__enter__()}

    yield make
    for manager in made:
        manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def server(starts_processes: None) -> Iterator[postgres_servers.Cluster]:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    yield cluster
    cluster.remove()


@pytest.fixture(autouse=True)
def programs() -> None:
    for program in ("bwrap", "unshare", "nsenter", "ip", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
