"""dbt's `{{ env_var('NAME') }}` expressions: what they read, and what they come to.

They follow dbt's rules for profiles.yml: a value stays text unless a filter (`as_number`, `as_bool`,
`as_native`) or another expression type makes it something else. Nothing but `env_var` is in their reach.
"""

from __future__ import annotations

import re
from ast import literal_eval
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from jinja2 import Template

    from floe_monitor.compute.toolkit.expression_sandbox import MarkedText

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class UnresolvedError(Exception):
    """A reference that cannot be followed; the text names the variable or file, never a value."""


class ExpressionError(Exception):
    """An expression that cannot work, whatever the environment holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A text with `env_var` calls in it, compiled. `variables` are (name, default) in order."""

    source: str
    variables: tuple[tuple[str, str | None], ...]
    template: Template

    def evaluate(self, values: Mapping[str, str]) -> Any:
        """The value, with the variables looked up in `values`; raises `UnresolvedError`."""
        sandbox = _sandbox()

        def env_var(var: str, default: str | None = None) -> str:
            value = values.get(var, default)
            if value is None:
                raise UnresolvedError(f"environment variable {var} is not set")
            return value

        try:
            value = sandbox.render(self.template, {"env_var": env_var})
            return _plain(_converted(value) if isinstance(value, sandbox.MarkedText) else value)
        except UnresolvedError:
            raise
        except sandbox.LimitError:
            reason = "grows too large"
        except _ConversionError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - filters raise what they like, with values in the text
            reason = f"fails with {type(error).__name__}"
        names = ", ".join(name for name, _ in self.variables) or "nothing"
        raise UnresolvedError(f"the expression over {names} {reason}")


@lru_cache(maxsize=65536)
def parse_expression(text: str) -> Expression:
    """Compile; raises `ExpressionError`, which never repeats the text."""
    sandbox = _sandbox()
    try:
        variables, template = sandbox.compile_expression(text)
        if not variables:
            _try(sandbox, template)
    except sandbox.RefusedError as error:
        raise ExpressionError(str(error)) from None
    return Expression(text, variables, template)


def is_template(text: str) -> bool:
    """Whether dbt would render this text rather than take it as it is."""
    return "{" in text and ("{{" in text or "{%" in text or "{#" in text)


def expression_for(variable: str) -> str:
    """The expression that stands for a variable."""
    return f"{{{{ env_var('{variable}') }}}}"


def variable_of(value: object) -> str | None:
    """The name, where the value is exactly one `{{ env_var('NAME') }}` and so worth what the variable holds.

    None for whatever else is in it: a default, a filter, text around, a name no variable can have.
    """
    found = sole_variable(value)
    return found[0] if found is not None and found[1] is None else None


def sole_variable(value: object) -> tuple[str, str | None] | None:
    """Name and default, where the value is exactly one `env_var` call."""
    return _sole_variable(value) if isinstance(value, str) and is_template(value) else None


@lru_cache(maxsize=4096)
def _sole_variable(text: str) -> tuple[str, str | None] | None:
    sandbox = _sandbox()
    call = sandbox.env_var_call(text)
    if call is None:
        return None
    try:
        name, default = sandbox.arguments(call)
    except sandbox.RefusedError:
        return None
    return (str(name), default) if _VARIABLE.fullmatch(name) else None


def variables_in(text: str) -> tuple[str, ...]:
    """Every variable named by an `env_var` in the text, once each, in order; of invalid expressions too."""
    if not is_template(text):
        return ()
    try:
        names = [name for name, _ in parse_expression(text).variables]
    except ExpressionError:
        names = [_unquoted(part.spelling) for part in _parts(text) if part.kind == "variable"]
    return tuple(dict.fromkeys(names))


def hide_defaults(text: str, mask: str) -> str:
    """The text with `mask` for the default of every `env_var`; `mask` alone where it cannot be parsed."""
    if not is_template(text):
        return text
    parts = list(_parts(text))
    if any(part.kind == "invalid" for part in parts):
        return mask
    return "".join(f"'{mask}'" if part.kind == "default" else part.spelling for part in parts)


def holds_literal(text: str) -> bool:
    """Whether anything is written out in the text besides what its `env_var` calls name."""
    return not is_template(text) or any(part.kind in ("literal", "invalid") for part in _parts(text))


class _Part(NamedTuple):
    kind: Literal["variable", "default", "literal", "invalid", "other"]
    spelling: str


@dataclass(slots=True)
class _Bracket:
    """An open bracket. `call`: the innermost one around that is of an `env_var` call, perhaps itself."""

    call: _Bracket | None = None
    in_default: bool = False
    """Of a call: whether its default stands here."""


_WRITTEN_OUT = frozenset({"string", "integer", "float"})


def _parts(text: str) -> Iterator[_Part]:
    """The tokens of a template by what they mean to `env_var`."""
    brackets = [_Bracket()]
    name = ""
    for kind, spelling in _sandbox().tokens(text):
        call = brackets[-1].call
        if kind == "invalid":
            yield _Part("invalid", spelling)
        elif kind in _WRITTEN_OUT and call is not None and call.in_default:
            yield _Part("default", spelling)
        elif kind == "string" and call is not None:
            yield _Part("variable", spelling)
        elif kind in _WRITTEN_OUT or kind == "comment" or (kind == "data" and spelling.strip()):
            yield _Part("literal", spelling)
        else:
            if kind == "operator":
                _follow(brackets, spelling, name)
            yield _Part("other", spelling)
        if kind != "whitespace":
            name = spelling if kind == "name" else ""


def _follow(brackets: list[_Bracket], operator: str, name: str) -> None:
    inner = brackets[-1]
    if operator in ("(", "[", "{"):
        opened = _Bracket(inner.call)
        if operator == "(" and name == "env_var":
            opened.call = opened
        brackets.append(opened)
    elif operator in (")", "]", "}"):
        if len(brackets) > 1:
            brackets.pop()
    elif inner.call is inner:
        if operator == ",":
            inner.in_default = True
        elif operator == "=" and name in ("var", "default"):
            inner.in_default = name == "default"


def _unquoted(spelling: str) -> str:
    inner = spelling[1:-1]
    try:
        return inner.encode("ascii", "backslashreplace").decode("unicode-escape") if "\\" in inner else inner
    except UnicodeDecodeError:
        return inner


def _sandbox() -> ModuleType:
    from floe_monitor.compute.toolkit import expression_sandbox  # noqa: PLC0415 - Jinja: most need it never

    return expression_sandbox


def _try(sandbox: Any, template: Template) -> None:
    """What reads no variable comes to the same at any time: too much, perhaps."""
    try:
        sandbox.render(template, {})
    except sandbox.LimitError:
        raise ExpressionError("the expression grows too large") from None
    except Exception:  # noqa: BLE001, S110 - reported when it is evaluated
        pass


class _ConversionError(ValueError):
    """Its text is ours and safe to show."""


def _plain(value: Any) -> Any:
    """The value, made of YAML's own types alone. Jinja hands on whatever an expression names: methods, views,
    and undefined attributes, which raise in the hands of whoever looks at them."""
    kind = type(value)
    if kind in (bool, int, float, type(None)):
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if kind in (list, tuple):
        return kind(_plain(item) for item in value)
    if kind is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    raise _ConversionError("comes to nothing that YAML has: no text, number, list or mapping")


def _converted(value: MarkedText) -> Any:
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
