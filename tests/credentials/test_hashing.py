from __future__ import annotations

import hashlib

import pytest

from floe_monitor.credentials.hashing import HashFormatError, PasswordHash, new_token, token_hash


def test_a_token_is_random_and_its_hash_a_plain_one() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert first.startswith("floe_")
    assert len(first) == len("floe_") + 43  # 32 bytes
    assert token_hash(first) == f"sha256:{hashlib.sha256(first.encode()).hexdigest()}"


def test_a_password_is_verified_by_what_is_written_of_its_hash() -> None:
    written = str(PasswordHash.of("correct horse"))
    assert written.startswith("$scrypt$ln=14,r=8,p=5$")
    assert "correct" not in written
    assert written != str(PasswordHash.of("correct horse"))
    read = PasswordHash.parse(f" {written}\n")
    assert str(read) == written
    assert read.verify("correct horse")
    assert not read.verify("correct horse ")


def test_the_form_is_the_one_others_write_too() -> None:
    """The second test vector of RFC 7914 with scrypt's own parameters: N=1024, r=8, p=16."""
    salt, digest = (
        "TmFDbA",
        ("/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA"),
    )
    with pytest.raises(HashFormatError):  # a salt of four bytes
        PasswordHash.parse(f"$scrypt$ln=10,r=8,p=16${salt}${digest}")
    import base64

    raw = PasswordHash(10, 8, 16, b"NaCl", base64.b64decode(digest + "=="))
    assert raw.verify("password")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "$2y$10$abcdefghijklmnopqrstuv",
        "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2Fs$",
        "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 45 + "$",
        "$scrypt$ln=0,r=8,p=5$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 43,
        "$scrypt$ln=31,r=8,p=5$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 43,
        "$scrypt$ln=17,r=16,p=1$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=99$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2Fs$" + "A" * 45,
    ],
)
def test_what_is_no_hash_or_too_much_work_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(HashFormatError, match="make one with `floe-monitor password`") as caught:
        PasswordHash.parse(text)
    assert "hunter2" not in str(caught.value)
