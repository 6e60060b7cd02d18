"""The nouns of spark_pd, frozen, and the protocols between its stages. It imports nothing of the package but the errors.

rules -> checks -> RunStats -> triggers -> Decision, Alert -> dispatch -> Channel -> Delivery
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

RuleType: TypeAlias = Literal["row_dq", "agg_dq", "query_dq"]
Action: TypeAlias = Literal["ignore", "drop", "fail"]
RuleStatus: TypeAlias = Literal["passed", "failed", "unknown"]
RunStatus: TypeAlias = Literal["passed", "failed", "errored", "cancelled", "unknown"]
Side: TypeAlias = Literal["source", "target"]
Counting: TypeAlias = Literal["operator", "observation", "two_pass"]
Outcome: TypeAlias = Literal["firing", "good", "none", "unknown"]
AlertState: TypeAlias = Literal["firing", "resolved"]
Severity: TypeAlias = Literal["critical", "error", "warning", "info"]
DeliveryStatus: TypeAlias = Literal["sent", "queued", "failed", "suppressed", "dead"]

SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")
IncidentOf: TypeAlias = Literal["table", "rule"]
Priority: TypeAlias = Literal["low", "medium", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named expectation: a SQL boolean that should be true of every row. NULL counts as failed.

    The fields are spark-expectations' columns, with `name` for its column `rule`; `warning_threshold` and `incident` are ours.
    """

    name: str
    expectation: str
    rule_type: RuleType = "row_dq"
    action_if_failed: Action = "ignore"
    column_name: str | None = None
    tag: str | None = None
    description: str | None = None
    priority: Priority | None = None
    """None is as good as medium, spark-expectations' default."""
    is_active: bool = True
    product_id: str | None = None
    table_name: str | None = None
    enable_for_source_dq_validation: bool = True
    enable_for_target_dq_validation: bool = True
    enable_error_drop_alert: bool = False
    """Whether the trigger error_drop_threshold looks at this rule's own failed rows; row rules only."""
    error_drop_threshold: float | None = None
    """Percent of the input, failed by this rule, from which on that is an alarm. None is 0, spark-expectations' default: any row."""
    query_dq_delimiter: str | None = None
    enable_querydq_custom_output: bool = False
    """Known, and without effect: the rows of a query's parts are kept nowhere."""
    warning_threshold: float | None = None
    """Percent, below error_drop_threshold, from which on it is a warning. None: there is no warning."""
    incident: IncidentOf = "table"
    """Whether its failures are part of the table's incidents, or incidents of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What became of one rule in one run. `failed_count` is a number of rows; None where it is not known."""

    name: str
    rule_type: RuleType
    column_name: str | None
    action_if_failed: Action
    status: RuleStatus
    failed_count: int | None
    failed_percentage: float | None
    observed: object = None
    """The value that an aggregate or a query gave; None for row rules."""
    judged_on: Side | None = None
    """Where an aggregate was judged: on all rows that were checked, or on those that stay. None for other rules."""
    samples: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """Some of the rows that failed a row rule, by column, where they were asked for; values that may not be shown are ***."""

    @classmethod
    def of(
        cls,
        rule: Rule,
        status: RuleStatus,
        *,
        failed_count: int | None = None,
        failed_percentage: float | None = None,
        observed: object = None,
        judged_on: Side | None = None,
    ) -> RuleResult:
        """The result of that rule."""
        return cls(
            name=rule.name,
            rule_type=rule.rule_type,
            column_name=rule.column_name,
            action_if_failed=rule.action_if_failed,
            status=status,
            failed_count=failed_count,
            failed_percentage=failed_percentage,
            observed=observed,
            judged_on=judged_on,
        )


def percentage(part: int | None, whole: int | None) -> float | None:
    """100 * part / whole, rounded to 2 (spark-expectations' formula: 0.0 of an empty input). None where either is unknown."""
    if part is None or whole is None:
        return None
    return round(100 * part / whole, 2) if whole else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStats:
    """The counts of the data that one run wrote, in rows; percentages are of the input, rounded to 2. Unknown is None, never 0."""

    product_id: str | None
    table_name: str
    run_id: str
    started_at: datetime
    ended_at: datetime
    status: RunStatus
    input_count: int | None
    error_count: int | None
    """Rows that fail at least one active row rule, whatever its action."""
    dropped_count: int | None
    output_count: int | None
    exact: bool
    counting: Counting
    rules: tuple[RuleResult, ...]

    @property
    def error_percentage(self) -> float | None:
        """error_count of input_count, in percent."""
        return percentage(self.error_count, self.input_count)

    @property
    def output_percentage(self) -> float | None:
        """output_count of input_count, in percent."""
        return percentage(self.output_count, self.input_count)

    @property
    def success_percentage(self) -> float | None:
        """Rows without any failed rule, in percent of input_count."""
        if self.input_count is None or self.error_count is None:
            return None
        return percentage(self.input_count - self.error_count, self.input_count)

    @property
    def error_drop_percentage(self) -> float | None:
        """dropped_count of input_count, in percent."""
        return percentage(self.dropped_count, self.input_count)

    def rule(self, name: str) -> RuleResult:
        """The result of the rule with that name. Raises KeyError where the run had none."""
        for result in self.rules:
            if result.name == name:
                return result
        raise KeyError(f"no rule named {name!r} in this run; it had {[r.name for r in self.rules]}")


def normalized_table(table: str, current_catalog: str | None = None) -> str:
    """A table's name as incidents know it: case folded, no backticks, the catalog in front unless it is spark_catalog.

    `` `Sales`.`Orders` `` and sales.orders are one table.
    """
    name = table.replace("`", "").strip().casefold()
    catalog = (current_catalog or "spark_catalog").replace("`", "").strip().casefold()
    parts = name.split(".")
    if parts[0] == "spark_catalog" and len(parts) > 1:
        return ".".join(parts[1:])
    if catalog != "spark_catalog" and len(parts) < 3:
        return f"{catalog}.{name}"
    return name


DEDUP_KEY_LIMIT = 255  # characters; Events API v2, "dedup_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an incident is about, but for the trigger, and the rule where it is one rule's own.

    Two runs with equal subjects and one trigger are one incident: no run id, count or time in it.
    """

    environment: str | None
    product_id: str | None
    table: str
    scope: str | None = None
    job: str | None = None

    @property
    def prefix(self) -> str:
        """What all its dedup keys begin with: `spark_pd/prod/sales/sales.orders`. Two subjects never have the same."""
        parts = ["spark_pd", _part(self.environment), _part(self.product_id), _part(self.table)]
        if self.scope is not None:
            parts.append(f"scope={_part(self.scope)}")
        if self.job is not None:
            parts.append(f"job={_part(self.job)}")
        return "/".join(parts)

    @property
    def title(self) -> str:
        """What its summaries begin with: `[prod] sales.orders (2026-12-01)`, with the scope behind the table."""
        place = f"[{self.environment}] {self.table}" if self.environment else self.table
        return f"{place} ({self.scope})" if self.scope else place

    def dedup_key(self, trigger: str, rule: str | None = None) -> str:
        """Such as `spark_pd/prod/sales/sales.orders/error_drop_threshold`, and `/rule=has_id` behind it for a rule's own incident.

        Hashed at its end above 255 characters.
        """
        key = f"{self.prefix}/{trigger}" if rule is None else f"{self.prefix}/{trigger}/rule={_part(rule)}"
        if len(key) <= DEDUP_KEY_LIMIT:
            return key
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{key[: DEDUP_KEY_LIMIT - len(digest) - 1]}~{digest}"


def _part(value: str | None) -> str:
    """A name as it stands between two slashes of a dedup key."""
    # "-" stands for "none"; a slash or percent sign inside a name may not look like a border between two.
    if value is None or value == "":
        return "-"
    return "%2D" if value == "-" else value.replace("%", "%25").replace("/", "%2F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a trigger concluded, and why: the answer to "why was I (not) paged?"."""

    trigger: str
    outcome: Outcome
    reason: str
    rule: str | None = None
    """The rule, where it is about a rule's own incident; None for the table's."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look: a URL and what it shows."""

    href: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is to be told, in no channel's words. `details` holds only what may leave the cluster."""

    trigger: str
    state: AlertState
    severity: Severity
    summary: str
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    dedup_key: str
    source: str
    """The application."""
    component: str
    """The table."""
    group: str | None = None
    """The product."""
    at: datetime
    """When it was found, aware."""
    links: tuple[Link, ...] = ()
    change: bool = False
    """Something to know, and nothing to do: it opens no incident, and its `resolved` closes none."""
    rule: str | None = None
    """The rule whose own incident it is about; None for the table's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one alert on one channel, and why."""

    alert: Alert
    channel: str
    status: DeliveryStatus
    reason: str
    status_code: int | None = None
    attempts: int = 0
    retry_after: float = 0.0
    """Seconds after which another try makes sense, where it was too many events that stood in the way; else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a channel sends, as the outbox remembers it: enough to know the same place again, and no key."""

    channel: str
    """The channel's name."""
    endpoint: str = ""
    """The URL that events are posted to."""
    reference: str | None = None
    """Where the key is kept, such as `env:PAGERDUTY_KEY`. None for a key that was given literally."""
    fingerprint: str | None = None
    """`Secret.fingerprint` of the key. None where the key is not known."""


class Channel(Protocol):
    """A named destination of alerts."""

    @property
    def name(self) -> str:
        """The channel's name in deliveries and logs."""

    @property
    def barred(self) -> str | None:
        """Why nothing may be sent from here at all, such as a guard for tests. Such alerts are not kept for later either."""

    def address(self) -> Address:
        """Where this channel sends. It looks up only keys that cost no network, and never raises."""

    def deliver(self, alert: Alert, *, deadline: float, only_to: str | None = None) -> Delivery:
        """Deliver one alert before `deadline` (seconds on time.monotonic's clock). Never raises: the Delivery says what went wrong.

        `failed` means that another try may help, `dead` that the alert was refused for good. With `only_to`, a fingerprint, nothing is
        sent unless the key has it.
        """


@runtime_checkable
class ConfirmingChannel(Channel, Protocol):
    """A channel that can be asked what became of an alert once it was accepted."""

    @property
    def confirms(self) -> bool:
        """Whether it is set up to be asked."""

    def confirm(self, alert: Alert, *, until: float) -> str | None:
        """What is wrong with an alert that was accepted, or why that is not known; None where somebody is told of it.

        It may take until `until` (time.monotonic's clock), and never raises.
        """


class Secret:
    """A secret value that shows itself only to who asks for it by `reveal`. It does not travel: a pickle of it is empty."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: str | None = value

    def reveal(self) -> str:
        """The value. Raises ValueError on a copy that came out of a pickle."""
        if self._value is None:
            raise ValueError("this secret came out of a pickle, which never carries its value")
        return self._value

    def fingerprint(self) -> str:
        """What tells this value from others without giving it away: HMAC-SHA256 under the value itself, as 64 hex digits.

        Raises ValueError on a copy that came out of a pickle.
        """
        return hmac.new(self.reveal().encode("utf-8", "surrogatepass"), b"spark_pd: fingerprint of a secret", hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_emptied, ())

    def __copy__(self) -> Secret:
        return self  # a copy stays in this process

    def __deepcopy__(self, memo: Any) -> Secret:
        return self


def _emptied() -> Secret:
    secret = Secret("")
    secret._value = None
    return secret


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is kept, such as `env:PAGERDUTY_KEY` or `databricks:pagerduty/integration-key`. It is no secret itself."""

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretContext:
    """What a secret provider may need beside its path."""

    spark: Any = None
    """The SparkSession, where there is one."""
    databricks_workspace_url: str | None = None
    cerberus_url: str | None = None


class SecretProvider(Protocol):
    """A secret provider: one callable. Third parties register theirs in the entry point group `spark_pd.secrets`, named by its scheme."""

    def __call__(self, path: str, *, context: SecretContext) -> str:
        """The secret at `path`. Raises SecretError, which names the reference and what to do, never a value."""


def names(values: Sequence[str]) -> str:
    """Names for a sentence: `a, b and c`."""
    if len(values) < 2:
        return "".join(values)
    return f"{', '.join(values[:-1])} and {values[-1]}"
