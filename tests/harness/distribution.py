"""A pytest plugin: what several workers of one run share out among them.

A file's tests stay together, and so do those of files that share a server. What takes longest is begun first,
so that no worker is left with it at the end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARING = {
    "plugins/postgres/": "postgres",
    "plugins/duckdb/tests/test_iceberg": "lakehouse",
    "plugins/spark/tests/test_real_server.py": "spark",
    "plugins/trino/tests/test_real_": "trino",
    "plugins/clickhouse/tests/test_real_": "clickhouse",
    "tests/deploy/test_chart": "chart",
    "tests/deploy/test_built_image.py": "images",
    "tests/deploy/pod/": "images",
}
"""By the beginning of a test's identifier: files that use one server, or what else takes long to make."""

LONGEST = (
    "spark",
    "trino",
    "lakehouse",
    "images",
    "plugins/duckdb/tests/test_hammer.py",
    "plugins/spark/tests/test_bounds.py",
    "tests/testing/test_kit_on_networks.py",
    "postgres",
    "plugins/bigquery/tests/test_conformance.py",
    "tests/testing/test_kit.py",
    "tests/goldens/test_cli.py",
    "plugins/spark/tests/test_conformance.py",
    "plugins/databricks/tests/test_conformance.py",
    "plugins/trino/tests/test_conformance.py",
    "plugins/redshift/tests/test_conformance.py",
    "plugins/trino/tests/test_bounds.py",
    "plugins/clickhouse/tests/test_conformance.py",
    "plugins/bigquery/tests/test_bounds.py",
    "tests/e2e/test_daemon.py",
    "plugins/duckdb/tests/test_conformance.py",
    "plugins/snowflake/tests/test_conformance.py",
    "tests/harness/test_leftovers.py",
    "tests/testing/test_writing_a_plugin.py",
    "tests/registry/test_upstream.py",
    "tests/deploy/test_locks.py",
    "tests/e2e/test_soak.py",
    "tests/docs/test_site.py",
    "tests/e2e/test_signals.py",
    "tests/e2e/test_abuse.py",
    "tests/e2e/test_shortage.py",
    "tests/testing/test_punctuality.py",
    "tests/deploy/test_ci.py",
    "chart",
    "tests/profiles/test_processes.py",
    "tests/cli/test_import_corpus.py",
    "tests/harness/test_distribution.py",
    "tests/cli/test_process.py",
    "plugins/snowflake/tests/test_bounds.py",
    "tests/settings/test_watcher.py",
    "tests/probing/test_containment.py",
    "plugins/spark/tests/test_connection_reuse.py",
    "plugins/snowflake/tests/test_connection_reuse.py",
    "tests/probing/test_scheduler.py",
    "plugins/bigquery/tests/test_connection_reuse.py",
    "tests/compute/toolkit/test_http_client.py",
    "tests/deploy/test_rules.py",
    "tests/telemetry/test_otel.py",
    "tests/settings/test_yaml_composer.py",
    "tests/profiles/test_merge.py",
)
"""Files and servers, by the time that their tests take together."""


_apart = pytest.StashKey[dict[pytest.Item, str]]()


def group_of(identifier: str) -> str:
    """Which tests one stays with: the name of a server, or of its file."""
    for beginning, name in SHARING.items():
        if identifier.startswith(beginning):
            return name
    return identifier.partition("::")[0]


@pytest.fixture(scope="session")
def starts_processes() -> None:
    """A fixture that starts a process asks for this one.

    Its tests are marked `process`; those that share what it starts are to be of one group.
    """


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    config.stash[_apart] = {}
    _check(config, items)
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(group_of(item.nodeid), len(ranks)))


def _check(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """A server would be started once for each group, unseen: its tests fail instead."""
    users: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function):
            for name, found in item._fixtureinfo.name2fixturedefs.items():
                shared = found and found[-1].scope in {"module", "session"}
                if shared and "starts_processes" in found[-1].argnames:
                    users[found[-1].baseid, name].append(item)
    for (_, name), using in users.items():
        groups = {group_of(item.nodeid) for item in using}
        if len(groups) > 1:
            told = f"add to SHARING of tests/harness/distribution.py who shares {name!r}: {sorted(groups)}"
            config.stash[_apart] |= dict.fromkeys(using, told)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if told := item.config.stash.get(_apart, {}).get(item):
        pytest.fail(told)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "load":
        return None  # asked for by name
    from xdist.scheduler import LoadScopeScheduling

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = group_of
    config.option.loadscopereorder = False  # they are in the right order
    return scheduling
