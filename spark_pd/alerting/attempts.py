"""Attempts: which try of its job this is, and whether another follows should it fail. Pure; `spark/platform.py` asks the platform.

Airflow publishes the number of a task's try, and not how many it has. YARN publishes both for a driver in the cluster. Databricks publishes
neither to the code that runs: `{{task.execution_count}}` has to be handed to the job as a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spark_pd.model import SEVERITIES, Severity

AIRFLOW = "AIRFLOW_CTX_TRY_NUMBER"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a job, from 1 on."""

    number: int
    most: int | None = None
    """How many there are; None where that is not known."""

    @property
    def retried(self) -> bool:
        """Whether another attempt is known to follow, should this one fail."""
        return self.most is not None and self.number < self.most

    def __str__(self) -> str:
        if self.most is None:
            return f"attempt {self.number}"
        return f"attempt {self.number} of {max(self.number, self.most)}{', a retry follows' if self.retried else ''}"


def attempt_of(
    *, number: int | None, most: int | None, environ: Mapping[str, str], yarn: tuple[int, int | None] | None = None
) -> Attempt | None:
    """The attempt by the settings (`number`, `most`), which win; else by Airflow's variable or by `yarn`.

    None where nobody tells.
    """
    if number is not None:
        return Attempt(number, most)
    platforms = [found for found in (_airflow(environ), None if yarn is None else Attempt(*yarn)) if found is not None]
    found = _reporter(platforms)
    if found is None or most is None:
        return found
    return Attempt(found.number, most)


def _reporter(found: Iterable[Attempt]) -> Attempt | None:
    """The first that knows how many attempts there are, else the first."""
    attempts = list(found)
    return next((each for each in attempts if each.most is not None), attempts[0] if attempts else None)


def _airflow(environ: Mapping[str, str]) -> Attempt | None:
    number = counted(environ.get(AIRFLOW))
    return None if number is None else Attempt(number)


def counted(text: str | None) -> int | None:
    """A number from 1 on; None for everything else."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0 else None


def failure_severity(usual: Severity, attempt: Attempt | None) -> Severity:
    """How severe a failure is: as the settings say, and no more than a warning where a retry follows."""
    if attempt is None or not attempt.retried:
        return usual
    return max(usual, "warning", key=SEVERITIES.index)
