"""Which attempt of its job a run is, and whether another attempt follows if it fails. Pure; `spark/platform.py` asks the platform.

Airflow publishes the number of a task's try, but not how many tries it has. YARN publishes both to a driver in the cluster. Databricks
publishes neither to the running code: pass `{{task.execution_count}}` to the job as a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        """Whether another attempt is known to follow if this one fails."""
        return self.most is not None and self.number < self.most

    def __str__(self) -> str:
        if self.most is None:
            return f"attempt {self.number}"
        return f"attempt {self.number} of {max(self.number, self.most)}{', a retry follows' if self.retried else ''}"


def attempt_of(
    *, number: int | None, most: int | None, environ: Mapping[str, str], yarn: tuple[int, int | None] | None = None
) -> Attempt | None:
    """The attempt by the settings (`number`, `most`), else by what Airflow's variable and `yarn` say. None where nothing says it.

    What knows how many attempts there are is preferred.
    """
    if number is not None:
        return Attempt(number, most)
    tries = counted(environ.get(AIRFLOW))
    found = ([] if tries is None else [Attempt(tries)]) + ([] if yarn is None else [Attempt(*yarn)])
    best = next((each for each in found if each.most is not None), found[0] if found else None)
    return best if best is None or most is None else Attempt(best.number, most)


def counted(text: str | None) -> int | None:
    """A number from 1 on; None for everything else."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0 else None


def failure_severity(usual: Severity, attempt: Attempt | None) -> Severity:
    """The severity of a failure: the usual one, and at most a warning where a retry follows."""
    if attempt is None or not attempt.retried:
        return usual
    return max(usual, "warning", key=SEVERITIES.index)
