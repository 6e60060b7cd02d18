"""The command `spark-pd`. Exit codes: 0 good; 1 findings, or not delivered; 2 usage or settings."""

from __future__ import annotations

from typing import Any

import click

from spark_pd.cli.channels_command import channels
from spark_pd.cli.demo_command import demo
from spark_pd.cli.event_command import event
from spark_pd.cli.exec_command import exec_
from spark_pd.cli.history import history
from spark_pd.cli.incident import ack, check_key, resolve
from spark_pd.cli.outbox import outbox
from spark_pd.cli.page_command import page
from spark_pd.cli.routes_command import routes
from spark_pd.cli.run import run
from spark_pd.cli.sandbox import sandbox
from spark_pd.cli.services_command import services
from spark_pd.cli.test_command import send
from spark_pd.cli.validate import validate
from spark_pd.cli.watch import watch
from spark_pd.model.errors import SparkPdError

__all__ = ["main"]


class _Commands(click.Group):
    """A group whose commands may raise spark_pd's errors: each becomes one message and exit code 2, with no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except SparkPdError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them, not by the alphabet."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 good; 1 findings, or not delivered; 2 usage or settings.",
)
@click.version_option(package_name="spark-pd", prog_name="spark-pd")
def main() -> None:
    """The page you get when your Spark data goes bad: PagerDuty incidents from data quality rules."""


main.add_command(demo)
main.add_command(validate)
main.add_command(history)
main.add_command(watch)
main.add_command(send)
main.add_command(check_key)
main.add_command(channels)
main.add_command(routes)
main.add_command(services)
main.add_command(page)
main.add_command(event)
main.add_command(exec_)
main.add_command(run)
main.add_command(outbox)
main.add_command(ack)
main.add_command(resolve)
main.add_command(sandbox)
