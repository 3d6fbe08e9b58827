"""The image, as far as it can be proved without a container engine: what it copies, installs and runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from packaging.requirements import Requirement

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
    installs = [each for each in arguments(stages()[0], "RUN") if " install " in each]
    assert installs
    for each in installs:
        assert "--no-deps --require-hashes" in each or "--no-index --no-deps" in each


def test_the_drivers_of_its_plugins_come_with_it() -> None:
    """Whatever the plugins that it copies require, extras included, apart from the monitor itself."""
    locked = (ROOT / "requirements" / "runtime.lock").read_text()
    for folder in plugins():
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        optional = project.get("optional-dependencies", {}).values()
        for wanted in {*project["dependencies"], *(each for extra in optional for each in extra)}:
            requirement = Requirement(wanted)
            if requirement.name != "floe-monitor":
                found = re.search(rf"^{requirement.name}==(\S+)", locked, re.MULTILINE)
                assert found, f"{folder} needs {wanted}"
                assert requirement.specifier.contains(found[1])


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


def test_the_builder_is_sent_what_is_copied_and_no_more() -> None:
    lines = [
        line for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] != "#"
    ]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    sources = {source for stage in stages() for paths, _ in copied(stage) for source in paths}
    assert sent == sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch(source, line) for line in lines[1:] if not line.startswith("!"))


def plugins() -> list[str]:
    """The folders of those that it has."""
    (install,) = [each for each in arguments(stages()[0], "RUN") if "--no-index" in each]
    return [word.removeprefix("./") for word in install.split() if word.startswith("./plugins/")]


@pytest.mark.process
@pytest.mark.slow
def test_the_copied_files_alone_build_and_run(tmp_path: Path) -> None:
    """The build stage's last step, on exactly the files it has, with the dependencies of this environment."""
    context, site = tmp_path / "src", tmp_path / "site"
    for sources, destination in copied(stages()[0]):
        for source in sources:
            to = context / (source if destination in {"./", source} else destination)
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "tests")
                shutil.copytree(ROOT / source, to, ignore=ignore)
            else:
                shutil.copy(ROOT / source, to)
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--root-user-action", "ignore", "--no-index", "--no-deps", "--no-build-isolation"),
            *("--target", str(site), ".", *(f"./{each}" for each in plugins())),
        ],
        cwd=context,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import floe_monitor; print(floe_monitor.__file__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip().startswith(str(site))
    assert (site / "floe_monitor" / "py.typed").exists()
    packaged = {path.relative_to(site) for path in (site / "floe_monitor").rglob("*") if path.is_file()}
    written = {
        path.relative_to(ROOT)
        for path in (ROOT / "floe_monitor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in packaged if "__pycache__" not in path.parts} == written
    for folder in plugins():
        assert list(site.glob(f"floe_monitor_{Path(folder).name}-*.dist-info/entry_points.txt"))
