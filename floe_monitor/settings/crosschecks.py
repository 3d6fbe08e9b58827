"""What no single key can say: rules between the parts of a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.registry.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.registry.problems import KeyPath, Place
    from floe_monitor.settings.models import (
        ProbeSettings,
        ProfileSettings,
        Settings,
        TargetProbeSettings,
    )

    Locator = Callable[[KeyPath], Place]


def cross_check(settings: Settings, locate: Locator) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for index, profile in enumerate(settings.profiles):
        yield from _outputs(settings, profile, index, locate)
        yield from _home(profile, index, locate)
        first = seen.setdefault((profile.name, os.path.abspath(profile.path)), index)  # noqa: PTH100 - text
        if first != index:
            path: KeyPath = ("profiles", index, "name")
            yield Problem(locate(path), f"the same profile in the same file as profiles[{first}]", path)
    yield from _maintained(settings, locate)
    yield from _notified(settings, locate)
    yield from _public(settings, locate)
    yield from _thresholds(settings, locate)
    yield from _limits(settings, locate)
    yield from _shard(settings, locate)
    yield from _tokens(settings, locate)
    yield from _unused(settings, locate)


def _unused(settings: Settings, locate: Locator) -> Iterator[Problem]:
    http = settings.http
    if http.tls is not None and http.socket is not None and http.socket.only:
        path: KeyPath = ("http", "tls")
        yield Problem(
            locate(path), "encrypts nothing: with http.socket.only, host and port are not used", path
        )


def _tokens(settings: Settings, locate: Locator) -> Iterator[Problem]:
    """Two names for one token would leave open who has acted."""
    named: dict[str, str] = {}
    for name, token in settings.http.tokens.items():
        first = named.setdefault(token.hash, name)
        if first != name:
            path: KeyPath = ("http", "tokens", name, "hash")
            yield Problem(
                locate(path), f"is the token {first!r} again", path, "make one more with `floe-monitor token`"
            )


def _home(profile: ProfileSettings, index: int, locate: Locator) -> Iterator[Problem]:
    if profile.path.startswith("~") and os.path.expanduser(profile.path) == profile.path:  # noqa: PTH111 - never raises
        path: KeyPath = ("profiles", index, "path")
        user = profile.path.partition("/")[0]
        why = "HOME is not set and this user has no entry" if user == "~" else "there is no such user"
        yield Problem(locate(path), f"{user!r} leads nowhere: {why}; write the path in full", path)


def _outputs(settings: Settings, profile: ProfileSettings, index: int, locate: Locator) -> Iterator[Problem]:
    path: KeyPath
    chosen = list(settings.targets) if profile.targets is None else profile.targets
    outputs = _by_output(settings, chosen)
    for position, name in enumerate(profile.targets or ()):
        path = ("profiles", index, "targets", position)
        if name not in settings.targets:
            yield Problem(locate(path), "no such target", path, suggestion(name, settings.targets))
        elif name in chosen[:position]:
            yield Problem(locate(path), "is named twice", path)
    yield from _shared_names(outputs, profile, locate)
    if not chosen:
        path = ("profiles", index)
        yield Problem(locate(path), "a profile needs at least one target", path)
    elif profile.target is not None and profile.target not in outputs:
        path = ("profiles", index, "target")
        yield Problem(
            locate(path), "is none of the profile's outputs", path, suggestion(profile.target, outputs)
        )


def _by_output(settings: Settings, chosen: list[str]) -> dict[str, list[str]]:
    """The targets of each output's name; more than one is a fault."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(chosen):
        target = settings.targets.get(name)
        found.setdefault((target and target.output) or name, []).append(name)
    return found


def _shared_names(
    outputs: dict[str, list[str]], profile: ProfileSettings, locate: Locator
) -> Iterator[Problem]:
    for output, names in outputs.items():
        for name in names[1:]:
            path: KeyPath = ("targets", name)
            yield Problem(
                locate(path),
                f"profile {profile.name!r} would call it {output!r}, and so it would {names[0]}",
                path,
                "give one of them another `output`, or leave it out of the profile's `targets`",
            )


def _public(settings: Settings, locate: Locator) -> Iterator[Problem]:
    page = settings.http.public_page
    for name in page.targets if page is not None else ():
        if name not in settings.targets:
            path: KeyPath = ("http", "public_page", "targets", name)
            yield Problem(locate(path), "no such target", path, suggestion(name, settings.targets))


def _maintained(settings: Settings, locate: Locator) -> Iterator[Problem]:
    for index, window in enumerate(settings.maintenance):
        for position, name in enumerate(window.targets or ()):
            if name not in settings.targets:
                path: KeyPath = ("maintenance", index, "targets", position)
                yield Problem(locate(path), "no such target", path, suggestion(name, settings.targets))


def _notified(settings: Settings, locate: Locator) -> Iterator[Problem]:
    path: KeyPath
    for channel, chosen in settings.notifications.channels.items():
        for position, name in enumerate(chosen.targets or ()):
            if name not in settings.targets:
                path = ("notifications", "channels", channel, "targets", position)
                yield Problem(locate(path), "no such target", path, suggestion(name, settings.targets))
    url = settings.history.url
    if settings.notifications.group is not None and (url is None or (url.plain or "").startswith("sqlite")):
        path = ("notifications", "group")
        hint = "give history.url a server's address, or leave group out"
        yield Problem(locate(path), "takes a history on a server: its lock says who sends", path, hint)


def _thresholds(settings: Settings, locate: Locator) -> Iterator[Problem]:
    """A threshold that its window cannot hold: no result would ever change the status."""
    scopes: list[tuple[KeyPath, ProbeSettings | TargetProbeSettings]] = [(("probe",), settings.probe)]
    scopes += [(("targets", name, "probe"), target.probe) for name, target in settings.targets.items()]
    for scope, own in scopes:
        for kind in ("failure", "success"):
            keys = f"{kind}_threshold", f"{kind}_window"
            threshold, window = (getattr(own, key) or getattr(settings.probe, key) for key in keys)
            given = [key for key in keys if key in own.model_fields_set]
            if given and window is not None and window < threshold:
                path = (*scope, given[-1])
                message = f"{threshold} of the last {window} results are more than there are"
                yield Problem(locate(path), message, path, f"{keys[1]} is at least {keys[0]}")


def _limits(settings: Settings, locate: Locator) -> Iterator[Problem]:
    limits = settings.workers
    if limits.stuck_limit is not None and limits.stuck_limit > limits.limit:
        path: KeyPath = ("workers", "stuck_limit")
        yield Problem(locate(path), "is above workers.limit: /healthz could never fail", path)


def _shard(settings: Settings, locate: Locator) -> Iterator[Problem]:
    """The index is judged at the start alone: whoever checks a configuration is none of its shards."""
    shard = settings.shard
    if shard is not None and shard.replicas > shard.count:
        path: KeyPath = ("shard", "replicas")
        yield Problem(locate(path), f"is above shard.count: there are {shard.count} shards", path)
