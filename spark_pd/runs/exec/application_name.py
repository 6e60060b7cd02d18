"""The application's name in incidents, by the command that starts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from spark_pd.runs.exec.spark_submit import spark_submit_of

_WITH_VALUE = ("-m", "-c", "-W", "-X", "-Q")  # python's options that take a value
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")


def application_name(command: Sequence[str]) -> str:
    """The application's name by its command: what spark-submit calls it, else the script's name, else the program's."""
    program = PurePath(command[0]).name
    rest = list(command[1:])
    if run := _spark_pd_run(command):
        return run
    if submission := spark_submit_of(command):
        return submission.name or program
    if program.startswith("python") or program in _SHELLS:
        return _script(rest) or program
    return program


def _spark_pd_run(command: Sequence[str]) -> str | None:
    """The name that `spark-pd run` gives the application, however that is called; None where it is not."""
    words = list(command)
    for place, word in enumerate(words[:-1]):
        is_spark_pd = word == "spark_pd" or PurePath(word).name == "spark-pd" or PurePath(word).parts[-2:] == ("spark_pd", "__main__.py")
        if is_spark_pd and words[place + 1] == "run":
            return _named_or_script(words[place + 2 :])
    return None


def _named_or_script(arguments: list[str]) -> str | None:
    while arguments:
        one = arguments.pop(0)
        if one.startswith("--name="):
            return one.partition("=")[2]
        if one == "--name" and arguments:
            return arguments[0]
        if not one.startswith("-"):
            return PurePath(one).name
        if "=" not in one and arguments:
            arguments.pop(0)
    return None


def _script(arguments: list[str]) -> str | None:
    while arguments:
        one = arguments.pop(0)
        if one == "-m" and arguments:
            return arguments[0]
        if one in ("-c", "-"):
            return None
        if one in _WITH_VALUE and arguments:
            arguments.pop(0)
        elif not one.startswith("-"):
            return PurePath(one).name
    return None
