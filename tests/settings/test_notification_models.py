"""What of `notifications` is refused when the configuration is read, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from floe_monitor.settings import ConfigurationError, load

if TYPE_CHECKING:
    from pathlib import Path

HOOK = {"url": "https://hooks.example/x", "secret": {"env": "S"}}


def _load(tmp_path: Path, channel: dict[str, Any], **rest: Any) -> Any:
    path = tmp_path / "floe-monitor.yaml"
    common = rest.pop("notifications", {})
    document = {"notifications": {"channels": {"token": channel}, **common}, **rest}
    path.write_text(yaml.safe_dump(document))
    return load(path, {}).settings.notifications


def test_a_channel_by_reference_is_read(tmp_path: Path) -> None:
    found = _load(tmp_path, {"apprise": {"env": "CHAT"}, "title": "{{ headline }}", "repeat": None})
    assert found.channels["token"].apprise.env == "CHAT"
    assert found.channels["token"].repeat is None
    assert _load(tmp_path, {"webhook": HOOK}).channels["token"].webhook.url.plain == HOOK["url"]


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"apprise": "slack://canary/b/c"}, "literal secret is refused"),
        ({"webhook": {**HOOK, "secret": "canary-secret-canary-secret"}}, "literal secret is refused"),
        ({"webhook": {**HOOK, "former_secret": "canary-secret"}}, "literal secret is refused"),
        ({"webhook": {**HOOK, "url": "https://user:canary@hooks.example/x"}}, "secret"),
        ({"webhook": {**HOOK, "url": "ftp://hooks.example/x"}}, "scheme http or https"),
        ({"webhook": HOOK, "apprise": {"env": "CHAT"}}, "give `apprise` or `webhook`"),
        ({}, "give `apprise` or `webhook`"),
        ({"webhook": HOOK, "title": "x"}, "no templates"),
        ({"apprise": {"env": "C"}, "title": "{{ headlin }}"}, "'headlin' is undefined"),
        ({"apprise": {"env": "C"}, "body": "{{ headline"}, "is no template"),
        ({"apprise": {"env": "C"}, "body": "{{ ''.__class__.__mro__ }}"}, "is no template"),
        ({"apprise": {"env": "C"}, "body": "{{ targets[0] }}"}, "is no template"),
        ({"apprise": {"env": "C"}, "body": "{% for i in range(10**9) %}x{% endfor %}"}, "is no template"),
        ({"apprise": {"env": "C"}, "body": "{% if false %}x{% endif %}"}, "makes an empty text"),
        ({"apprise": {"env": "C"}, "events": ["unhealty"]}, "unhealthy"),
        ({"apprise": {"env": "C"}, "targets": ["b"]}, "no such target"),
        ({"apprise": {"env": "C"}, "targets": ["a"], "labels": {"a": "b"}}, "give `targets` or `labels`"),
        ({"apprise": {"env": "C"}, "quiet_hours": [{"cron": "0 25 * * *", "duration": "1h"}]}, "hour"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    tmp_path: Path, channel: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _load(tmp_path, channel, targets={"a": {"plugin": "duckdb"}})
    text = "\n".join(map(str, refused.value.problems))
    assert said in text
    assert "notifications.channels.token" in text
    assert "canary" not in text


def test_a_group_needs_a_server(tmp_path: Path) -> None:
    channel = {"apprise": {"env": "CHAT"}}
    for history in ({}, {"url": "sqlite:///h.db"}):
        with pytest.raises(ConfigurationError, match="takes a history on a server"):
            _load(tmp_path, channel, notifications={"group": "all"}, history={"results": 1, **history})
    assert (
        _load(tmp_path, channel, notifications={"group": "all"}, history={"url": {"env": "H"}}).group == "all"
    )
