"""The options by which every command is told its settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from spark_pd.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _name_and_value(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping, as spark-submit reads its own `--conf`."""
    conf: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            # The value may be a key: only the part that cannot be one is shown.
            raise click.BadParameter("expected NAME=VALUE, such as spark.pd.region=eu", ctx=ctx, param=param)
        conf[name.strip()] = value
    return conf


def settings_options(command: Command) -> Command:
    """Give a command `--config-file` and `--conf`; its parameters are `config_file` and `conf`."""
    for option in (
        click.option(
            "--conf",
            metavar="NAME=VALUE",
            multiple=True,
            callback=_name_and_value,
            help="A setting, as spark-submit takes it. May be repeated; stronger than the environment and the file.",
        ),
        click.option(
            "--config-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A YAML file of settings. Default: what spark.pd.config (SPARK_PD_CONFIG) names, if anything.",
        ),
    ):
        command = option(command)
    return command


def settings_from(config_file: Path | None, conf: dict[str, str]) -> Settings:
    """The settings in force, given those options and the environment. Raises SettingsError, which names every mistake."""
    from spark_pd.settings import load_settings, user_config

    # A job may be told to go on without sending where its settings are wrong. Who asks whether they are right is to hear it.
    logger = logging.getLogger("spark_pd.settings")
    logger.disabled = True
    try:
        load_settings({user_config.spark_pd_on_config_error: "raise"}, spark_conf=conf, environ=os.environ, config_file=config_file)
    finally:
        logger.disabled = False
    return load_settings(spark_conf=conf, environ=os.environ, config_file=config_file)
