"""`maintenance start|list|end` and `announce`: what people declare to a running daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from floe_monitor.cli.options import ConfigOption, FormatOption, OutputFormat, TargetArguments
from floe_monitor.cli.terminal import NO, OK, CliError, write

if TYPE_CHECKING:
    from floe_monitor.cli.daemon_client import DaemonAddress

app = typer.Typer(help="Declare and end one-off maintenance at a running daemon.", no_args_is_help=True)

UrlOption = Annotated[
    Optional[str],
    typer.Option(
        "--url", envvar="FLOE_MONITOR_URL", help="Where the daemon is; without it, as the configuration says."
    ),
]
TokenFileOption = Annotated[
    Optional[Path],
    typer.Option(
        "--token-file",
        help="File with a token of scope act; FLOE_MONITOR_TOKEN without it.",
    ),
]
AuthorOption = Annotated[
    str, typer.Option("--author", envvar="USER", help="Who declares it; without it, the credential's name.")
]
ForOption = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long: 90m, 2h, 1d.")]
SECONDS = 15.0


@app.command("start")
def start(
    targets: TargetArguments = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; told wherever it is shown.")] = "",
    duration: ForOption = "1h",
    label: Annotated[
        Optional[list[str]],
        typer.Option("--label", metavar="KEY=VALUE", help="Of targets with this label; may be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every target.")] = False,
    begins: Annotated[
        Optional[str], typer.Option("--from", metavar="TIME", help="Begin then: 2026-11-26T22:00:00Z.")
    ] = None,
    author: AuthorOption = "",
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> int:
    """Declare that targets are worked on: alerts and service levels leave the time out."""
    labels = dict(_pair(each) for each in label or ())
    asked = {
        **({"targets": targets} if targets else {}),
        **({"labels": labels} if labels else {}),
        **({"all": True} if every else {}),
        **({"begins_at": begins} if begins else {}),
        "duration": duration,
        "reason": reason,
        "author": author[:100],
    }
    made = _request(config, url, token_file, "POST", "/api/v1/maintenance", asked)
    write(f"{made['id']} from {made['begins_at']} until {made['ends_at']}")
    return OK


@app.command("list")
def list_(
    form: FormatOption = OutputFormat.TABLE,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> int:
    """List one-off maintenance and announcements that are planned or in force."""
    import json

    from floe_monitor.cli.tabular import TabularFormat, write_rows

    known = {
        **_request(config, url, token_file, "GET", "/api/v1/maintenance"),
        **_request(config, url, token_file, "GET", "/api/v1/announcements"),
    }
    if form is OutputFormat.JSON:
        write(json.dumps(known, indent=2, ensure_ascii=False))
        return OK
    rows = [
        {
            "id": each["id"],
            "what": "maintenance",
            "of": _concerned(each),
            "from": each["begins_at"],
            "until": each["ends_at"],
            "text": each["reason"],
            "author": each["author"],
        }
        for each in known["maintenance"]
    ]
    rows += [
        {
            "id": each["id"],
            "what": "announcement",
            "of": "everybody" if each["public"] else "",
            "from": each["declared_at"],
            "until": each["ends_at"],
            "text": each["text"],
            "author": each["author"],
        }
        for each in known["announcements"]
    ]
    write_rows(rows, ["id", "what", "of", "from", "until", "text", "author"], TabularFormat.TABLE, None)
    return OK


@app.command("end")
def end(
    identity: Annotated[str, typer.Argument(metavar="ID", help="As `maintenance list` shows it.")],
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> int:
    """End a one-off maintenance, or take an announcement back."""
    from urllib.parse import quote

    known = _request(config, url, token_file, "GET", "/api/v1/announcements")["announcements"]
    kind = "announcements" if any(each["id"] == identity for each in known) else "maintenance"
    _request(config, url, token_file, "POST", f"/api/v1/{kind}/{quote(identity, safe='')}/end", {})
    write(f"{identity} has ended")
    return OK


def announce(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to announce.")],
    duration: ForOption = "1d",
    public: Annotated[bool, typer.Option("--public", help="On the public page too.")] = False,
    author: AuthorOption = "",
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> int:
    """Announce something on the daemon's pages. `maintenance end ID` takes it back."""
    asked = {"text": text, "duration": duration, "author": author[:100], "public": public}
    made = _request(config, url, token_file, "POST", "/api/v1/announcements", asked)
    write(f"{made['id']} until {made['ends_at']}")
    return OK


def _request(
    config: Path | None, url: str | None, token_file: Path | None, method: str, route: str, body: Any = None
) -> Any:
    """The daemon's answer; `CliError` where it refuses or gives none."""
    import json

    from floe_monitor.cli.daemon_client import NoAnswerError, exchange

    where, token = _where(config, url), _token(token_file)
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    sent = None if body is None else json.dumps(body).encode()
    try:
        answer = exchange(
            where, method, route, headers, sent, timeout=SECONDS, verified=bool(token or where.url)
        )
    except NoAnswerError as error:
        raise CliError(f"no answer from {where}: {error}", code=NO) from None
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {}
    if answer.status >= 300:
        detail = said.get("detail") if isinstance(said, dict) else None
        raise CliError(f"{where} answers {answer.status}: {detail or 'it is no floe-monitor'}", code=NO)
    return said


def _where(config: Path | None, url: str | None) -> DaemonAddress:
    from floe_monitor.cli.daemon_client import DaemonAddress, address_of, configured_http

    if url is None:
        return address_of(configured_http(config))
    if not url.startswith(("http://", "https://")):
        raise CliError(f"--url must begin with http:// or https://, not {url[:64]!r}")
    return DaemonAddress(url=url)


def _token(path: Path | None) -> str:
    if path is None:
        return os.environ.get("FLOE_MONITOR_TOKEN", "").strip()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise CliError(f"{path}: {(reason or 'unreadable').lower()}") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise CliError(f"--label must be KEY=VALUE, not {text[:64]!r}")
    return key, value


def _concerned(known: dict[str, Any]) -> str:
    if known["targets"] is not None:
        return ", ".join(known["targets"])
    labels = known["labels"]
    return "every target" if labels is None else ", ".join(f"{key}={value}" for key, value in labels.items())
