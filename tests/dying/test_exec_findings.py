"""What a job's end means, by table, and what its application is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.dying import journal
from spark_pd.dying.journal import Told
from spark_pd.supervise import Ending, application_name, judge

GOOD, BAD, KILLED = Ending(), Ending(1), Ending(signal=9)
ONE_GOOD, ONE_BAD = Told(opened=1, verdicts=("passed",)), Told(opened=2, verdicts=("passed", "errored"))

JUDGED = [
    # ending, what the runs told, how many were left open: what becomes of those, what is told of the application
    (GOOD, Told(), 0, "tell", "resolved"),
    (GOOD, ONE_GOOD, 0, "tell", "resolved"),
    (GOOD, ONE_BAD, 0, "tell", "resolved"),
    (GOOD, ONE_GOOD, 1, "tell", None),
    (GOOD, Told(opened=1, unmarked=1), 0, "tell", "firing"),
    (BAD, Told(), 0, "tell", "firing"),
    (BAD, ONE_GOOD, 0, "tell", "firing"),
    (BAD, ONE_BAD, 0, "tell", None),
    (BAD, Told(opened=1, verdicts=("failed",)), 0, "tell", None),
    (BAD, Told(opened=1, verdicts=("cancelled",)), 0, "tell", "firing"),
    (BAD, ONE_BAD, 2, "tell", None),
    (KILLED, Told(), 0, "tell", "firing"),
    (KILLED, ONE_GOOD, 1, "tell", None),
    (Ending(127), Told(), 0, "tell", "firing"),
    (Ending(143), Told(), 0, "tell", "firing"),
    (Ending(130), Told(), 0, "forget", None),
    (Ending(signal=2), ONE_GOOD, 1, "forget", None),
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
    ("make job", "make"),
]


@pytest.mark.parametrize(("command", "name"), NAMES)
def test_the_applications_name(command, name) -> None:
    assert application_name(command.split()) == name


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_every_command_has_a_name(command: list[str]) -> None:
    assert isinstance(application_name(command), str)


def test_a_journal_tells_what_was_written_whole(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "journal"
    journal.opened("nobody listens", None)
    monkeypatch.setenv(journal.VARIABLE, str(path))
    journal.opened("not made where it is missing", None)
    assert not path.exists()
    path.touch()
    journal.opened("a", Path("/x/a"))
    journal.opened("b", Path("/x/b"))
    journal.opened("c", None)
    journal.ended("a", "errored")
    with path.open("a") as file:
        file.write("[]\n7\n{}\n\udcff\n".encode("utf-8", "replace").decode() + json.dumps({"run": "d", "marker": "/x/d"})[:-3])
    assert journal.read(path) == Told(opened=3, verdicts=("errored",), unmarked=1, markers=(Path("/x/b"),))
    assert journal.read(tmp_path / "missing") == Told()
