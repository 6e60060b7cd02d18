"""`spark-pd outbox`: what waits to be sent, and what nobody will send any more."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import nullcontext
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_pd.cli.alert_by_hand import limits_of
from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.outbox_routes import Routes
from spark_pd.cli.progress import working
from spark_pd.model import Address
from spark_pd.model.errors import UsageError

if TYPE_CHECKING:
    from spark_pd.delivery.outbox import Entry, Outbox
    from spark_pd.settings import Settings

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
NOBODY_TRIED = "nobody tried to send it yet"


@click.group(
    epilog="""\b
Examples:
  spark-pd outbox list
  spark-pd outbox replay --config-file pagerduty.yaml

Exit codes: 0 good; 1 not everything was sent; 2 usage or settings."""
)
def outbox() -> None:
    """Alerts that wait to be sent, and dead letters.

    The outbox is the folder that spark.pd.outbox.path names, else spark_pd/outbox in your state directory.
    """


@outbox.command("list")
@AS_JSON
@settings_options
def list_(as_json: bool, config_file: Path | None, conf: dict[str, str]) -> None:
    """List what waits, what is dead and what is no alert, oldest first, each with the reason."""
    from spark_pd.delivery.outbox.storm_members import storms_in

    box = _open(settings_from(config_file, conf))
    entries, corrupt = [*box.waiting(), *box.dead()], box.corrupt()
    storms = [(str(each.told().get("dedup_key") or "not opened yet"), each.read()) for each in storms_in(box.folder, local=box.is_local)]
    if as_json:
        shown = {
            "folder": str(box.folder),
            "entries": [_fields(entry) for entry in entries],
            "corrupt": [path.name for path in corrupt],
            "storms": [{"dedup_key": key, "members": [member.dedup_key for member in members]} for key, members in storms],
        }
        click.echo(json.dumps(shown, indent=2))
        return
    for entry in entries:
        alert = entry.alert
        click.echo(f"{entry.id}  {entry.state:6}  {_when(entry)}  {alert.state:8}  {alert.dedup_key}: {entry.reason or NOBODY_TRIED}")
    for path in corrupt:
        click.echo(f"{path.name}: no alert; set aside in {path.parent}")
    for key, members in storms:
        for member in members:
            click.echo(f"part of the storm incident {key}: {member.dedup_key}")
    queued = sum(entry.state == "queued" for entry in entries)
    click.echo(f"{queued} queued, {len(entries) - queued} dead, {len(corrupt)} corrupt in {box.folder}")


@outbox.command()
@click.argument("id")
@AS_JSON
@settings_options
def show(id: str, as_json: bool, config_file: Path | None, conf: dict[str, str]) -> None:
    """Show all that the outbox knows of the alert with this ID."""
    (entry,) = _find(_open(settings_from(config_file, conf)), (id,))
    fields = _fields(entry) | {
        "summary": entry.alert.summary,
        "severity": entry.alert.severity,
        "change": entry.alert.change,
        "source": entry.alert.source,
        "component": entry.alert.component,
        "group": entry.alert.group,
        "at": entry.alert.at.isoformat(),
        "details": entry.alert.details,
        "links": [link.href for link in entry.alert.links],
        "endpoint": entry.address.endpoint,
        "key": entry.address.reference or "given literally",
        "fingerprint": entry.address.fingerprint,
    }
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    for name, value in fields.items():
        click.echo(f"{name:12} {json.dumps(value) if isinstance(value, (dict, list)) else '-' if value is None else value}")


@outbox.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="Dead letters too, not only what waits. An ID names either.")
@click.option("--unverified", is_flag=True, help="Also what was queued while its key was not known, with what its reference gives now.")
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="How long it may take in all.")
@AS_JSON
@settings_options
@click.pass_context
def replay(
    ctx: click.Context,
    ids: tuple[str, ...],
    dead: bool,
    unverified: bool,
    seconds: float,
    as_json: bool,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Send what waits: all, or the alerts with these IDs. Older alerts of an incident with a newer verdict are dropped.

    Each goes only to the key that it was queued for: that of the settings, or what its own reference gives here. It goes as fast as
    spark.pd.rate allows; of more than spark.pd.storm.limit alerts one storm incident is made. Runs whose process died before they had
    their verdict are told first.
    """
    from spark_pd.delivery.dispatch import Pace
    from spark_pd.delivery.outbox import replay as replay_all
    from spark_pd.delivery.outbox.replay import wait_for_turn
    from spark_pd.runs.crash.report_dead_runs import report_dead_runs

    settings = settings_from(config_file, conf)
    box = _open(settings)
    if not ids:
        report_dead_runs(box)
    chosen = _find(box, ids)
    for entry in chosen if ids else box.dead() if dead else []:
        if entry.state == "dead":
            box.revive(entry)
    wanted = {entry.id for entry in chosen}
    pace = Pace(limits_of(settings), box)
    routes = Routes(settings, pace, unverified=unverified)
    until = time.monotonic() + seconds
    with working(f"sending what waits, for {seconds:g} s at most") if sys.stderr.isatty() else nullcontext():
        outcomes = list(
            replay_all(
                box,
                routes.route,
                until=until,
                chosen=(lambda entry: entry.id in wanted) if ids else None,
                patience=min(seconds, 2.0),
                pause=wait_for_turn,
            )
        )
        pace.report_storms(until=until, pause=wait_for_turn)
    counts = Counter(outcome.status for outcome in outcomes)
    if as_json:
        click.echo(json.dumps([_fields(each.entry) | {"state": each.status, "reason": each.reason} for each in outcomes], indent=2))
    else:
        for outcome in outcomes:
            click.echo(f"{outcome.entry.id}  {outcome.status:7}  {outcome.entry.alert.dedup_key}: {outcome.reason}")
        click.echo(", ".join(f"{counts[status]} {status}" for status in ("sent", "dropped", "queued", "dead")))
    ctx.exit(1 if counts["queued"] or counts["dead"] else 0)


@outbox.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="All dead letters.")
@click.option("--corrupt", is_flag=True, help="All files that are no alerts.")
@click.option("--member", "members", metavar="DEDUP_KEY", multiple=True, help="A member of a storm incident. May be repeated.")
@AS_JSON
@settings_options
def drop(
    ids: tuple[str, ...], dead: bool, corrupt: bool, members: tuple[str, ...], as_json: bool, config_file: Path | None, conf: dict[str, str]
) -> None:
    """Forget alerts for good, unsent: those with these IDs, or all dead letters.

    A storm incident whose members are dropped is told so by the next run or replay.
    """
    from spark_pd.delivery.outbox.storm_members import forget_member
    from spark_pd.delivery.state import state_of
    from spark_pd.model.incident_state import forget

    if not (ids or dead or corrupt or members):
        raise click.UsageError("name the alerts to drop by ID, or say --dead, --corrupt or --member; `spark-pd outbox list` has the IDs")
    box = _open(settings_from(config_file, conf))
    left = _drop_members(box, set(members))
    entries = {entry.id: entry for entry in [*_find(box, ids), *(box.dead() if dead else [])]}
    for entry in entries.values():
        forget_member(box.folder, entry.line, local=box.is_local)
        box.drop(entry, "dropped by hand")
        if entry.alert.state == "firing":
            # Nobody was told by it: the next bad run has to.
            forget(state_of(box, partial(_address, entry)), entry.alert.dedup_key)
    files = box.corrupt() if corrupt else []
    for path in files:
        box.remove_corrupt(path)
    if as_json:
        click.echo(json.dumps({"dropped": [*entries, *(path.name for path in files), *left]}, indent=2))
    else:
        click.echo(f"dropped {len(entries) + len(left)} alerts and {len(files)} corrupt files")


def _open(settings: Settings) -> Outbox:
    from spark_pd.delivery.outbox import open_outbox

    box = open_outbox(settings.outbox_path)
    if box is None:
        raise UsageError("there is no home directory, so there is no outbox: set spark.pd.outbox.path")
    return box


def _drop_members(box: Outbox, dedup_keys: set[str]) -> list[str]:
    """Take members out of their storms. Raises UsageError for a key that is none's."""
    from spark_pd.delivery.outbox.storm_members import storms_in

    found = [(storm, member) for storm in storms_in(box.folder, local=box.is_local) for member in storm.read()]
    missing = dedup_keys - {member.dedup_key for _, member in found}
    if missing:
        raise UsageError(f"no storm has a member {min(missing)}; `spark-pd outbox list` shows what there is")
    chosen = [(storm, member) for storm, member in found if member.dedup_key in dedup_keys]
    for storm, member in chosen:
        storm.leave(member.line)
    return [member.dedup_key for _, member in chosen]


def _find(box: Outbox, ids: tuple[str, ...]) -> list[Entry]:
    """The entries with these ids. Raises UsageError for an id that is none's."""
    known = {entry.id: entry for entry in ([*box.waiting(), *box.dead()] if ids else [])}
    missing = [id for id in ids if id not in known]
    if missing:
        raise UsageError(f"there is no alert {missing[0]} in {box.folder}; `spark-pd outbox list` shows what there is")
    return [known[id] for id in ids]


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "reason": entry.reason or NOBODY_TRIED,
        "queued_at": _when(entry),
        "trigger": entry.alert.trigger,
        "alert": entry.alert.state,
        "dedup_key": entry.alert.dedup_key,
        "channel": entry.address.channel,
    }


def _address(entry: Entry) -> Address:
    return entry.address


def _when(entry: Entry) -> str:
    try:
        return datetime.fromtimestamp(entry.stamp / 1e9, timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "-"
