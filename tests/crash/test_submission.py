"""What a spark-submit's command says, and where its driver's Python may be chosen for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_pd.runs.exec.spark_submit import spark_submit_of, why_not_watched

SCRIPTS = [
    ("spark-submit job.py --day 1", "job.py"),
    ("/opt/spark/bin/spark-submit --master yarn --py-files deps.py --conf a=b --verbose dir/job.py x.py", "job.py"),
    ("spark3-submit --load-spark-defaults hdfs://host/jobs/job.py", "job.py"),
    ("spark-submit --class org.x.Main app.jar job.py", None),
    ("spark-submit pyspark-shell-main", None),
    ("spark-submit --master local run.R", None),
    ("spark-submit /lib/spark_pd/__main__.py run job.py", None),
    ("spark-submit dir/__main__.py", "__main__.py"),
    ("spark-submit --version", None),
    ("spark-submit --conf", None),
]


@pytest.mark.parametrize(("command", "script"), SCRIPTS)
def test_only_a_python_script_is_one(command, script) -> None:
    submission = spark_submit_of(command.split())
    assert submission is not None
    assert submission.script == script


@pytest.mark.parametrize(
    "command", ["python job.py", "spark-pd exec -- spark-submit job.py", "bash spark-submit job.py", "env spark-submit x.py"]
)
def test_what_is_no_spark_submit_is_none(command) -> None:
    assert spark_submit_of(command.split()) is None


WORDS = st.text(st.characters(codec="ascii", exclude_characters="=-"), min_size=1).filter(lambda word: not word.startswith("-"))
OPTIONS = st.dictionaries(st.sampled_from(["--master", "--name", "--py-files", "--jars", "--queue"]), st.text(max_size=9), max_size=4)
CONF = st.dictionaries(WORDS, st.text(max_size=9), max_size=4)


@settings(deadline=None)
@given(OPTIONS, CONF, WORDS, st.lists(st.text(max_size=9)), st.booleans())
def test_all_that_was_given_is_found_and_nothing_of_the_jobs_own(options, conf, resource, arguments, joined) -> None:
    """spark-submit takes `--name value` and `--name=value`."""
    pairs = [*options.items(), *(("--conf", f"{name}={value}") for name, value in conf.items())]
    words = [word for name, value in pairs for word in ([f"{name}={value}"] if joined else [name, value])]
    found = spark_submit_of(["/x/spark-submit", *words, "--verbose", resource, *arguments])
    assert found is not None
    assert (found.options, found.conf, found.resource) == (options, conf, resource)


CLUSTER, UNSURE, CHOSEN = "its driver runs in the cluster", "--deploy-mode client says so", "chooses its driver's Python"
DOUBTS = {
    # options, spark-defaults.conf, whether there is a spark-env.sh, the environment: what is doubted
    "nothing is said": ("", "", False, {}, None),
    "cluster": ("--master yarn --deploy-mode cluster", "", False, {}, CLUSTER),
    "cluster, joined": ("--deploy-mode=cluster", "", False, {}, CLUSTER),
    "cluster by conf": ("--conf spark.submit.deployMode=cluster", "", False, {}, CLUSTER),
    "cluster by short conf": ("-c spark.submit.deployMode=cluster", "", False, {}, CLUSTER),
    "an option is stronger": ("--deploy-mode client --conf spark.submit.deployMode=cluster", "", False, {}, None),
    "cluster by default": ("--master yarn", "spark.submit.deployMode  cluster", False, {}, CLUSTER),
    "cluster by default, with a colon": ("--master yarn", "# a\n\nspark.a\nspark.submit.deployMode: cluster \n", False, {}, CLUSTER),
    "client is stronger than a default": ("--deploy-mode client", "spark.submit.deployMode=cluster", False, {}, None),
    "a comment is no default": ("--master yarn", "#spark.submit.deployMode=cluster", False, {}, None),
    "client by default": ("", "spark.master yarn\nspark.submit.deployMode client", False, {}, None),
    "cluster by the environment": ("--master yarn", "", False, {"DEPLOY_MODE": "cluster"}, UNSURE),
    "spark-env.sh may say anything": ("--master yarn", "", True, {}, UNSURE),
    "kubernetes hands it on too": ("--master k8s://https://host", "", True, {}, UNSURE),
    "but not more than the command": ("--master yarn --deploy-mode client", "", True, {}, None),
    "local is here": ("--master local[2]", "", True, {}, None),
    "a standalone cluster takes no Python driver": ("--master spark://host:7077", "", True, {}, None),
    "connect": ("--remote sc://host", "", True, {}, None),
    "driver's Python": ("--conf spark.pyspark.driver.python=python3.11", "", False, {}, CHOSEN),
    "both Pythons": ("--deploy-mode client --conf spark.pyspark.python=python3.11", "", False, {}, CHOSEN),
    "Python by default": ("--deploy-mode client", "spark.pyspark.python /usr/bin/python3", False, {}, CHOSEN),
}


@pytest.mark.parametrize(("options", "defaults", "env_sh", "environ", "doubted"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_not_sure_is_doubted(tmp_path, options, defaults, env_sh, environ, doubted) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(defaults)
    if env_sh:
        (conf / "spark-env.sh").touch()
    submission = spark_submit_of(["spark-submit", *options.split(), "job.py"])
    for places in ({"SPARK_HOME": str(tmp_path)}, {"SPARK_CONF_DIR": str(conf), "SPARK_HOME": "/none"}):
        why = why_not_watched(submission, {**places, **environ})
        assert (why is None) if doubted is None else (why or "").endswith(doubted)


@pytest.mark.parametrize(("said", "doubted"), [("cluster", CLUSTER), ("client", None)])
def test_a_properties_file_is_stronger_than_the_defaults(tmp_path, said, doubted) -> None:
    (tmp_path / "mine.conf").write_text(f"spark.submit.deployMode={said}")
    (tmp_path / "spark-defaults.conf").write_text("spark.submit.deployMode cluster")
    submission = spark_submit_of(["spark-submit", "--properties-file", str(tmp_path / "mine.conf"), "job.py"])
    assert why_not_watched(submission, {"SPARK_CONF_DIR": str(tmp_path)}) == doubted


def _at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def test_spark_is_found_beside_its_own_program_and_not_beside_a_wrapper(tmp_path) -> None:
    def asked(home: str) -> str | None:
        return why_not_watched(spark_submit_of([str(_at(tmp_path / home / "bin/spark-submit")), "--master", "yarn", "job.py"]), {})

    assert (asked("wrapper") or "").endswith(UNSURE)
    _at(tmp_path / "spark/bin/spark-class")
    assert asked("spark") is None
    _at(tmp_path / "spark/conf/spark-defaults.conf").write_text("spark.submit.deployMode cluster")
    assert asked("spark") == CLUSTER
    _at(tmp_path / "pip/bin/find_spark_home.py")
    _at(tmp_path / "pip/lib/python3.12/site-packages/pyspark/conf/spark-defaults.conf").write_text("spark.submit.deployMode cluster")
    assert asked("pip") == CLUSTER


def test_a_program_that_is_not_there_is_doubted() -> None:
    assert (why_not_watched(spark_submit_of(["spark-submit", "--master", "yarn", "job.py"]), {"PATH": "/none"}) or "").endswith(UNSURE)
