"""`spark-pd sandbox`: a PagerDuty on this machine, to try things out."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  spark-pd sandbox
  spark-pd sandbox --port 8080 --key 0123456789abcdef0123456789abcdef

Exit codes: 0 ended by Ctrl-C; 2 usage, such as a port that is taken."""
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="The port to listen on, on 127.0.0.1; 0 takes a free one."
)
@click.option("--key", metavar="KEY", help="The integration key to accept, 32 letters and digits. Default: one is made up.")
@click.option(
    "--rate-limit", type=click.IntRange(min=1), metavar="N", help="Answer 429 above N events a minute. PagerDuty allows about 120."
)
def sandbox(port: int, key: str | None, rate_limit: int | None) -> None:
    """Serve a PagerDuty on this machine until Ctrl-C.

    It is as strict as the real one, keeps its incidents in memory and tells nobody. It prints the settings that send to it, then a line
    for each event.
    """
    from spark_pd.sandbox import serve

    serve(port, key=key, rate_limit=rate_limit, echo=click.echo)
