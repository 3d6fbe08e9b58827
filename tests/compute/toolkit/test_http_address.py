"""What a URL says, and what is said of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.http_address import Origin, site_of, split_url

SECRET = "kanarienvogel"


@pytest.mark.parametrize(
    ("url", "origin", "target", "authority"),
    [
        ("https://Example.com", Origin("https", "example.com", 443), "/", "example.com"),
        ("http://a:8080/x/y?z=1#f", Origin("http", "a", 8080), "/x/y?z=1", "a:8080"),
        ("http://a:80?q", Origin("http", "a", 80), "/?q", "a"),
        ("https://u:p@[::1]:8443/%2F", Origin("https", "::1", 8443), "/%2F", "[::1]:8443"),
        ("https://bücher.example/ä b", Origin("https", "xn--bcher-kva.example", 443), "/%C3%A4%20b", None),
    ],
)
def test_what_it_says(url: str, origin: Origin, target: str, authority: str | None) -> None:
    assert split_url(url) == (origin, target)
    assert origin.authority == authority or authority is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "the address given"),
        ("example.com/x", "the address given"),
        ("ftp://u:p@host/x", "ftp://host"),
        ("https://:443/x", "https://:443"),
        ("https://host:port/x", "https://host:port"),
        ("https://host:99999/x", "https://host:99999"),
        ("https://[::1/x", "the address given"),
        ("https://a..b/ä", "https://a..b"),
        (f"https://u:pass/{SECRET}@host", "the address given"),
    ],
)
def test_what_is_no_address(url: str, words: str) -> None:
    assert site_of(url) == words
    if url != "https://a..b/ä":  # the name service's to refuse
        with pytest.raises(ComputeConfigurationError) as caught:
            split_url(url)
        assert str(caught.value) == f"{words} is no HTTP address"


texts = st.text(max_size=30)


@given(scheme=st.sampled_from(["http", "https", "ftp", ""]), before=texts, after=texts)
def test_secrets_stay_where_they_are(scheme: str, before: str, after: str) -> None:
    """Whatever stands around them, also what ends the host's part early."""
    for url in (f"{scheme}://user:{before}{SECRET}@host", f"{scheme}://host/{SECRET}{after}", before + after):
        assert SECRET not in site_of(url)
        try:
            origin, target = split_url(url)
        except ComputeConfigurationError as error:
            assert SECRET not in str(error)  # noqa: PT017 - any other error fails as well
        else:
            assert SECRET not in str(origin)
            assert target.isascii()
            assert target.isprintable()
            assert " " not in target


def test_names_for_certificates() -> None:
    assert Origin("https", "example.com.", 443).server_hostname == "example.com"
