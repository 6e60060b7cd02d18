"""From settings to the objects that runs use: channel, outbox, notifier, triggers, stats table, crash guard. It sends and reads nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_pd.alerting.attempts import failure_severity
from spark_pd.alerting.facts import TriggerSettings
from spark_pd.alerting.own_triggers import ProcessOccurrences, own_trigger, recent
from spark_pd.alerting.policy import PagingPolicy
from spark_pd.alerting.policy.mute import Mutes
from spark_pd.alerting.policy.mutes_file import MutesFile
from spark_pd.alerting.policy.routes import Routed, Router
from spark_pd.alerting.trigger import Trigger
from spark_pd.delivery.dispatch import ChannelDispatchers, Dispatcher, Limits
from spark_pd.delivery.event_templates import EventTemplates
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox, open_outbox
from spark_pd.delivery.outbox.dead_letters import died_since
from spark_pd.delivery.outbox.shared_json import Shared
from spark_pd.delivery.state import FileStateStore, place_of
from spark_pd.model import ANNOUNCEMENTS, Address, Channel, Subject
from spark_pd.model.recurring_window import parse_windows
from spark_pd.pagerduty import PagerDutyChannel
from spark_pd.runs.channels import channel_of, channels_of, former_channel, router_of
from spark_pd.runs.crash import Guard, Markers
from spark_pd.runs.session_context import SessionContext
from spark_pd.settings import Settings

if TYPE_CHECKING:
    from spark_pd.history.run_record import Records

_log = logging.getLogger("spark_pd")

NOT_ENABLED = "PagerDuty is not enabled (spark.expectations.notifications.pagerduty.enabled is not true)"


# ---- delivery ----------------------------------------------------------------------------------------------------------------------


class Delivering(NamedTuple):
    """The objects that deliver alerts. `channel`: that of the integration key's setting."""

    channel: PagerDutyChannel
    outbox: Outbox | None
    notifier: Notifier
    dispatcher: Dispatcher | ChannelDispatchers
    place: Callable[[], str]
    """What tells the state of this account's incidents from that of others, in words that hold no key."""


def delivering_of(settings: Settings, spark: Any = None) -> Delivering:
    """The channel, the outbox and the notifier of the settings."""
    channel, outbox = channel_of(settings, spark=spark, retry_throttled=not settings.rate), outbox_of(settings)
    place = place_for(settings, channel)
    dispatcher = dispatcher_of(settings, channel, outbox, spark)
    return Delivering(channel, outbox, notifier_of(settings, channel, outbox, place, dispatcher), dispatcher, place)


def place_for(settings: Settings, channel: PagerDutyChannel) -> Callable[[], str]:
    """Where the state belongs. Channels may come and go, so without a main key they are one place together."""
    if settings.integration_key is None and settings.directions.channels:
        return lambda: "channels"
    return lambda: place_of(channel.address())


def outbox_of(settings: Settings) -> Outbox | None:
    """The outbox; None where nothing is sent, or where there is no folder for one, which a warning says."""
    if not settings.enabled:
        return None
    outbox = open_outbox(settings.outbox_path)
    if outbox is None:
        _log.warning("there is no home directory for an outbox, so alerts that cannot be sent are lost: set spark.pd.outbox.path")
    return outbox


def dispatcher_of(
    settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None, spark: Any = None
) -> Dispatcher | ChannelDispatchers:
    """What sends: to the one channel of the integration key's setting, or to each of the settings' channels."""

    def dispatcher_to(one: Channel) -> Dispatcher:
        """A dispatcher for one channel."""
        return Dispatcher(
            [one],
            suppressed=None if settings.enabled else NOT_ENABLED,
            outbox=outbox,
            limits=Limits(rate=settings.rate, storm=int(settings.storm_limit), environment=settings.environment),
        )

    if not settings.directions.channels:
        return dispatcher_to(channel)
    return ChannelDispatchers(
        channels_of(settings, spark=spark, retry_throttled=not settings.rate),
        dispatcher_to,
        former=lambda address: former_channel(settings, address, spark),
    )


def notifier_of(
    settings: Settings,
    channel: PagerDutyChannel,
    outbox: Outbox | None,
    place: Callable[[], str],
    dispatcher: Dispatcher | ChannelDispatchers,
) -> Notifier:
    """The notifier. Where nothing is sent, no incident state is kept either."""
    router, templates = router_of(settings), templates_of(settings)
    if not settings.enabled:
        return Notifier(dispatcher, router=router, templates=templates)
    policy = PagingPolicy(
        notify={**settings.notify, "late": settings.notify_late},
        after=settings.after,
        after_unknown=settings.after_unknown,
        cooldown=settings.cooldown,
        min_severity=settings.min_severity,
    )
    mutes = Mutes(
        windows=parse_windows(settings.mute or ""),
        file=None if settings.mutes_file is None else MutesFile(Path(settings.mutes_file)),
    )
    if outbox is None:
        return Notifier(dispatcher, router=router, templates=templates, policy=policy, mutes=mutes)
    state = FileStateStore(outbox.folder / "state", place=place)
    channels = [channel.name] if router is None else [*settings.directions.channels, channel.name]

    def died(dedup_key: str, since: datetime) -> bool:
        """Whether nobody was told: no channel that may have got the alert has it any more."""
        return all(died_since(outbox.folder, name, dedup_key, since) for name in channels)

    return Notifier(dispatcher, router=router, templates=templates, policy=policy, store=state, mutes=mutes, died=died)


def templates_of(settings: Settings) -> EventTemplates | None:
    """The templates of event fields; None where there are none."""
    by_channel = {name: each.template for name, each in settings.directions.channels.items() if each.template}
    if not settings.templates and not by_channel:
        return None
    router = Router(settings.directions, default=(), environment=settings.environment)

    def about(table: str) -> dict[str, Any]:
        """What the settings say of a table."""
        owner, notes = router.owner_of(table), router.notes_of(table)
        return {
            "owner": None if owner is None else {"name": owner.name, "runbook": owner.runbook},
            "runbook": router.runbook_of(table),
            "description": next((each.description for each in notes if each.description), None),
        }

    return EventTemplates(settings.templates, by_channel, about)


# ---- what runs have besides --------------------------------------------------------------------------------------------------------


def triggers_of(settings: Settings) -> TriggerSettings:
    """Which triggers are on, and how they decide."""
    return TriggerSettings(
        on=settings.on,
        severity=settings.severity,
        error_drop_threshold=settings.error_drop_threshold,
        warning_threshold=settings.warning_threshold,
        by_priority=settings.by_priority,
        page_on_unknown=settings.on_unknown == "page",
        changes=ANNOUNCEMENTS if settings.lifecycle_as == "change" else frozenset(),
        limit=settings.limit,
        exceptions=settings.exceptions,
        custom_triggers=own_triggers_of(settings),
    )


def own_triggers_of(settings: Settings) -> tuple[Trigger, ...]:
    """Triggers of one's own. How often they held is counted beside the outbox, for all processes that share it."""
    if not settings.own_triggers:
        return ()
    router, outbox = router_of(settings), outbox_of(settings)
    occurrences = ProcessOccurrences() if outbox is None else SharedOccurrences(Shared(outbox.folder / "occurrences.json"))

    def owner_of(table: str) -> str | None:
        """The table's owner, where the settings know one."""
        owner = None if router is None else router.owner_of(table)
        return None if owner is None else owner.name

    return tuple(own_trigger(each, occurrences, owner_of) for each in settings.own_triggers)


class SharedOccurrences:
    """Counts how often an expression held, in a file that the processes of an outbox share."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def add(self, group: str, run_id: str, at: datetime, within: float) -> int:
        """As Occurrences.add."""
        with self._shared.changing() as found:
            held = self._held(found, group)
            held[run_id] = at.timestamp()
            return recent(held, at, within)

    def count(self, group: str, at: datetime, within: float) -> int:
        """As Occurrences.count."""
        with self._shared.changing() as found:
            return recent(self._held(found, group), at, within)

    @staticmethod
    def _held(found: dict[str, Any], group: str) -> dict[str, float]:
        held = found.setdefault(group, {})
        if not isinstance(held, dict) or not all(isinstance(when, float) for when in held.values()):
            held = found[group] = {}
        return held


def records_of(spark: Any, settings: Settings, place: Callable[[], str], outbox: Outbox | None) -> Records | None:
    """The stats table and the tables beside it, where there is one."""
    if settings.stats_table is None:
        return None
    from spark_pd.history.run_record import Records

    return Records.of(
        spark,
        settings.stats_table,
        format=settings.stats_format,
        place=place() if settings.enabled else None,
        local=None if outbox is None else FileStateStore(outbox.folder / "state", place=place),
        most=settings.history_runs,
        least=settings.history_min_runs,
    )


def guard_of(context: SessionContext, channel: PagerDutyChannel, outbox: Outbox | None) -> Guard:
    """What reports open runs whose process crashes."""
    settings, attempt = context.settings, context.attempt
    severity, router = failure_severity(settings.severity["failure"], attempt), router_of(settings)
    named = {} if router is None else {each.name: each for each in channels_of(settings)}

    def addresses(subject: Subject) -> tuple[Address, ...]:
        """Where the alert of a run's death goes."""
        if router is None:
            return (channel.address(),)
        return tuple(named[name].address() for name in router.channels(Routed(subject=subject, trigger="failure", severity=severity)))

    return Guard(
        watching=settings.enabled,
        markers=Markers.beside(outbox) if outbox is not None and settings.on["failure"] else None,
        heartbeat=settings.heartbeat,
        on_signal=settings.on_signal,
        severity=severity,
        attempt=None if attempt is None else str(attempt),
        application=context.application,
        application_id=context.application_id,
        addresses=addresses,
    )
