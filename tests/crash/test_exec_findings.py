"""What a job's end means, by table, and what its application is called."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.runs.crash import journal
from spark_pd.runs.crash.journal import JournalContents
from spark_pd.runs.exec import Ending, application_name, judge
from spark_pd.runs.exec.report_job_end import find_dead_runs

GOOD, BAD, KILLED = Ending(), Ending(1), Ending(signal=9)
QUIET, FAILED = JournalContents(), JournalContents(failed=True)

JUDGED = [
    # ending, what the runs told, how many were left open: what becomes of those, what is told of the application
    (GOOD, QUIET, 0, "report", "resolved"),
    (GOOD, FAILED, 0, "report", "resolved"),
    (GOOD, QUIET, 1, "report", None),
    (GOOD, JournalContents(unmarked=1), 0, "report", "firing"),
    (BAD, QUIET, 0, "report", "firing"),
    (BAD, FAILED, 0, "report", None),
    (BAD, JournalContents(unmarked=1), 0, "report", "firing"),
    (BAD, FAILED, 2, "report", None),
    (KILLED, QUIET, 0, "report", "firing"),
    (KILLED, QUIET, 1, "report", None),
    (Ending(127), QUIET, 0, "report", "firing"),
    (Ending(143), QUIET, 0, "report", "firing"),
    (Ending(130), QUIET, 0, "forget", None),
    (Ending(signal=2), QUIET, 1, "forget", None),
]


@pytest.mark.parametrize(("ending", "told", "left_open", "runs", "application"), JUDGED)
def test_what_is_told(ending, told, left_open, runs, application) -> None:
    found = judge(ending, told, left_open=left_open)
    assert (found.runs, found.application) == (runs, application)
    assert found.reason.startswith(f"the job {ending}")


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (GOOD, "ended with exit code 0"),
        (BAD, "ended with exit code 1"),
        (KILLED, "was killed by SIGKILL"),
        (Ending(signal=60), "was killed by signal 60"),
    ],
)
def test_an_ending_in_words(ending, said) -> None:
    assert str(ending) == said


NAMES = [
    ("python job.py --day 1", "job.py"),
    ("/usr/bin/python3.11 -u -W error -X dev jobs/nightly.py x.py", "nightly.py"),
    ("python -m company.jobs.nightly --x", "company.jobs.nightly"),
    ("python -c pass", "python"),
    ("python -", "python"),
    ("python", "python"),
    ("./job.py a", "job.py"),
    ("bash -e run.sh", "run.sh"),
    ("sh -c true", "sh"),
    ("spark-submit job.py", "job.py"),
    ("/opt/spark/bin/spark-submit --master yarn --py-files deps.py --conf a=b --verbose dir/job.py x.py", "job.py"),
    ("spark-submit --name nightly --master yarn job.py", "nightly"),
    ("spark-submit --name=nightly job.py", "nightly"),
    ("spark-submit --conf spark.app.name=nightly job.py", "nightly"),
    ("spark-submit --conf=a=b --master=yarn job.py --name no", "job.py"),
    ("spark-submit --class org.x.Main app.jar", "app.jar"),
    ("spark-submit", "spark-submit"),
    ("spark-pd run job.py --name no", "job.py"),
    ("/usr/bin/spark-pd run --conf a=b --config-file=x --name nightly job.py", "nightly"),
    ("python -m spark_pd run --config-file x dir/job.py", "job.py"),
    ("spark-submit --master yarn /lib/spark_pd/__main__.py run --name=nightly job.py", "nightly"),
    ("spark-submit /lib/spark_pd/__main__.py run", "__main__.py"),
    ("make job", "make"),
]


@pytest.mark.parametrize(("command", "name"), NAMES)
def test_the_applications_name(command, name) -> None:
    assert application_name(command.split()) == name


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_every_command_has_a_name(command: list[str]) -> None:
    assert isinstance(application_name(command), str)


def test_a_journal_tells_what_is_open_and_whether_one_failed_and_stays_small(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "journal"
    journal.opened("nobody listens", None)
    monkeypatch.setenv(journal.VARIABLE, str(folder))
    journal.opened("not made where it is missing", None)
    journal.ended("not made where it is missing", "errored")
    assert not folder.exists()
    folder.mkdir()
    marker = tmp_path / "b\udcff.json"  # a name that is no UTF-8
    for run, where in {"a": tmp_path / "a.json", "b": marker, "c": None}.items():
        journal.opened(run, where)
    journal.ended("a", "passed")
    assert journal.read(folder) == JournalContents(markers=(marker,), unmarked=1)
    for run in range(100):
        journal.opened(str(run), tmp_path)
        journal.ended(str(run), "errored")
    assert journal.read(folder) == JournalContents(failed=True, markers=(marker,), unmarked=1)
    assert len(list(folder.iterdir())) == 3
    assert journal.read(tmp_path / "missing") == JournalContents()


def test_alerts_that_are_on_their_way_are_waited_for(tmp_path: Path, monkeypatch) -> None:
    """Those of a driver that outlives its spark-submit: the first process of a container takes all others with it."""
    monkeypatch.setenv(journal.VARIABLE, str(tmp_path))
    journal.sending("a")
    assert find_dead_runs(tmp_path, grace=0.0) == (JournalContents(sending=1), [], [])
    timer = threading.Timer(0.3, journal.sent, ["a"])
    timer.start()
    assert find_dead_runs(tmp_path, grace=60.0) == (JournalContents(), [], [])
    timer.join()
    assert list(tmp_path.iterdir()) == []
