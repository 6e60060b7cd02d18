"""From settings to the notifier that a run's verdicts go through: dispatch, with the policy and the state before it. No network."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

from spark_pd.alerting.policy import PagingPolicy
from spark_pd.alerting.policy.mute import Mutes
from spark_pd.alerting.policy.mutes_file import MutesFile
from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox, open_outbox
from spark_pd.delivery.outbox.dead_letters import died_since
from spark_pd.delivery.state import state_of
from spark_pd.model.recurring_window import parse_windows
from spark_pd.pagerduty import PagerDutyChannel
from spark_pd.settings import Settings

_log = logging.getLogger("spark_pd")

NOT_ENABLED = "PagerDuty is not enabled (spark.expectations.notifications.pagerduty.enabled is not true)"


def outbox_of(settings: Settings) -> Outbox | None:
    """The outbox; None where nothing is sent, or where there is no place for one, which a warning says."""
    if not settings.enabled:
        return None
    outbox = open_outbox(settings.outbox_path)
    if outbox is None:
        _log.warning("there is no home directory for an outbox, so alerts that cannot be sent are lost: set spark.pd.outbox.path")
    return outbox


def notifier_of(settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None) -> Notifier:
    """The notifier. Where nothing is sent there is nothing to remember either."""
    dispatcher = Dispatcher(
        [channel],
        suppressed=None if settings.enabled else NOT_ENABLED,
        outbox=outbox,
        limits=Limits(rate=settings.rate, storm=int(settings.storm_limit), environment=settings.environment),
    )
    if not settings.enabled:
        return Notifier(dispatcher)
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
        return Notifier(dispatcher, policy=policy, mutes=mutes)
    state = state_of(outbox, channel.address)
    died = functools.partial(died_since, outbox.folder, channel.name)
    return Notifier(dispatcher, policy=policy, store=state, mutes=mutes, died=died)
