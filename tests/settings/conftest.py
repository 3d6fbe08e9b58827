from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from floe_monitor.settings import ConfigurationError, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Read = Callable[..., Settings]
    Refused = Callable[..., list[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that places read `config.yaml:1:2`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read(here: Path) -> Read:
    def read(text: str, environ: Mapping[str, str] | None = None, **files: str) -> Settings:
        from pathlib import Path

        for name, content in files.items():
            Path(f"{name}.yaml").write_text(content)
        Path("config.yaml").write_text(text)
        return load(Path("config.yaml"), environ or {}).settings

    return read


@pytest.fixture
def refused(read: Read) -> Refused:
    def refused(text: str, environ: Mapping[str, str] | None = None, **files: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            read(text, environ, **files)
        return [str(problem) for problem in caught.value.problems]

    return refused
