"""Files that everybody may write are told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floe_monitor.settings import load
from floe_monitor.settings.file_modes import exposed_files, referenced_files

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def closed(here: Path) -> Iterator[None]:
    here.chmod(0o755)
    yield
    here.chmod(0o700)


def test_files_and_directories_by_their_modes(here: Path) -> None:
    for name, mode in (("open", 0o666), ("group", 0o664), ("own", 0o600)):
        Path(name).write_text("x")
        Path(name).chmod(mode)
    for name, mode in (("shared", 0o777), ("sticky", 0o1777)):
        Path(name).mkdir()
        Path(name, "key").write_text("x")
        Path(name).chmod(mode)
    Path("link").symlink_to("shared/key")
    Path("loop").symlink_to("loop")
    paths = ["open", "open", "group", "own", "sticky/key", "absent", "loop", "nul\0", "link"]
    first, second = exposed_files(paths)
    assert first == "everybody may write open (mode 0666): `chmod o-w` it"
    assert second.startswith("everybody may replace link, for everybody may write its directory")
    assert second.endswith(f"{here.resolve()}/shared (mode 0777): `chmod o-w` it")


def test_every_reference_of_a_configuration_counts() -> None:
    first = {"x": {"file": "1"}, "y": {"env": "Y"}}
    second = {"credentials": {"z": {"env": "Z", "file": "3"}}}
    document = {
        "targets": {
            "a": {"credentials": first, "connection": {"l": [{"k": {"file": "2"}}]}},
            "b": {"catalog": second, "connection": {"file": 5}},
        },
        "otlp": {"headers": {"h": {"file": "4"}}},
    }
    assert list(referenced_files(document)) == ["1", "2", "3", "4"]


def test_all_that_is_read_is_looked_at(here: Path) -> None:
    Path("secrets").mkdir()
    Path("secrets/FLOE_MONITOR_PROBE__INTERVAL").write_text("5s")
    Path("more.yaml").write_text("targets: {dev: {plugin: x, credentials: {p: {file: key}}}}")
    Path("config.yaml").write_text("include: [more.yaml]")
    loaded = load(Path("config.yaml"), {"FLOE_MONITOR_SECRETS_DIR": "secrets"})
    names = {Path(path).name for path in loaded.trusted}
    assert names == {"config.yaml", "more.yaml", "FLOE_MONITOR_PROBE__INTERVAL", "key"}
