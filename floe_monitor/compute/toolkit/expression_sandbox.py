"""The Jinja environment of `env_var` expressions: dbt's rules, and a bound on what an expression can cost.

An expression is untrusted input. What could take time or memory out of proportion to its text (loops,
assignments, padding, most filters) is refused when it is compiled; what multiplies texts (`*`, `replace`,
`join`, `format`) is refused when it runs and would grow beyond `MAX_RESULT`. Every other operation is linear
in its operands, and without assignments no operand is used twice.

Imported at the first expression: Jinja costs 50 ms.
"""

from __future__ import annotations

import functools
import re
from operator import length_hint
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes, pass_context
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jinja2 import Template
    from jinja2.runtime import Context

MAX_CHARACTERS = 32 << 10
MAX_NODES = 500
MAX_DEPTH = 48
MAX_RESULT = 1 << 18
"""Characters of a text that an operation may make."""
MAX_BITS = 1 << 14
"""Of a whole number."""

_FILTERS = """
    abs capitalize count d default e escape first float forceescape format int join last length list lower
    replace reverse safe string title tojson trim upper urlencode wordcount
"""
_METHODS = """
    capitalize casefold count endswith find format get isalnum isalpha isdigit items join keys lower lstrip
    partition removeprefix removesuffix replace rpartition rsplit rstrip split splitlines startswith strip
    swapcase title upper values
"""
_NODES = (
    *(nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Const, nodes.Tuple, nodes.List),
    *(nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr),
    *(nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.CondExpr),
    *(nodes.BinExpr, nodes.UnaryExpr),
)
_READING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_WIDE = re.compile(r"\d{4}|%[^a-zA-Z%]*\*|\{[^{}:]*:[^{}]*\{")
"""A width in a format text that is large, or comes from an argument."""


class RefusedError(Exception):
    """The expression cannot work. The text is ours and repeats nothing of it but names."""


class LimitError(Exception):
    """The expression would grow beyond its bounds."""


class MarkedText(str):
    """What dbt's conversion filters return: converted once the whole expression is rendered."""

    __slots__ = ("kind",)
    kind: str


class Sandbox(ImmutableSandboxedEnvironment):
    code_generator_class = NativeCodeGenerator
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.globals.clear()
        self.filters = {name: _bounded(name, self.filters[name]) for name in _FILTERS.split()}
        for kind in ("text", "native", "bool", "number"):
            self.filters[f"as_{kind}"] = _marker(kind)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            _check_growth("format", left, right if isinstance(right, tuple) else (right,))
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check(left.bit_length() * abs(right), MAX_BITS)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        name = getattr(function, "__name__", "")
        subject = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        _check_growth(name, subject, [*args, *kwargs.values()])
        return super().call(context, function, *args, **kwargs)


@functools.lru_cache(maxsize=1)
def sandbox() -> Sandbox:
    return Sandbox()


def compile_expression(text: str) -> tuple[tuple[tuple[str, str | None], ...], Template]:
    """The variables it reads as (name, default), and the template. Raises `RefusedError`."""
    try:
        tree = parse(text)
        variables = _checked(tree)
        return variables, sandbox().from_string(tree)
    except RefusedError:
        raise
    except TemplateError as error:
        raise RefusedError(_syntax_problem(error)) from None
    except RecursionError:
        raise RefusedError("not a valid expression: it is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - a number of too many digits, brackets beyond the compiler's limit
        raise RefusedError(_syntax_problem(error)) from None


def parse(text: str) -> nodes.Template:
    if len(text) > MAX_CHARACTERS:
        raise RefusedError(f"an expression may have {MAX_CHARACTERS} characters at most")
    return sandbox().parse(text)


def env_var_call(text: str) -> nodes.Call | None:
    """The call, where the whole text is one expression that only calls `env_var`."""
    try:
        match parse(text).body:
            case [nodes.Output(nodes=[nodes.Call() as call])] if _is_env_var(call):
                return call
    except Exception:  # noqa: BLE001 - no valid expression, see compile_expression
        return None
    return None


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and spelling of every token, white space and comments included, up to the first that is none."""
    try:
        for _, kind, spelling in sandbox().lex(text):
            yield kind, spelling
    except TemplateError:
        yield "invalid", ""


def arguments(call: nodes.Call) -> tuple[str, str | None]:
    """Name and default of an `env_var` call."""
    named = {keyword.key: keyword.value for keyword in call.kwargs}
    given = [*call.args, *(named.pop(key) for key in ("var", "default") if key in named)]
    values = [getattr(item, "value", _NOT_TEXT) for item in given]
    fits = 1 <= len(values) <= 2 and not (named or call.dyn_args or call.dyn_kwargs)
    if not fits or not isinstance(values[0], str) or not values[0]:
        raise RefusedError("env_var takes a name in quotes, and a default if you like")
    default = values[1] if len(values) == 2 else None
    if default is None or isinstance(default, str):
        return values[0], default
    if isinstance(default, bool) or not isinstance(default, int | float):
        raise RefusedError("the default of env_var is to be in quotes")
    return values[0], str(default)


_NOT_TEXT = object()


def join(parts: Iterable[Any]) -> Any:
    """dbt's joining: several parts make text, one part keeps its type."""
    found = list(parts)
    if not found:
        return ""
    if len(found) == 1:
        return found[0]
    texts, size = [], 0
    for part in found:
        texts.append(str(part))
        size += len(texts[-1])
        _check(size, MAX_RESULT)
    return "".join(texts)


def render(template: Template, names: Mapping[str, Any]) -> Any:
    return join(template.root_render_func(template.new_context(dict(names))))


def _checked(tree: nodes.Template) -> tuple[tuple[str, str | None], ...]:
    """Raises `RefusedError` for all that is not allowed; the variables otherwise."""
    found = list(_walk(tree))
    unknown = sorted(meta.find_undeclared_variables(tree) - {"env_var"})
    if unknown:
        raise RefusedError(f"only env_var() can be used here, not {', '.join(unknown)}")
    if any(isinstance(node, _READING) for node in found):
        raise RefusedError("an expression cannot read other templates")
    calls = [node for node in found if isinstance(node, nodes.Call)]
    variables = [call for call in calls if _is_env_var(call)]
    if len(variables) != sum(isinstance(node, nodes.Name) and node.name == "env_var" for node in found):
        raise RefusedError("env_var is to be called: {{ env_var('NAME') }}")
    for node in found:
        if not isinstance(node, _NODES):
            raise RefusedError(f"an expression cannot hold a {type(node).__name__.lower()} statement")
        if isinstance(node, nodes.Filter) and node.name not in sandbox().filters:
            raise RefusedError(_UNKNOWN_FILTER)
    for call in calls:
        if not _is_env_var(call) and not (
            isinstance(call.node, nodes.Getattr) and call.node.attr in _METHODS.split()
        ):
            raise RefusedError(f"an expression cannot call {getattr(call.node, 'attr', 'this')}()")
    return tuple(arguments(call) for call in variables)


def _walk(tree: nodes.Template) -> Iterator[nodes.Node]:
    """Every node below the template, in the order of the text. Raises beyond `MAX_DEPTH` or `MAX_NODES`."""
    rest: list[tuple[nodes.Node, int]] = [(node, 1) for node in reversed(tree.body)]
    count = 0
    while rest:
        node, depth = rest.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise RefusedError(
                f"not a valid expression: it is {'nested too deeply' if depth > MAX_DEPTH else 'too long'}"
            )
        yield node
        rest += [(child, depth + 1) for child in reversed(list(node.iter_child_nodes()))]


def _is_env_var(call: nodes.Call) -> bool:
    return getattr(call.node, "name", None) == "env_var"


_UNKNOWN_FILTER = "this expression uses a filter that is not known"


def _syntax_problem(error: Exception) -> str:
    if "filter" in str(error):
        return _UNKNOWN_FILTER
    return f"not a valid expression ({type(error).__name__}): expected {{{{ env_var('NAME') }}}}"


def _marker(kind: str) -> Callable[[object], MarkedText]:
    def mark(value: object) -> MarkedText:
        marked = MarkedText(value)
        marked.kind = kind
        return marked

    return mark


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that neither multiplies texts beyond the bound nor returns one beyond it."""
    wanted = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    # With the context the compiler cannot fold constants, which it would do again at every level of a chain.
    @pass_context
    def call(context: Context, subject: Any, /, *args: Any, **kwargs: Any) -> Any:
        _check_growth(name, subject, [*args, *kwargs.values()])
        passed = {"eval_context": (context.eval_ctx,), "environment": (context.environment,)}.get(wanted, ())
        result = function(*passed, subject, *args, **kwargs)
        if isinstance(result, str):
            _check(len(result), MAX_RESULT)
        return result

    return call


def _check_growth(name: str, subject: Any, arguments: Iterable[Any]) -> None:
    if name in ("replace", "join"):
        times = length_hint(subject) + 1
    elif name == "format":
        text = str(subject)
        times = text.count("{") + text.count("%")
        if _WIDE.search(text):
            raise LimitError
    else:
        return
    _check(times * max((len(str(argument)) for argument in arguments), default=0), MAX_RESULT)


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check(left.bit_length() + right.bit_length(), MAX_BITS)
    elif isinstance(left, int) or isinstance(right, int):
        times, value = (left, right) if isinstance(left, int) else (right, left)
        if not isinstance(value, float):
            _check(times * len(str(value)), MAX_RESULT)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise LimitError
