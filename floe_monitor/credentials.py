"""Credentials by reference: found in the environment or a file when needed, and scrubbed from texts."""

from __future__ import annotations

import base64
import functools
import json
import re
import stat
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_monitor.secrecy import is_secret_key, is_secret_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from floe_monitor.compute.models import ComputeConfig

MAX_FILE_BYTES = 1 << 20
SHORTEST_SCRUBBED = 3
"""A secret of one or two characters is not scrubbed: it would only tear words apart."""

_NAME = re.compile(r"""env_var\s*\(\s*(['"])(?P<name>.*?)\1""")
_SINGLE = re.compile(r"^\s*\{\{(?P<inside>(?:(?!\}\}).)*)\}\}\s*$", re.DOTALL)


class CredentialError(Exception):
    """A reference leads nowhere. The text names the variable or the file, never a value."""


class Redactor:
    """Replaces secrets in texts by `***`, also where they were quoted or encoded on the way."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(value for value in values if len(value) >= SHORTEST_SCRUBBED)
        self._forms: tuple[str, ...] | None = None

    def __call__(self, text: str) -> str:
        if not self._values or not text:
            return text
        if self._forms is None:
            found = {form for value in self._values for form in _forms(value)}
            self._forms = tuple(sorted(found, key=len, reverse=True))
        for form in self._forms:
            if form in text:
                text = text.replace(form, "***")
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Redactor) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} values)"


def _forms(value: str) -> set[str]:
    quoted = urllib.parse.quote(value, safe="")
    raw = value.encode("utf-8", "surrogatepass")
    forms = {
        value,
        quoted,
        quoted.lower(),
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        value.replace("'", "''"),
        value.replace("'", "\\'"),
        value.replace('"', '\\"'),
        value.replace("\\", "\\\\"),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    # A secret over several lines (a private key) shows line by line in some messages.
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        forms.update(line for line in lines if len(line) >= 12)
    return {form for form in forms if len(form) >= SHORTEST_SCRUBBED}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What to probe with now, and what scrubs its secrets from texts."""

    config: ComputeConfig
    redactor: Redactor


def is_reference(value: object) -> bool:
    """Whether a value within `connection` is `{env: NAME}` or `{file: PATH}`, or both."""
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {"env", "file"}
        and all(isinstance(v, str) for v in value.values())
    )


def read_reference(env: str | None, file: str | None, environ: Mapping[str, str]) -> str:
    """The credential itself: the file's where both are given. Raises `CredentialError`."""
    if file is not None:
        return _read_file(Path(file))
    assert env is not None  # noqa: S101 - a reference has one of them
    value = environ.get(env)
    if not value:
        state = "empty" if value == "" else "not set"
        raise CredentialError(f"the environment variable {env} is {state}")
    return value


def _read_file(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CredentialError(f"the credential file {path} is no regular file")
        with path.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CredentialError(f"the credential file {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise CredentialError(f"the credential file {path} is larger than {MAX_FILE_BYTES >> 20} MB")
    try:
        value = data.decode()
    except UnicodeDecodeError:
        raise CredentialError(f"the credential file {path} is not UTF-8") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise CredentialError(f"the credential file {path} is empty")
    return value


def variable_in_profile(target: str, key: str, env: str | None) -> str:
    """The variable by which dbt reads a credential. dbt hides values of names that begin DBT_ENV_SECRET_."""
    if env is not None:
        return env
    return "DBT_ENV_SECRET_" + re.sub(r"[^A-Z0-9]+", "_", f"{target}_{key}".upper())


def env_expression(variable: str) -> str:
    return f"{{{{ env_var('{variable}') }}}}"


def has_expression(value: object) -> bool:
    return isinstance(value, str) and "{{" in value


class Resolver:
    """Resolves the references and expressions in one tree of values, collecting the secrets it meets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.secrets: set[str] = set()

    def resolve(self, value: Any, *, secret: bool = False) -> Any:
        """The value with everything looked up. Raises `CredentialError`."""
        if isinstance(value, str):
            return self._expand(value, secret=secret) if "{{" in value else value
        if isinstance(value, dict):
            if is_reference(value):
                found = read_reference(value.get("env"), value.get("file"), self._environ)
                self.secrets.add(found)
                return found
            return {
                key: self.resolve(item, secret=secret or is_secret_key(key)) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.resolve(item, secret=secret) for item in value]
        return value

    def _expand(self, text: str, *, secret: bool) -> Any:
        missing: list[str] = []

        def env_var(name: str, default: str | None = None) -> str:
            value = self._environ.get(name, default)
            if value is None:
                missing.append(name)
                return ""
            if value and (secret or is_secret_variable(name)):
                self.secrets.add(value)
            return value

        try:
            found = _render(text)(env_var)
        except CredentialError:
            raise
        except Exception as error:  # noqa: BLE001 - jinja2's own or a filter's; its text may hold the value
            names = ", ".join(match["name"] for match in _NAME.finditer(text)) or "an expression"
            raise CredentialError(f"{names} cannot be evaluated ({type(error).__name__})") from None
        if missing:
            raise CredentialError(f"the environment variable {missing[0]} is not set")
        if secret and isinstance(found, str) and found:
            self.secrets.add(found)
        return found


@functools.lru_cache(maxsize=4096)
def _render(text: str) -> Callable[[Callable[..., str]], Any]:
    """How dbt reads it: one expression alone keeps the type its filters give, anything else is text."""
    environment = _jinja()
    single = _SINGLE.match(text)
    if single is not None:
        expression = environment.compile_expression(single["inside"], undefined_to_none=False)
        return lambda env_var: _defined(expression(env_var=env_var))
    template = environment.from_string(text)
    return lambda env_var: template.render(env_var=env_var)


def _defined(value: Any) -> Any:
    from jinja2 import Undefined  # noqa: PLC0415 - only where expressions are used

    if isinstance(value, Undefined):
        raise CredentialError("an expression uses something other than env_var")
    return value


@functools.cache
def _jinja() -> Any:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - only where expressions are used
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415 - as above

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters.update(
        as_number=_number, as_bool=_boolean, as_native=_native, as_text=str, int=int, float=float
    )
    return environment


def _number(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        return float(value)


def _boolean(value: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return words[str(value).strip().lower()]


def _native(value: str) -> Any:
    import ast  # noqa: PLC0415 - rare

    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
