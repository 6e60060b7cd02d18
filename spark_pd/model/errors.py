"""Everything that spark_pd raises, under one root.

    SparkPdError
    ├── SettingsError    settings that cannot be used; every mistake in one error
    ├── RulesError       rules that cannot be used; every mistake in one error
    ├── RuleFailed       a rule whose action_if_failed is `fail` failed; nothing was written
    ├── SecretError      a secret that could not be had; it names the reference, never the value
    ├── DeliveryError    an alert that was not delivered; raised only with `spark.pd.strict`
    └── UsageError       the API was called in a way that cannot mean anything

A message says what was wrong, where, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_pd.model import Delivery, RuleResult

__all__ = [
    "DeliveryError",
    "RuleFailed",
    "RulesError",
    "SecretError",
    "SettingsError",
    "SparkPdError",
    "UsageError",
]


class SparkPdError(Exception):
    """The root of all errors of spark_pd: `except SparkPdError` catches them all."""


class _Findings(SparkPdError):
    """An error that reports all mistakes together; `mistakes` holds them one by one."""

    heading = "mistakes"

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes: tuple[str, ...] = tuple(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        if len(self.mistakes) == 1:
            return self.mistakes[0]
        lines = "".join(f"\n  {n}. {mistake}" for n, mistake in enumerate(self.mistakes, 1))
        return f"{len(self.mistakes)} {self.heading}:{lines}"


class SettingsError(_Findings):
    """Settings that cannot be used. `mistakes` has one sentence for each."""

    heading = "mistakes in the settings"


class RulesError(_Findings):
    """Rules that cannot be used. `mistakes` has one sentence for each."""

    heading = "mistakes in the rules"


class RuleFailed(SparkPdError):
    """Rules with action `fail` failed. `rules` holds their results; the incident went out before this was raised."""

    def __init__(self, message: str, rules: Sequence[RuleResult] = ()) -> None:
        self.rules: tuple[RuleResult, ...] = tuple(rules)
        super().__init__(message, self.rules)

    def __str__(self) -> str:
        return str(self.args[0])


class SecretError(SparkPdError):
    """A secret could not be had. The message names its reference, never its value."""


class DeliveryError(SparkPdError):
    """Alerts were not delivered (raised only with `spark.pd.strict`). `deliveries` holds what became of each."""

    def __init__(self, message: str, deliveries: Sequence[Delivery] = ()) -> None:
        self.deliveries: tuple[Delivery, ...] = tuple(deliveries)
        super().__init__(message, self.deliveries)

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(SparkPdError):
    """The API was called in a way that cannot mean anything, such as a second `check` in one run."""


for _name in __all__:
    globals()[_name].__module__ = "spark_pd"  # what tracebacks and incidents name is what users import
