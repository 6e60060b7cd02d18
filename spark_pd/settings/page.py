"""docs/settings.md: every setting with its names, what it may be, its default and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_pd.settings.definitions import SETTINGS
from spark_pd.settings.setting import Setting

HEAD = """# Settings

This page is made from the settings themselves by `scripts/settings-page`.

A setting may come from five places. The first of these that has it decides:

1. the mapping that you give to `spark_pd.install`,
2. Spark's configuration,
3. the environment: upper case, dots become underscores, such as `SPARK_PD_DEADLINE`,
4. the YAML file that `config_file` or `spark.pd.config` names,
5. the default.

All mistakes are reported in one error, with the nearest known name for a misspelt one. `spark_pd.user_config` has a constant for each name.
spark-submit refuses names of spark-expectations that begin with `se.`, so each is also read as `spark.se.*`.
"""


def settings_page() -> str:
    """The page, in Markdown."""
    rows = [f"| {_names(each)} | {each.doc} | {_cell(each.kind.expected)} | {_default(each)} |" for each in SETTINGS]
    return "\n".join([HEAD, "| setting | what it is for | a value is | default |", "| --- | --- | --- | --- |", *rows, ""])


def _names(setting: Setting) -> str:
    return "<br>".join(f"`{name}`" for name in (setting.name, *setting.also))


def _default(setting: Setting) -> str:
    default: Any = setting.default
    if default is None or (isinstance(default, (tuple, Mapping)) and not default):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return _cell(f"{default:g}" if isinstance(default, float) else str(default))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
