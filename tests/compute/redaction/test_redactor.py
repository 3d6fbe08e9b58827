"""Secrets in texts, in whatever form they come."""

from __future__ import annotations

import base64
import codecs
import html
import json
import pickle
import random
import re
import shlex
import string
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.redaction.redactor import Redactor
from tests.growth import is_linear

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "Kö7'q\\u\"Zp+/=%2F w&lt;9"
"""With all that somebody escapes, and what looks escaped already."""
PLAIN = "correct-horse-9!"


def percent_encoded(text: str, width: int = 1) -> str:
    return "".join(
        f"%{byte:02X}" if index % width == 0 else chr(byte) for index, byte in enumerate(text.encode())
    )


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[start : start + width] for start in range(0, len(text), width))


def json_escaped(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, slashes left": quote,
    "percent, plus for a space": quote_plus,
    "percent in small letters": lambda text: re.sub(
        "%..", lambda code: code[0].lower(), quote(text, safe="")
    ),
    "percent, every character": percent_encoded,
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "percent in JSON": lambda text: json.dumps(quote(text, safe="")),
    "JSON": json.dumps,
    "JSON, letters left": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON, every character": json_escaped,
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "backslashes before quotes": lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),
    "SQL": lambda text: text.replace("'", "''"),
    "shell": shlex.quote,
    "shell, in a command that is quoted": lambda text: shlex.quote(f"x={shlex.quote(text)}"),
    "shell, $'…'": lambda text: "$'" + "".join(f"\\x{byte:02x}" for byte in text.encode()) + "'",
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "HTML": html.escape,
    "HTML, by number": lambda text: "".join(f"&#x{ord(sign):x};" for sign in text),
    "hex": lambda text: text.encode().hex(),
    "hex in capitals": lambda text: text.encode().hex().upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "hex, wrapped": lambda text: wrapped(text.encode().hex(), 11),
    "capitals": str.upper,
    "letter case swapped": str.swapcase,
    "coloured": lambda text: "".join(f"\x1b[3{at % 8}m{sign}" for at, sign in enumerate(text)),
    "a colour inside, escaped": lambda text: json.dumps(text[:4] + "\x1b[1;31m" + text[4:]),
    "a title inside": lambda text: text[:5] + "\x1b]0;title\x07" + text[5:],
    "control characters inside": "\x00\x08".join,
    "nothing visible inside": "\u200b".join,
    "wrapped": lambda text: wrapped(text, 5),
    "wrapped, with returns": lambda text: wrapped(text, 5).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("secret", [SECRET, PLAIN, "naïve Straße 日本 🐟", "abc+def/ghi=", "tr0ub4dor"])
def test_it_is_found_in_every_form(form: str, secret: str) -> None:
    text = WRITTEN[form](secret)
    shown = Redactor([secret])(f"before {text} after")
    assert "***" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    left = re.sub(r"\x1b\[[0-9;]*m", "", shown.removeprefix("before ").removesuffix(" after"))
    assert set(left) <= set("*'\"\\$bx=")  # what the form puts around it


@pytest.mark.parametrize("inside", [str, lambda text: quote(text, safe=""), lambda text: text.encode().hex()])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize("before", [b"", b"u", b"u:", b"u:x"])
def test_base64_in_each_alignment(
    inside: Callable[[str], str], encode: Callable[[bytes], bytes], before: bytes
) -> None:
    secret = "Ω?>~ correct horse battery stäple, and more than a line of base64 is wide: " + SECRET
    text = encode(before + inside(secret).encode() + b"!").decode()
    shown = Redactor([secret])(f"Authorization: Basic {text}")
    assert "***" in shown
    assert len(shown) < len("Authorization: Basic ***") + 4 * (len(before) + 6)
    assert not any(text[at : at + 12] in shown for at in range(8, len(text) - 24))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "u:", "u:x"])
def test_base64_twice(encode: Callable[[bytes], bytes], before: str) -> None:
    for secret in (SECRET, "Ω?>~ÿþ" * 9, "tr0ub4dor"):
        once = f"{before}{secret}!".encode()
        for lead in (b"", b"x", b"xy"):
            shown = Redactor([secret])(encode(lead + encode(once)).decode())
            assert "***" in shown
            assert len(shown) < 30


printable = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "M"]), min_size=6, max_size=40)


NESTED = sorted(
    form for form in WRITTEN if "hex" not in form and "inside" not in form and "letter" not in form
)


@given(printable, st.sampled_from(NESTED), st.sampled_from(NESTED))
def test_any_secret_in_any_form_of_any_form(secret: str, inner: str, outer: str) -> None:
    if len(re.sub(r"[\\'\"`]", "", secret)) < 6 or inner == outer == "coloured":
        return  # too short to be looked for so; or colours within the colours
    if "capitals" in (inner, outer) and not secret.isascii():
        return  # letters that are two in another case
    text = WRITTEN[outer](WRITTEN[inner](secret))
    assert "***" in Redactor([secret])(f"before {text} after")


@given(st.text(st.characters(codec="utf-8"), max_size=60), printable)
def test_what_is_masked_is_never_there_again(text: str, secret: str) -> None:
    redact = Redactor([secret])
    assert secret not in redact(text + secret + text)
    once = redact(f"{text} {secret} {text}")
    assert redact(once) == once or "***" in secret


@given(st.text("ab\\%'\"u0xé&;\x1b[m\n41 ", max_size=60))
def test_a_text_without_the_secret_stays_as_it_is(text: str) -> None:
    assert Redactor(["correct horse battery staple", "zz9"])(text) is text


def test_short_values_are_masked_as_they_are_written_only() -> None:
    redact = Redactor(["prod1"])
    assert redact("password prod1 refused in PROD1") == "password *** refused in PROD1"
    assert redact("%70rod1 pro\x1b[0md1 \\u0070rod1") == "*** *** ***"
    assert Redactor(["a'b"])(r"'a\'b' 'a''b' a&#x27;b ab") == "'***' '***' *** ab"
    assert Redactor(["a", "ab", ""])("a cab") == "a cab"
    assert Redactor(["abc"])("xabcx") == "x***x"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("isdown", "the server is down"),
        ("p w d", "pwd is not set"),
        ("dbt", "DBT_PROFILES_DIR is not set: install a newer adapter"),
        ("not found", "table notfound"),
    ],
)
def test_words_of_a_sentence_do_not_make_up_a_secret(secret: str, text: str) -> None:
    assert Redactor([secret])(text) == text


def test_longer_secrets_go_first() -> None:
    assert Redactor(["abcd", "abcdef"])("abcdef abcd") == "*** ***"
    assert Redactor(["abcdefgh", "efghijkl"])("abcdefghijkl.") == "***."


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nshort\n-----END PRIVATE KEY-----"
    redact = Redactor([key])
    assert redact("bad line MIIEvQIBADANBgkqhkiG9w0BAQ in key") == "bad line *** in key"
    assert redact(f"bad key {' '.join(key.split())}") == "bad key ***"


def test_the_secrets_of_a_key_file_are_masked_one_by_one() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----\n"
    file = json.dumps(
        {"client_email": "robot@project.example", "private_key": pem, "token_uri": "https://t/token"}
    )
    redact = Redactor([file])
    assert redact(f"robot@project.example: cannot read {pem}") == "robot@project.example: cannot read ***\n"
    assert redact("line MIIEvQIBADANBgkqhkiG9w0BAQ: bad; https://t/token") == "line ***: bad; https://t/token"


def test_it_crosses_to_another_process_and_shows_nothing_of_itself() -> None:
    redact = pickle.loads(pickle.dumps(Redactor(["hunter2"])))  # noqa: S301 - our own
    assert redact("hunter2") == "***"
    assert "hunter2" not in repr(redact)


def test_values_that_are_no_text_of_unicode_are_masked() -> None:
    for secret in ("abc\udc80def", "abc\ud800def"):
        assert secret not in Redactor([secret])(f"a {secret} b")
    assert codecs.encode("hunter2", "rot13") in Redactor(["hunter2"])("uhagre2")  # nobody's encoding


def test_a_text_without_a_secret_costs_microseconds() -> None:
    redact = Redactor(["correct horse battery staple", "a/b+c=d&e"])
    text = "connection refused by db.example.internal:5432"
    began = time.process_time()
    for _ in range(2_000):
        assert redact(text) is text
    assert time.process_time() - began < 2_000 * 0.001


SHAPES = [
    *(
        "a",
        "ab",
        "%",
        "%4",
        "%41",
        "%25",
        "\\",
        "\\\\u",
        "\\u00e",
        "\\ud83d",
        "\\x4",
        "&",
        "&#",
        "&#x41",
        "&amp",
        "&amp;",
    ),
    *(
        "\x1b",
        "\x1b[",
        "\x1b[0",
        "\x1b[ ",
        "\x1b]",
        "\x9b",
        "\x9b0",
        "\x9d",
        "\x9dx",
        "\x00",
        "'",
        "\"'",
        "\\'",
        " ",
        "é",
        "日",
    ),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_text(shape: str) -> None:
    redact = Redactor(["a" * 16 + "\n" + "a" * 500 + "b", "tr0ub4dor&3"])
    assert is_linear(redact, lambda size: shape * (size // len(shape)), 24_000)


@pytest.mark.parametrize(
    ("secret", "shape"),
    [
        ("ab" * 5000 + "c", "ab"),
        ("x" * 5000, "x" * 4999 + "y"),
        ("hunter2", "hunter2"),
        ("hunter2", "%68unter2"),
    ],
)
@pytest.mark.slow
def test_so_it_is_for_secrets_that_nearly_or_often_stand_there(secret: str, shape: str) -> None:
    redact = Redactor([secret])
    assert is_linear(redact, lambda size: shape * (size // len(shape)), 60_000)


def work_of(redact: Redactor, text: str) -> int:
    """Calls of functions, C ones included: what does not depend on the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        redact(text)
    finally:
        sys.setprofile(None)
    return calls


def test_a_megabyte_and_a_hundred_secrets_take_one_search_a_form_and_view() -> None:
    chance = random.Random(9)
    secrets = [
        "".join(chance.choices(string.ascii_letters + string.digits + "+/'%", k=24)) for _ in range(100)
    ]
    redact = Redactor(secrets)
    forms = sum(map(len, redact.__getstate__()))
    assert forms <= 60 * len(secrets)
    text = "".join(chance.choices(string.ascii_letters + " .:", k=1_000_000))
    assert work_of(redact, text) < 2 * forms
    long = text[:500_000] + secrets[7] + text[500_000:]
    assert redact(long) == text[:500_000] + "***" + text[500_000:]


def test_a_value_of_many_lines_has_a_bounded_number_of_forms() -> None:
    lines = [f"line number {number:10}" for number in range(2_000)]
    redact = Redactor(["\n".join(lines)])
    assert sum(map(len, redact.__getstate__())) < 10_000
    assert redact(f"said {lines[7]} and {chr(10).join(lines)}") == "said *** and ***"
