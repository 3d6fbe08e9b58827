"""`config check|show|schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.loading import find_config, load_targets
from floe_monitor.cli.terminal import OK, CliError, write

if TYPE_CHECKING:
    from pathlib import Path


def check_config(config: Path | None) -> int:
    """A target whose plugin is missing is a problem here: the daemon would report it UNHEALTHY for ever."""
    loaded, targets = load_targets(config)
    problems = [
        f"  {loaded.locate(('targets', name, 'plugin'))}: targets.{name}: {target.entry.problem}"
        for name, target in targets.items()
        if target.entry.plugin is None
    ]
    if problems:
        raise CliError(f"the configuration {find_config(config)} cannot work here:", *problems)
    files = ", ".join(map(str, loaded.files))
    kept = len(loaded.settings.profiles)
    write(f"ok: {_count(len(targets), 'target')}, {_count(kept, 'profile')} in {files}")
    return OK


def show_config(config: Path | None, *, as_json: bool) -> int:
    from floe_monitor.credentials.masking import redacted  # noqa: PLC0415 - read by this command alone

    loaded, targets = load_targets(config)
    settings = loaded.settings.model_dump(mode="json", exclude_none=True)
    for name, target in targets.items():
        settings["targets"][name]["probe"] = target.policy.as_settings()
    shown = {key: redacted(value) for key, value in settings.items()}
    # A target may be called `token`: its name must not hide it.
    shown["targets"] = {name: redacted(value) for name, value in settings["targets"].items()}
    write(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else _yaml(shown))
    return OK


def print_schema() -> int:
    from floe_monitor.settings.schema import schema_text  # noqa: PLC0415 - read by this command alone

    write(schema_text().rstrip())
    return OK


def _yaml(value: Any) -> str:
    import yaml  # noqa: PLC0415 - JSON does without

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"
