"""Expressions, as dbt reads them; and what no expression may cost."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    UnresolvedError,
    expression_for,
    hide_defaults,
    holds_literal,
    is_template,
    parse_expression,
    variable_of,
    variables_in,
)
from tests.growth import is_linear

ENVIRON = {"A": "1", "S": "x y", "T": "True", "F": "1.5", "L": "[1, 2]", "E": ""}
ODD = {"SET": "{'canary', 2}", "BYTES": "b'canary'"}
NO_VALUE = "comes to nothing that YAML has: no text, number, list or mapping"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ env_var('A') }}", "1"),
        ('{{env_var("A")}}', "1"),
        ("{{ env_var('A') }}-{{ env_var('S') }}", "1-x y"),
        ("a {{ env_var('E') }} b", "a  b"),
        ("{{ env_var('E') }}", ""),
        ("{{ env_var('NO', 'default') }}", "default"),
        ("{{ env_var(var='NO', default='d') }}", "d"),
        ("{{ env_var('A', 'default') }}", "1"),
        ("{{ env_var('A') | as_number }}", 1),
        ("{{ env_var('F') | as_number }}", 1.5),
        ("{{ env_var('A') | int }}", 1),
        ("{{ env_var('T') | as_bool }}", True),
        ("{{ env_var('L') | as_native }}", [1, 2]),
        ("{{ env_var('S') | as_native }}", "x y"),
        ("{{ env_var('A') | as_text }}", "1"),
        ("x{{ env_var('A') | as_number }}", "x1"),
        ("{{ env_var('S') | upper }}", "X Y"),
        ("{{ env_var('S') | replace(' ', '') }}", "xy"),
        ("{% if env_var('A') == '1' %}one{% else %}other{% endif %}", "one"),
        ("{# a comment #}x", "x"),
    ],
)
def test_values_are_those_dbt_renders(text: str, value: object) -> None:
    found = parse_expression(text).evaluate(ENVIRON)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ env_var('NO') }}", "environment variable NO is not set"),
        ("{{ env_var('S') | as_number }}", "the expression over S is no number for as_number"),
        ("{{ env_var('T') | as_number }}", "the expression over T is no number for as_number"),
        ("{{ env_var('S') | as_bool }}", "the expression over S is no True or False for as_bool"),
        ("{{ ''.__class__.__mro__ }}", "the expression over nothing fails with SecurityError"),
        ("{{ env_var('S').nosuch }}", f"the expression over S {NO_VALUE}"),
        ("{{ env_var('S').__init__ }}", f"the expression over S {NO_VALUE}"),
        ("{{ [env_var('S')[99]] }}", f"the expression over S {NO_VALUE}"),
        ("{{ {'a': env_var('S').upper} }}", f"the expression over S {NO_VALUE}"),
        ("{{ {env_var('S'): 1}.items() }}", f"the expression over S {NO_VALUE}"),
        ("{{ [env_var('S')] | reverse }}", f"the expression over S {NO_VALUE}"),
        ("{{ self }}{{ env_var('NO', '') }}{{ env_var('S').x }}", "the expression over NO, S fails with"),
        ("{{ env_var('SET') | as_native }}", f"the expression over SET {NO_VALUE}"),
        ("{{ env_var('BYTES') | as_native }}", f"the expression over BYTES {NO_VALUE}"),
        ("{{ env_var('S') | int + env_var('A') }}", "the expression over S, A fails with TypeError"),
    ],
)
def test_what_fails_says_which_variable_and_never_its_value(text: str, said: str) -> None:
    with pytest.raises(UnresolvedError) as caught:
        parse_expression(text).evaluate({**ENVIRON, **ODD})
    assert str(caught.value).startswith(said)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ env_var(name) }}", "only env_var() can be used here, not name"),
        ("{{ target.name }}{{ var('x') }}", "only env_var() can be used here, not target, var"),
        ("{{ range(3) }}", "only env_var() can be used here, not range"),
        ("{{ env_var }}", "env_var is to be called: {{ env_var('NAME') }}"),
        ("{{ [env_var][0]('A') }}", "env_var is to be called: {{ env_var('NAME') }}"),
        ("{{ env_var() }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(1) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(env_var('A')) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(*['A']) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var('A', True) }}", "the default of env_var is to be in quotes"),
        ("{{ env_var('A') | nope }}", "this expression uses a filter that is not known"),
        ("{{ env_var('A'", "not a valid expression (TemplateSyntaxError): expected {{ env_var('NAME') }}"),
        ("{% include 'x' %}", "an expression cannot read other templates"),
    ],
)
def test_what_cannot_work_is_refused_beforehand(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert str(caught.value).startswith(said)


def test_the_variables_are_known_without_evaluating() -> None:
    expression = parse_expression("{{ env_var('A') }}{{ env_var('B', 'b') }}")
    assert expression.variables == (("A", None), ("B", "b"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{ env_var('NAME') }}", "NAME"),
        ('{{env_var("NAME")}}', "NAME"),
        ("{{- env_var( 'NAME' ) -}}", "NAME"),
        ("  {{- env_var(var='NAME') -}}  ", "NAME"),
        ("{{ env_var ('NAME') }}", "NAME"),
        (expression_for("NAME"), "NAME"),
        ("{{ env_var('NAME', 'default') }}", None),
        ("{{ env_var('NAME') | as_number }}", None),
        ("{{ env_var('NAME') }} ", None),
        ("{{ env_var('NAME') }}{{ env_var('B') }}", None),
        ("{{ env_var('NAME', port=1) }}", None),
        ("{{ env_var('no name') }}", None),
        ("{{ env_var(", None),
        ("NAME", None),
        (5432, None),
        (None, None),
    ],
)
def test_the_variable_a_whole_value_stands_for(text: object, name: str | None) -> None:
    assert variable_of(text) == name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain env_var('A')", ()),
        ("{{ env_var('A') }}{{ env_var(\"B\", 'b') }}{{ env_var('A') }}", ("A", "B")),
        ("{{ env_var(var='A') }}", ("A",)),
        ("{{ env_var(default='x', var='A') }}", ("A",)),
        ("{{ env_var('A', env_var('B')) }}", ("A", "B")),
        ("{{ env_var('A', env_var('B', 'b')) }}", ("A", "B")),
        ("{% for each in env_var('A') %}{{ each }}{% endfor %}", ("A",)),
        ("{{ env_var('A') | unheard_of }}", ("A",)),
        ("{{ env_var('A') }}{{ env_var('B'", ("A", "B")),
        ("{{ env_var('\\x41') | unheard_of }}", ("A",)),
        ("{{ env_var('\\x') | unheard_of }}", ("\\x",)),
        ("{{ 'A' }}{{ env_var }}", ()),
    ],
)
def test_every_variable_named_is_found_even_where_the_expression_is_none(
    text: str, names: tuple[str, ...]
) -> None:
    assert variables_in(text) == names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("env_var('P', 'x')", "env_var('P', 'x')"),
        ("{{ env_var('P', 'x') }}", "{{ env_var('P', '***') }}"),
        ('a {{env_var("P","x")}} b', "a {{env_var(\"P\",'***')}} b"),
        ("{{ env_var(var='P', default='x') }}", "{{ env_var(var='P', default='***') }}"),
        ("{{ env_var(default='x', var='P') }}", "{{ env_var(default='***', var='P') }}"),
        ("{{ env_var('P', ('x')) }}", "{{ env_var('P', ('***')) }}"),
        ("{{ env_var('P', env_var('Q', 'x')) }}", "{{ env_var('P', env_var('Q', '***')) }}"),
        ("{{ env_var('P', 3) }}", "{{ env_var('P', '***') }}"),
        ("{{ env_var('P') | replace('a', 'b') }}", "{{ env_var('P') | replace('a', 'b') }}"),
        ("{{ env_var('P', 'x }}", "***"),
    ],
)
def test_defaults_are_hidden(text: str, shown: str) -> None:
    assert hide_defaults(text, "***") == shown


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ env_var('P') }}", False),
        (" {{- env_var('P') | as_text }}{{ env_var('Q', 'default') }}", False),
        ("hunter2", True),
        ("", True),
        ("{{ env_var('P') }}hunter2", True),
        ("{{ env_var('P') | default('hunter2') }}", True),
        ("{{ env_var('P') ~ 2 }}", True),
        ("{# hunter2 #}{{ env_var('P') }}", True),
        ("{% raw %}hunter2{% endraw %}", True),
        ("{{ env_var('P' ~ 'hunter2", True),
    ],
)
def test_what_is_written_out_beside_variables(text: str, found: bool) -> None:
    assert holds_literal(text) is found


@pytest.mark.process
def test_jinja_is_loaded_by_the_first_expression_and_not_before() -> None:
    code = (
        "import sys; from floe_monitor.compute.toolkit import env_references as e\n"
        "assert e.variable_of('plain') is None and e.variables_in('plain') == ()\n"
        "assert e.hide_defaults('plain', '*') == 'plain' and e.holds_literal('plain')\n"
        "assert 'jinja2' not in sys.modules; e.variables_in('{{ 1 }}'); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


COSTLY = [
    "{{ 'x'.center(3000000000) }}",
    "{{ 'x' | center(3000000000) }}",
    "{{ 'x' | indent(3000000000) }}",
    "{{ 'x' * 3000000000 }}",
    "{{ 3000000000 * 'x' }}",
    "{{ [1] * 3000000000 }}",
    "{{ [[1] * 60000] * 60000 }}",
    "{{ '%3000000000d' % 1 }}",
    "{{ '%*d' % (3000000000, 1) }}",
    "{{ '%3000000000d' | format(1) }}",
    "{{ '{:3000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 3000000000) }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ (2 ** 9000) * (2 ** 9000) }}",
    "{{ ('a' * 9999).replace('a', 'b' * 9999) }}",
    "{{ ('a' * 9999) | replace('a', 'b' * 9999) }}",
    "{{ ('a' * 9999) | join('b' * 9999) }}",
    "{{ ('b' * 9999).join(('a' * 9999) | list) }}",
    "{{ '\"'" + " | tojson" * 40 + " }}",
    "{% for a in 'aaaaaaaaaa' %}{% for b in 'aaaaaaaaaa' %}x{% endfor %}{% endfor %}",
    "{% set x = 'x' %}{{ x ~ x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ 1" + " + 1" * 5000 + " }}",
    "{{ 1" + " | int" * 4000 + " }}",
    "{% if 1 %}" * 1000 + "{% endif %}" * 1000,
    "{{ " + "9" * 5000 + " }}",
    "{{ 1 }}" * 4000,
    "{{ env_var('A') }}" * 5000,
]


@pytest.mark.parametrize("text", COSTLY, ids=lambda text: text[:40])
def test_what_could_cost_much_is_refused_and_costs_nothing(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExpressionError):
        parse_expression(text)
    variables_in(text)
    hide_defaults(text, "***")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "KiB"


@pytest.mark.parametrize(
    "text",
    [
        "{{ env_var('LONG') * 200 }}",
        "{{ env_var('LONG') | replace('a', env_var('LONG')) }}",
        "{{ env_var('LONG') | join(env_var('LONG')) }}",
        "{{ ('{}' * 200).format(*[env_var('LONG')]) }}",
        "{{ env_var('LONG') }}" * 40,
    ],
)
def test_variables_make_nothing_large_either(text: str) -> None:
    with pytest.raises(UnresolvedError, match=r"^the expression over LONG.* grows too large$"):
        parse_expression(text).evaluate({"LONG": "a" * 9999})


SHAPES = [
    "{{ env_var('A') }}{#",
    "{{ '",
    "{{ env_var(",
    "{{ env_var('",
    "{{ 1_",
    "{{ (",
    "{% if ",
    "{{ env_var('A', '\\'",
    "{{-   ",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_text(shape: str) -> None:
    def work(text: str) -> None:
        for function in (is_template, variables_in, holds_literal, variable_of):
            function(text)
        hide_defaults(text, "***")

    assert is_linear(work, lambda size: "{{ " + shape * (size // len(shape)), 8_000)


def test_an_expression_error_quotes_nothing() -> None:
    for text in [
        "{{ hunter2(",
        "{{ 'hunter2",
        "{{ env_var('A', 'hunter2', 'hunter2') }}",
        "{{ 'hunter2' | b }}",
    ]:
        with pytest.raises(ExpressionError) as caught:
            parse_expression(text)
        assert "hunter2" not in str(caught.value)
