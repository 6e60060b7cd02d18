"""`spark-pd channels`: list, show, add, remove and test the channels of a settings file, whose comments and order stay."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.progress import working
from spark_pd.model import SEVERITIES, Severity
from spark_pd.model.errors import SettingsError

if TYPE_CHECKING:
    from spark_pd.model.routing import ChannelSettings
    from spark_pd.settings import Settings

SECONDS = 30.0


@click.group()
def channels() -> None:
    """The channels that alerts go to: list, show, add, remove and test them."""


@channels.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@settings_options
def list_(as_json: bool, config_file: Path | None, conf: dict[str, str]) -> None:
    """List the channels, and where each sends."""
    import json

    settings = settings_from(config_file, conf)
    rows = [_row(each, settings) for each in settings.directions.channels.values()]
    if settings.integration_key is not None:
        rows.append({"name": "pagerduty", "to": "the integration key's setting", "severity": "", "environment": ""})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        extra = "  ".join(row[field] for field in ("severity", "environment") if row[field])
        click.echo(f"{row['name']:20} {row['to']}{f'  {extra}' if extra else ''}")
    if not rows:
        click.echo("there is no channel")


@channels.command()
@click.argument("name")
@settings_options
def show(name: str, config_file: Path | None, conf: dict[str, str]) -> None:
    """Show one channel, and the routes that lead to it."""
    settings = settings_from(config_file, conf)
    for field, value in _row(_channel(settings, name), settings).items():
        click.echo(f"{field:12} {value or '-'}")
    for number, route in enumerate(settings.directions.routes, 1):
        if name in route.channels:
            click.echo(f"route {number:<6} {route}")


@channels.command()
@click.argument("name", required=False)
@click.option("--key", help="A reference to the integration key, such as env:PD_ONCALL or databricks:scope/key.")
@click.option("--service", help="A service's name: its first Events API v2 integration has the key.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="The severity that this channel sends.")
@click.option("--all-services", is_flag=True, help="One channel for each service that the REST token sees.")
@settings_options
def add(
    name: str | None,
    key: str | None,
    service: str | None,
    severity: Severity | None,
    all_services: bool,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Add a channel to the file of --config-file, whose comments and order stay. Several may share one key with different severities."""
    file = _file(config_file)
    if all_services:
        if name or key or service:
            raise click.UsageError("--all-services takes no name, key or service")
        wanted = {_slug(each): {"service": each} for each in _services(settings_from(config_file, conf))}
    else:
        if not name or (key is None) == (service is None):
            raise click.UsageError("give a name, and either --key or --service")
        wanted = {name: {"integration_key": key} if key is not None else {"service": str(service)}}
    document = _read(file)
    section = document.setdefault("channels", {})
    added = []
    for each, fields in wanted.items():
        if each in section:
            if not all_services:
                raise click.UsageError(f"there is a channel {each!r} already; remove it first, or choose another name")
            continue
        section[each] = {**fields, **({"severity": severity} if severity else {})}
        added.append(each)
    _write(file, document, conf)
    click.echo(f"added {', '.join(added)} to {file}" if added else "every service has a channel already")


@channels.command()
@click.argument("name")
@settings_options
def remove(name: str, config_file: Path | None, conf: dict[str, str]) -> None:
    """Remove a channel from the file of --config-file. It is refused while routes or owners name it."""
    file = _file(config_file)
    document = _read(file)
    section = document.get("channels") or {}
    if name not in section:
        raise click.UsageError(f"there is no channel {name!r} in {file}; it has {', '.join(section) or 'none'}")
    del section[name]
    _write(file, document, conf)
    click.echo(f"removed {name} from {file}")


@channels.command("test")
@click.argument("name")
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="Before the channel's own map.")
@settings_options
@click.pass_context
def test(ctx: click.Context, name: str, severity: Severity, config_file: Path | None, conf: dict[str, str]) -> None:
    """Open a test incident on the channel and resolve it, and print what PagerDuty said."""
    from spark_pd.cli.test_command import open_and_resolve
    from spark_pd.runs.channels import channels_of

    settings = settings_from(config_file, conf)
    channel = next((each for each in channels_of(settings) if each.name == name), None)
    if channel is None:
        _channel(settings, name)  # says which there are
        return
    click.echo(f"Sending to {channel.endpoint}")
    ctx.exit(0 if open_and_resolve(channel, settings, severity) else 1)


def _channel(settings: Settings, name: str) -> ChannelSettings:
    found = settings.directions.channels.get(name)
    if found is None:
        raise click.UsageError(f"there is no channel {name!r}; there is {', '.join(settings.directions.channels) or 'none'}")
    return found


def _row(channel: ChannelSettings, settings: Settings) -> dict[str, str]:
    from spark_pd.model import Secret

    key = channel.integration_key
    to = f"service {channel.service}" if channel.service else "a literal key" if isinstance(key, Secret) else str(key)
    kinds = set(channel.severity.values())
    severity = ", ".join(f"{one} as {other}" for one, other in channel.severity.items())
    if len(channel.severity) == len(SEVERITIES) and len(kinds) == 1:
        severity = next(iter(kinds))
    return {"name": channel.name, "to": to, "severity": severity, "environment": channel.environment or ""}


def _services(settings: Settings) -> list[str]:
    from spark_pd.pagerduty.directory import Unanswered
    from spark_pd.runs.channels import directory_of
    from spark_pd.settings import user_config

    directory = directory_of(settings)
    if directory is None:
        raise SettingsError([f"there is no token of PagerDuty's REST API: set {user_config.spark_pd_rest_token} to a reference"])
    try:
        with working(f"asking PagerDuty for its services, {SECONDS:g} s at most"):
            found = list(directory.services(until=time.monotonic() + SECONDS))
    except Unanswered as error:
        raise click.ClickException(f"PagerDuty did not answer: {error}") from None
    return [each.name for each in found if each.integration is not None]


def _slug(service: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", service.casefold()).strip("_") or "service"


def _file(config_file: Path | None) -> Path:
    named = config_file or (Path(os.environ["SPARK_PD_CONFIG"]) if os.environ.get("SPARK_PD_CONFIG") else None)
    if named is None:
        raise click.UsageError("say which file: --config-file pagerduty.yaml, or the variable SPARK_PD_CONFIG")
    return named


def _yaml() -> Any:
    try:
        from ruamel.yaml import YAML
    except ModuleNotFoundError:
        raise click.ClickException("changing a file needs ruamel.yaml: pip install 'spark-pd[channels]'") from None
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000  # lines stay as long as they are
    return yaml


def _read(file: Path) -> Any:
    document = _yaml().load(file.read_text(encoding="utf-8")) or {}
    if not isinstance(document, dict):
        raise click.ClickException(f"{file} holds no mapping of settings")
    return document


def _write(file: Path, document: Any, conf: dict[str, str]) -> None:
    """Write the file whole or not at all, and only where the settings it makes are good."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", suffix=".yaml", delete=False, encoding="utf-8") as new:
        _yaml().dump(document, new)
    path = Path(new.name)
    try:
        settings_from(path, conf)
        path.chmod(file.stat().st_mode & 0o777)
        path.replace(file)
    finally:
        path.unlink(missing_ok=True)
