"""A run and a monitor for a notebook: the verdict, the rules, who was paged, and why others were not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spark_pd.model import Alert, Decision, Delivery, html, names
from spark_pd.model.stats_html import counts_table, rules_table

if TYPE_CHECKING:
    from spark_pd.runs.run import Run
    from spark_pd.settings import Settings

_OUTCOMES = {"firing": "bad", "good": "good"}
_STATUSES = {"sent": "good", "failed": "bad", "dead": "bad"}


def verdict_of(run: Run) -> tuple[str, str]:
    """The run's verdict in a word, and its kind: good, bad or none."""
    if not run.decisions:
        return "not ended yet", "none"
    firing = [each for each in run.decisions if each.outcome == "firing" and each.trigger not in ("start", "completion")]
    if firing:
        return f"bad ({names([each.trigger for each in firing])})", "bad"
    status = None if run.stats is None else run.stats.status
    return ("good", "good") if status in (None, "passed") else (str(status), "none")


def run_html(run: Run, on: Mapping[str, bool]) -> str:
    """A run. on: the switches of the triggers."""
    verdict, kind = verdict_of(run)
    parts = [] if run.stats is None else [counts_table(run.stats), rules_table(run.stats)]
    return html.page(
        f"{html.text(run.table)}: {html.marked(verdict, kind)}",
        _incidents(run.alerts, run.deliveries),
        *parts,
        _decisions(run.decisions, on),
        _links(run.alerts),
    )


def _incidents(alerts: Sequence[Alert], deliveries: Sequence[Delivery]) -> str:
    found: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault((delivery.alert.dedup_key, delivery.alert.state), []).append(delivery)
    rows = [
        (
            html.marked(alert.state, "bad" if alert.state == "firing" else "good"),
            html.text(alert.severity),
            html.text(alert.summary),
            "<br>".join(
                f"{html.text(each.channel)}: {html.marked(each.status, _STATUSES.get(each.status, 'none'))}, {html.text(each.reason)}"
                for each in found.get((alert.dedup_key, alert.state), [])
            )
            or html.text("not known yet"),
        )
        for alert in alerts
        if alert.state == "firing" or any(each.status == "sent" for each in found.get((alert.dedup_key, alert.state), []))
    ]
    return html.table("Incidents", ("state", "severity", "summary", "delivery"), rows)


def _decisions(decisions: Sequence[Decision], on: Mapping[str, bool]) -> str:
    shown = [each for each in decisions if on.get(each.trigger, True)]
    rows = [
        (
            html.text(each.trigger if each.rule is None else f"{each.trigger} of rule {each.rule}"),
            html.marked(each.outcome, _OUTCOMES.get(each.outcome, "none")),
            html.text(each.reason),
        )
        for each in shown
    ]
    off = list(dict.fromkeys(each.trigger for each in decisions if not on.get(each.trigger, True)))
    switched = f'<p class="none">switched off: {html.text(names(off))}</p>' if off else ""
    table = html.table("Why somebody was paged, or not", ("trigger", "outcome", "reason"), rows)
    return f"{table}{switched}"


def _links(alerts: Sequence[Alert]) -> str:
    links = {each.href: each.text for alert in alerts for each in alert.links}
    return f"<p>{' · '.join(html.link(href, shown) for href, shown in links.items())}</p>" if links else ""


def monitor_html(application: str, counting: str, settings: Settings) -> str:
    """A monitor: what it counts by, where it sends, and the settings that are no defaults."""
    rows = [
        (html.text(name), html.text(value), html.text(source))
        for name, (value, source) in settings.describe().items()
        if source != "default"
    ]
    state = html.marked("PagerDuty enabled", "good") if settings.enabled else html.marked("PagerDuty not enabled: nothing is sent", "none")
    channels = [(html.text(name), html.text(each.service or "by its key")) for name, each in settings.directions.channels.items()]
    return html.page(
        f"Monitor of {html.text(application)}: {state}",
        f"<p>rows are counted by {html.text(counting)}</p>",
        html.table("Channels", ("channel", "to"), channels),
        html.table("Settings that are not the defaults", ("setting", "value", "from"), rows),
    )
