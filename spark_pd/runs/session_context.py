"""What all runs and streams of one monitor share: the settings, and what is known of the session and its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spark_pd.alerting.attempts import Attempt
from spark_pd.alerting.facts import TriggerSettings
from spark_pd.model import Link
from spark_pd.runs.events import Events
from spark_pd.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """Made once for each monitor; none of it changes."""

    settings: Settings
    triggers: TriggerSettings
    application: str
    application_id: str | None = None
    links: tuple[Link, ...] = ()
    """To the platform's pages about the job."""
    platform: Mapping[str, str] = field(default_factory=dict)
    """Where the job runs, by the platform's own names."""
    events: Events | None = None
    """Emits each step of a run; None: nobody takes events."""
    attempt: Attempt | None = None
    """Which attempt of its job this process is. None: the platform does not say."""
