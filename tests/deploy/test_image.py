"""The Dockerfile, as far as it can be judged without building: what it takes, installs and runs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import yaml

from deploy.chart_values import Values
from floe_monitor.settings.models import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"


class Instruction(NamedTuple):
    name: str
    arguments: str


def stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions by stage, what precedes the first FROM left out."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        name, arguments = line.split(maxsplit=1)
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(name, arguments))
    return found


def arguments(stage: list[Instruction], name: str) -> list[str]:
    return [each.arguments for each in stage if each.name == name]


def copied(stage: list[Instruction]) -> list[tuple[list[str], str]]:
    """Sources within the repository, and where they go."""
    plain = [each.split() for each in arguments(stage, "COPY") if not each.startswith("--from")]
    return [(each[:-1], each[-1]) for each in plain]


def test_the_base_is_pinned_and_of_the_version_the_project_is_tested_with() -> None:
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    for stage in stages():
        assert stage[0].arguments.startswith("${PYTHON_IMAGE}")


def test_it_runs_as_a_numbered_user_that_kubernetes_can_check() -> None:
    final = stages()[-1]
    (user,) = arguments(final, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    context = Values().pod_security_context
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    after = [each.name for each in final[final.index(Instruction("USER", user)) :]]
    assert "RUN" not in after


def test_third_parties_come_by_hash_and_nothing_else_from_the_network() -> None:
    [script] = arguments(stages()[0], "RUN")
    installs = [each for each in script.split(";") if re.search(r"pip\b.* (install|wheel) ", each)]
    assert len(installs) == 3
    for each in installs:
        assert "--no-deps --require-hashes" in each or "--no-index --no-deps" in each


def test_the_engines_are_those_that_make_dist_has_requirements_of() -> None:
    """What the shell reads of `dist` for `all`, and by the name of an engine."""
    [script] = arguments(stages()[0], "RUN")
    assert "/dist/requirements-$engine.txt" in script
    assert re.search(r"grep -vx build\b", script)
    labels = " ".join(arguments(stages()[-1], "LABEL"))
    assert 'floe-monitor.engines="${ENGINES}"' in labels
    assert all(
        f"org.opencontainers.image.{key}=" in labels
        for key in ("version", "revision", "base.name", "licenses")
    )


def test_the_health_check_and_the_command_are_the_projects_own() -> None:
    final = stages()[-1]
    (check,) = arguments(final, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command == ["floe-monitor", "healthcheck"]
    assert arguments(final, "EXPOSE") == [str(Settings().http.port)]
    (entrypoint,) = (json.loads(each) for each in arguments(final, "ENTRYPOINT"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert entrypoint[0] in scripts


def test_the_default_configuration_is_valid_and_keeps_to_what_may_be_written() -> None:
    settings = Settings.model_validate(yaml.safe_load((DOCKER / "floe-monitor.yaml").read_text()))
    (workdir,) = arguments(stages()[-1], "WORKDIR")
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - inside a container
    assert all(Path(profile.path).parent == Path(workdir) for profile in settings.profiles)
    (command,) = (json.loads(each) for each in arguments(stages()[-1], "CMD"))
    destinations = [destination for _, destination in copied(stages()[-1])]
    assert command[command.index("--config") + 1] in destinations


def test_the_builder_is_sent_what_is_taken_and_no_more() -> None:
    lines = [
        line for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] != "#"
    ]
    sent = {line[1:] for line in lines if line.startswith("!")}
    sources = {source for stage in stages() for paths, _ in copied(stage) for source in paths}
    mounted = re.findall(r"--mount=type=bind,source=([^,]+),", arguments(stages()[0], "RUN")[0])
    assert lines[0] == "*"
    assert sent == {*sources, *mounted}
    assert all((ROOT / source).exists() for source in sources)
