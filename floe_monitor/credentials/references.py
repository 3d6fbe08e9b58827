"""References to values kept elsewhere: `{env: …}` and `{file: …}`, and dbt's `{{ env_var('…') }}`.

Expressions follow dbt's rules for profiles.yml: a value stays text unless a filter (`as_number`, `as_bool`,
`as_native`) or another expression type makes it something else. Nothing but `env_var` is in their reach.
"""

from __future__ import annotations

import os
import stat
from ast import literal_eval
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jinja2 import Environment, Template

MAX_SECRET_BYTES = 256 * 1024


class UnresolvedError(Exception):
    """A reference that cannot be followed; the text names the variable or file, never a value."""


class ExpressionError(Exception):
    """An expression that cannot work, whatever the environment holds."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a credential is: a file wins over a variable, which then is only its name in profiles.yml."""

    env: str | None = None
    file: str | None = None

    def read(self, environ: Mapping[str, str]) -> str:
        if self.file is not None:
            return read_secret_file(self.file)
        value = environ.get(self.env or "")
        if value is None:
            raise UnresolvedError(f"environment variable {self.env} is not set")
        if not value:
            raise UnresolvedError(f"environment variable {self.env} is empty")
        return value


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: `connection.attach[0].path`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def as_reference(value: object) -> Reference | None:
    """The reference a mapping stands for: one of `env` and `file` alone, with texts for values."""
    if not isinstance(value, dict) or not value or not value.keys() <= {"env", "file"}:
        return None
    if not all(isinstance(item, str) and item for item in value.values()):
        return None
    return Reference(value.get("env"), value.get("file"))


def read_secret_file(path: str) -> str:
    """A file's text without one final newline. Waits for nothing: a pipe is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise UnresolvedError(f"file {path}: {reason.lower()}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnresolvedError(f"file {path}: not a regular file")
        content = b""
        while len(content) <= MAX_SECRET_BYTES and (
            chunk := os.read(descriptor, MAX_SECRET_BYTES + 1 - len(content))
        ):
            content += chunk
    except OSError as error:
        raise UnresolvedError(f"file {path}: {(error.strerror or 'unreadable').lower()}") from None
    finally:
        os.close(descriptor)
    return _text_of(content, path)


def _text_of(content: bytes, path: str) -> str:
    if len(content) > MAX_SECRET_BYTES:
        raise UnresolvedError(f"file {path}: larger than {MAX_SECRET_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UnresolvedError(f"file {path}: not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise UnresolvedError(f"file {path}: empty")
    return text


def is_template(text: str) -> bool:
    """Whether dbt would render this text rather than take it as it is."""
    return "{" in text and ("{{" in text or "{%" in text or "{#" in text)


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A text with `env_var` calls in it, compiled. `variables` are (name, default) in order."""

    source: str
    variables: tuple[tuple[str, str | None], ...]
    template: Template

    def evaluate(self, values: Mapping[str, str]) -> Any:
        """The value, with the variables looked up in `values`; raises `UnresolvedError`."""

        def env_var(var: str, default: str | None = None) -> str:
            value = values.get(var, default)
            if value is None:
                raise UnresolvedError(f"environment variable {var} is not set")
            return value

        try:
            context = self.template.new_context({"env_var": env_var})
            return _join(self.template.root_render_func(context))
        except UnresolvedError:
            raise
        except Exception as error:  # noqa: BLE001 - filters raise what they like, with values in the text
            names = ", ".join(name for name, _ in self.variables) or "nothing"
            reason = (
                str(error) if isinstance(error, _ConversionError) else f"fails with {type(error).__name__}"
            )
            raise UnresolvedError(f"the expression over {names} {reason}") from None


@lru_cache(maxsize=65536)
def parse_expression(text: str) -> Expression:
    """Compile; raises `ExpressionError`, which never repeats the text."""
    from jinja2 import TemplateError, meta, nodes  # noqa: PLC0415 - costs 50 ms, most need it never

    environment = _environment()
    try:
        tree = environment.parse(text)
        unknown = sorted(meta.find_undeclared_variables(tree) - {"env_var"})
        if unknown:
            raise ExpressionError(f"only env_var() can be used here, not {', '.join(unknown)}")
        if any(tree.find(kind) for kind in (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise ExpressionError("an expression cannot read other templates")
        calls = [call for call in tree.find_all(nodes.Call) if _is_env_var(call)]
        if len(calls) != sum(1 for name in tree.find_all(nodes.Name) if name.name == "env_var"):
            raise ExpressionError("env_var is to be called: {{ env_var('NAME') }}")
        variables = tuple(_arguments(call) for call in calls)
        template = environment.from_string(tree)
    except TemplateError as error:
        raise ExpressionError(_syntax_problem(error)) from None
    return Expression(text, variables, template)


def _is_env_var(call: Any) -> bool:
    return getattr(call.node, "name", None) == "env_var"


def _arguments(call: Any) -> tuple[str, str | None]:
    named = {keyword.key: keyword.value for keyword in call.kwargs}
    given = [*call.args, *(named[key] for key in ("var", "default") if key in named)]
    values = [getattr(item, "value", _NOT_TEXT) for item in given]
    if not 1 <= len(values) <= 2 or not isinstance(values[0], str) or not values[0] or call.dyn_args:
        raise ExpressionError("env_var takes a name in quotes, and a default if you like")
    default = values[1] if len(values) == 2 else None
    if default is not None and not isinstance(default, str):
        raise ExpressionError("the default of env_var is to be in quotes")
    return values[0], default


_NOT_TEXT = object()


def _syntax_problem(error: Exception) -> str:
    kind = type(error).__name__
    if "filter" in str(error):
        return "this expression uses a filter that is not known"
    return f"not a valid expression ({kind}): expected {{{{ env_var('NAME') }}}}"


class _ConversionError(ValueError):
    """Its text is ours and safe to show."""


class _Marked(str):
    """What dbt's conversion filters return, for `_join` to convert."""

    __slots__ = ("kind",)
    kind: str


def _marker(kind: str) -> Any:
    def mark(value: object) -> _Marked:
        marked = _Marked(value)
        marked.kind = kind
        return marked

    return mark


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - see parse_expression
    from jinja2.nativetypes import NativeCodeGenerator  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    class DbtEnvironment(ImmutableSandboxedEnvironment):
        code_generator_class = NativeCodeGenerator

    environment = DbtEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    for kind in ("text", "native", "bool", "number"):
        environment.filters[f"as_{kind}"] = _marker(kind)
    return environment


def _join(parts: Iterable[Any]) -> Any:
    """dbt's joining: several parts make text, one part keeps its type, marked ones are converted."""
    found = list(parts)
    if not found:
        return ""
    if len(found) > 1:
        return "".join(str(part) for part in found)
    value = found[0]
    if not isinstance(value, _Marked):
        return value
    if value.kind == "text":
        return str(value)
    try:
        converted = literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        converted = str(value)
    number = isinstance(converted, int | float) and not isinstance(converted, bool)
    if value.kind == "bool" and not isinstance(converted, bool):
        raise _ConversionError("is no True or False for as_bool")
    if value.kind == "number" and not number:
        raise _ConversionError("is no number for as_number")
    return converted
