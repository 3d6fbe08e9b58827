"""Which shard watches which target."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_monitor.domain.shards import Shard, ShardIndexError, assigned, resolve
from floe_monitor.settings.shard_models import ShardSettings

NAMES = st.text(max_size=40)


@given(NAMES, st.integers(1, 60), st.data())
def test_a_target_is_on_exactly_so_many_shards(name: str, count: int, data: st.DataObject) -> None:
    replicas = data.draw(st.integers(1, count))
    watching = [index for index in range(count) if Shard(index, count, replicas).watches(name)]
    assert len(watching) == replicas
    assert set(watching) == set(assigned(name, count, replicas))


@given(NAMES, st.integers(1, 60), st.integers(1, 4))
def test_one_more_shard_takes_a_place_or_changes_nothing(name: str, count: int, replicas: int) -> None:
    before, after = set(assigned(name, count, replicas)), set(assigned(name, count + 1, replicas))
    assert after - before <= {count}
    assert len(before - after) <= 1


@settings(max_examples=20)
@given(st.sets(NAMES, min_size=1, max_size=30), NAMES)
def test_a_target_added_moves_no_other(names: set[str], new: str) -> None:
    shard = Shard(1, 5, 2)
    before = {name for name in names if shard.watches(name)}
    assert {name for name in names | {new} if shard.watches(name)} - {new} == before - {new}


def test_assignments_stay_the_same_from_version_to_version() -> None:
    """Shards of two versions, while one replaces the other, must agree."""
    assert [assigned(name, 50, 3) for name in ("warehouse", "lake", "größe")] == PINNED


PINNED = [(49, 5, 40), (9, 4, 34), (26, 15, 11)]


@pytest.fixture(scope="module")
def placed() -> dict[int, list[tuple[int, ...]]]:
    """A hundred thousand targets on 50 shards, and on 51."""
    return {
        count: [assigned(f"tenant-{number % 977}-warehouse-{number}", count, 2) for number in range(100_000)]
        for count in (50, 51)
    }


@pytest.mark.gate
@pytest.mark.timeout(300)
def test_shards_have_equal_parts_of_a_hundred_thousand_targets(
    placed: dict[int, list[tuple[int, ...]]],
) -> None:
    for count, on in placed.items():
        loads = Counter(index for shards in on for index in shards)
        fair = 2 * len(on) / count
        assert len(loads) == count
        assert max(loads.values()) <= 1.06 * fair
        assert min(loads.values()) >= 0.94 * fair


@pytest.mark.gate
@pytest.mark.timeout(300)
def test_one_shard_more_moves_hardly_more_than_its_own_part(placed: dict[int, list[tuple[int, ...]]]) -> None:
    """And so one shard less: the two assignments the other way round."""
    watches = moved = 0
    for before, after in zip(placed[50], placed[51], strict=True):
        watches += len(before)
        moved += len(set(before) - set(after))
    assert 0 < moved / watches <= 1.2 / 50


@pytest.mark.parametrize(
    ("given", "environ", "hostname", "index"),
    [
        ({"index": 3}, {}, "x", 3),
        ({"index": "3"}, {}, "x", 3),
        ({"index": {"env": "POD_NAME"}}, {"POD_NAME": "floe-monitor-2"}, "x", 2),
        ({"index": {"env": "ORDINAL"}}, {"ORDINAL": "0"}, "x-3", 0),
        ({"index": {"env": "ORDINAL"}}, {"ORDINAL": "1\n"}, "x-3", 1),
        ({}, {}, "floe-monitor-1", 1),
        ({}, {}, "floe-monitor-1.floe-monitor.watch.svc.cluster.local", 1),
    ],
)
def test_the_ordinal_is_found(
    given: dict[str, object], environ: dict[str, str], hostname: str, index: int
) -> None:
    configured = ShardSettings.model_validate({"count": 4, "replicas": 2, **given})
    assert resolve(configured, environ, hostname) == Shard(index, 4, 2)


@pytest.mark.parametrize(
    ("given", "environ", "hostname", "said"),
    [
        ({"index": 4}, {}, "x", "the index 4 is too high: with shard.count 4 the last is 3"),
        ({"index": {"env": "POD_NAME"}}, {}, "x-1", "the environment variable POD_NAME is not set"),
        ({"index": {"env": "POD_NAME"}}, {"POD_NAME": "canary"}, "x-1", "POD_NAME holds no number"),
        ({"index": {"env": "POD_NAME"}}, {"POD_NAME": ""}, "x-1", "POD_NAME holds no number"),
        ({"index": {"env": "POD_NAME"}}, {"POD_NAME": "a-4"}, "x-1", "POD_NAME is too high"),
        ({"index": {"env": "POD_NAME"}}, {"POD_NAME": "a-01"}, "x-1", "POD_NAME holds no number"),
        ({}, {}, "floe-monitor-7d9f8b6c5-x2x9k", "does not end in `-` and a number"),
        ({}, {}, "ip-10-0-0-7", "the ordinal of the host name 'ip-10-0-0-7' is too high"),
        ({}, {}, "worker7", "does not end in `-` and a number"),
    ],
)
def test_an_ordinal_that_cannot_be_right_is_refused(
    given: dict[str, object], environ: dict[str, str], hostname: str, said: str
) -> None:
    with pytest.raises(ShardIndexError) as raised:
        resolve(ShardSettings.model_validate({"count": 4, **given}), environ, hostname)
    assert said in str(raised.value)
    assert "canary" not in str(raised.value)
