"""`spark-pd validate`: are these settings and rules good? No network; Spark only where the columns are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.model.errors import RulesError, SettingsError, UsageError

if TYPE_CHECKING:
    from spark_pd.model import Rule
    from spark_pd.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  spark-pd validate rules.yaml
  spark-pd validate rules.yaml --schema "id INT NOT NULL, amount DOUBLE"
  spark-pd validate rules.yaml --sample orders.parquet
  spark-pd validate --config-file pagerduty.yaml --rules orders.yaml --rules refunds.csv
  spark-pd validate --conf spark.expectations.notifications.pagerduty.enabled=true \\
                    --conf spark.expectations.notifications.pagerduty.integration.key=env:PAGERDUTY_KEY

Exit codes: 0 good; 1 mistakes in the rules; 2 mistakes in the settings, or usage."""
)
@click.argument("files", nargs=-1, type=FILE, metavar="[RULES]...")
@click.option("--rules", "more_files", multiple=True, type=FILE, help="A file of rules: YAML, JSON or CSV. The same as an argument.")
@click.option("--schema", help="The columns that the rules are for, as DDL: id INT NOT NULL, amount DOUBLE.")
@click.option("--sample", type=click.Path(exists=True, path_type=Path), help="A file or folder of rows with those columns.")
@click.option("--table", help="A table with those columns, in the catalog of this machine's Spark configuration.")
@settings_options
@click.pass_context
def validate(
    ctx: click.Context,
    files: tuple[Path, ...],
    more_files: tuple[Path, ...],
    schema: str | None,
    sample: Path | None,
    table: str | None,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Check settings, the mutes file and RULES files, and show the settings in force and where each comes from.

    Settings come from --conf, the environment and a YAML file, as in a job. Nothing is sent. With --schema, --sample or --table, Spark
    also reads the SQL of the expectations, and tells of rules that say the same of every row; without, no Spark is started, and the job
    does that before it touches any data. Queries (query_dq) are read with --table only, where the tables are that they name.
    """
    columns = {name: given for name, given in (("schema", schema), ("sample", sample), ("table", table)) if given is not None}
    if len(columns) > 1:
        raise click.UsageError(
            f"one of --schema, --sample and --table gives the columns; {' and '.join(f'--{name}' for name in columns)} do"
        )
    settings, settings_mistakes = _settings(config_file, conf)
    params = {} if settings is None else settings.rules_params
    loaded = [_rules(path, params) for path in (*files, *more_files)]
    rules_mistakes = sum(mistakes for _, _, mistakes in loaded)
    if columns and any(rules for _, rules, _ in loaded):
        rules_mistakes += _against(columns, [(path, rules) for path, rules, _ in loaded])
    total = settings_mistakes + rules_mistakes
    if total:
        click.echo(f"{total} mistake{'s' if total > 1 else ''}", err=True)
    ctx.exit(2 if settings_mistakes else 1 if rules_mistakes else 0)


def _settings(config_file: Path | None, conf: dict[str, str]) -> tuple[Settings | None, int]:
    """Print the settings in force, or every mistake in them; the settings, and how many mistakes there were."""
    try:
        settings = settings_from(config_file, conf)
    except SettingsError as error:
        _print_mistakes(error.mistakes)
        return None, len(error.mistakes)
    _print_settings(settings)
    return settings, 0 if settings.mutes_file is None else _mutes(Path(settings.mutes_file))


def _mutes(path: Path) -> int:
    """Print how many mutes a file holds, and every mistake in it; how many mistakes there were."""
    from spark_pd.alerting.policy.mutes_file import content_of, parse_mutes

    content = content_of(path)
    mutes, mistakes = ((), [content]) if isinstance(content, str) else parse_mutes(content)
    _print_mistakes(tuple(f"{path}: {mistake}" for mistake in mistakes))
    click.echo(f"{path}: {len(mutes)} mutes")
    return len(mistakes)


def _against(columns: Mapping[str, Any], files: Sequence[tuple[Path, Sequence[Rule]]]) -> int:
    """Print what Spark says of the files' rules over these columns; how many mistakes there were."""
    try:
        from spark_pd.checks.validation import columns_of, findings
    except ImportError:
        raise click.UsageError("--schema, --sample and --table need PySpark: pip install 'spark-pd[spark]'") from None
    count = 0
    try:
        with columns_of(**columns) as df:
            for path, rules in files:
                read = [rule for rule in rules if rule.rule_type != "query_dq" or "table" in columns]
                mistakes, notes = findings(df, read)
                _print_mistakes(tuple(f"{path}: {mistake}" for mistake in mistakes))
                for note in notes:
                    click.echo(f"{path}: {note}")
                if len(read) < len(rules):
                    click.echo(f"{path}: {len(rules) - len(read)} of type query_dq are not read without --table")
                count += len(mistakes)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    return count


def _rules(path: Path, params: Mapping[str, str]) -> tuple[Path, tuple[Rule, ...], int]:
    """Print what a file of rules holds, or every mistake in it; the rules, and how many mistakes there were."""
    from spark_pd.rules.loading import load_rules

    try:
        rules = load_rules(path, params=params)
    except RulesError as error:
        _print_mistakes(error.mistakes)
        return path, (), len(error.mistakes)
    actions = Counter(rule.action_if_failed for rule in rules if rule.is_active)
    kinds = ", ".join(f"{count} {action}" for action, count in sorted(actions.items()))
    click.echo(f"{path}: {len(rules)} rules ({kinds or 'none active'})")
    return path, rules, 0


def _print_settings(settings: Settings) -> None:
    rows = [(name, _shown(value), source) for name, (value, source) in settings.describe().items()]
    wide = max((len(name) for name, _, _ in rows), default=0)
    broad = max((len(value) for _, value, _ in rows), default=0)
    click.echo("Settings in force:")
    for name, value, source in rows:
        click.echo(f"  {name:{wide}}  {value:{broad}}  {source}")


def _shown(value: object) -> str:
    """A value as one would write it in a file of settings."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_mistakes(mistakes: tuple[str, ...]) -> None:
    for mistake in mistakes:
        click.echo(f"- {mistake}", err=True)
