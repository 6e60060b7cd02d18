"""What a process of the harness does: real runs, with a real dispatcher, outbox and channel. Only counting rows is left out.

It tells what it did on a pipe, line by line, so that its account outlives it.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from spark_pd.alerting.facts import TriggerSettings
from spark_pd.alerting.triggers import TRIGGERS
from spark_pd.delivery.dispatch import Dispatcher, Submission
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Entry, Outbox, replay
from spark_pd.model import Alert, Channel, Secret, SecretReference, Subject
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.runs.run import Run
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.session_context import SessionContext
from spark_pd.settings import Settings
from tests.faults.one_run import perform, work
from tests.faults.scenario import Actor, Job
from tests.faults.trouble import Clock, FailingDisk, arm, install

KEY_NAME = "SPARK_PD_FAULTS_KEY"
PRODUCT = "p"
THRESHOLD = 10.0  # percent
_SEVERITY: dict[str, Any] = {"failure": "critical", "error_drop_threshold": "error", "ignored_rules": "warning"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all processes of a scenario share."""

    folder: Path
    url: str
    key: str
    ca_file: str | None
    environment: str | None
    on: frozenset[str]
    by_reference: bool
    weak: bool
    seed: str
    sabotage: str | None = None
    """The name of a function in tests.faults.sabotage that breaks the product, to see whether the harness finds it."""

    @property
    def outbox(self) -> Path:
        """The outbox's folder."""
        return self.folder / "outbox"

    def __repr__(self) -> str:
        return f"Site({self.seed!r})"


class Journal:
    """The process's account of itself, a line of JSON for each thing that it did."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.RLock()

    def tell(self, **fields: Any) -> None:
        """Write it down at once."""
        line = json.dumps(fields, default=str).encode() + b"\n"
        with self._lock:
            os.write(self._fd, line)


class Reporter(Dispatcher):
    """A dispatcher that tells when alerts were handed over: from then on they must not get lost."""

    journal: Journal

    def submit(self, alerts: Iterable[Alert], *, seconds: float) -> Submission:
        """As Dispatcher's."""
        handed = tuple(alerts)
        submission = super().submit(handed, seconds=seconds)
        # The application's name is in what is sent, however small that has to become: here it is the run's.
        self.journal.tell(handed=[[alert.trigger, alert.state] for alert in handed], run=handed[0].source if handed else None)
        return submission


def act(site: Site, actor: Actor, name: str, journal_pipe: Connection, output: Connection) -> None:
    """Be one process of a scenario."""
    journal = Journal(journal_pipe.fileno())
    _settle_in(site, output)
    disk, clock = FailingDisk(site.outbox, f"{site.seed}/{name}"), Clock()
    dispatcher = _dispatcher(site, actor, clock)
    dispatcher.journal = journal
    install(disk, clock)
    if actor.kill is not None and actor.kill.by != "time":
        arm(actor.kill, site.folder, journal.tell)
    journal.tell(ready=os.getpid())

    def one(position: int) -> None:
        first, last = actor.disk_jobs
        disk.become(actor.disk if first <= position < last else None)
        clock.off = actor.clock[position] if actor.clock else 0.0
        job = actor.jobs[position]
        perform(job, _run(site, job, dispatcher), work, journal.tell)

    if actor.threads:
        _in_threads(actor, one)
    else:
        for position in range(len(actor.jobs)):
            one(position)
    if actor.lingers:
        dispatcher.flush(1.0)
    journal.tell(left=True)
    os._exit(0)


def drain(site: Site, how: str, journal_pipe: Connection, output: Connection) -> None:
    """Be the process that sends what waits once all is well: by `replay`, or as the next run does on the way."""
    journal = Journal(journal_pipe.fileno())
    _settle_in(site, output)
    dispatcher = _dispatcher(site, Actor(jobs=()), Clock())
    dispatcher.journal = journal
    box, channel = Outbox(site.outbox), _channel(site, blind=False)
    if how == "next run":
        for number in range(3):
            job = Job(number=-1 - number, table="sales.drain", verdict="good", deadline=5.0)
            perform(job, _run(site, job, dispatcher), work, journal.tell)
            dispatcher.flush(10.0)
    # What a run leaves to an operator is his to send: what was queued while its key was not known.
    outcomes = [*replay(box, _anywhere(channel), until=time.monotonic() + 20, patience=2.0)]
    journal.tell(drained=[[each.entry.alert.dedup_key, each.status, each.reason] for each in outcomes])
    os._exit(0)


def _anywhere(channel: Channel) -> Callable[[Entry], Channel | str]:
    return lambda entry: channel


def _settle_in(site: Site, output: Connection) -> None:
    """Its output and logs go to the harness, which looks for keys in them."""
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True, format="%(name)s %(levelname)s %(message)s")
    os.environ["SPARK_PD_LOOPBACK_ONLY"] = "1"
    os.environ[KEY_NAME] = site.key
    if site.ca_file is not None:
        os.environ["REQUESTS_CA_BUNDLE"] = site.ca_file
    random.seed()  # the jitter's: forked processes would share it
    if site.sabotage is not None:
        from tests.faults import sabotage

        getattr(sabotage, site.sabotage)()


def _dispatcher(site: Site, actor: Actor, clock: Clock) -> Reporter:
    folder = site.folder / "file" / "outbox" if actor.disk == "not there" else site.outbox
    box = Outbox(folder, clock=clock.time_ns)
    if site.weak:
        box._local = False  # no test can mount a network file system
    return Reporter([_channel(site, blind=actor.blind)], outbox=box)


def _channel(site: Site, *, blind: bool) -> PagerDutyChannel:
    def key() -> Secret:
        if blind and site.by_reference:
            raise RuntimeError(f"the backend refused to give {site.key}")
        return Secret(os.environ[KEY_NAME] if site.by_reference else site.key)

    reference = SecretReference("env", KEY_NAME) if site.by_reference else None
    return PagerDutyChannel("pagerduty", endpoint=endpoint("us", site.url), key=key, reference=reference)


def _run(site: Site, job: Job, dispatcher: Dispatcher) -> Run:
    policy = TriggerSettings(
        on={trigger: trigger in site.on for trigger in TRIGGERS},
        severity={trigger: _SEVERITY.get(trigger, "info") for trigger in TRIGGERS},
        error_drop_threshold=THRESHOLD,
    )
    plan = RunPlan(
        context=SessionContext(
            settings=Settings(deadline=job.deadline, strict=job.strict), triggers=policy, application=f"run-{job.number}"
        ),
        table=job.table,
        subject=Subject(environment=site.environment, product_id=PRODUCT, table=job.table),
    )
    checker = SimpleNamespace(load=lambda rules: (), check=lambda df, rules: df, error_table=lambda *_: None)
    return Run(plan, checker=checker, notifier=Notifier(dispatcher))


def _in_threads(actor: Actor, one: Callable[[int], None]) -> None:
    tables: dict[str, list[int]] = {}
    for position, job in enumerate(actor.jobs):
        tables.setdefault(job.table, []).append(position)

    def several(positions: list[int]) -> None:
        for position in positions:
            one(position)

    threads = [threading.Thread(target=several, args=(positions,)) for positions in tables.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
