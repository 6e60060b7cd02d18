"""What a command shows while something takes long."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that `what` is going on until the block ends: a spinner on a terminal that has rich, else one line. It goes to stderr."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield
        return
    click.echo(f"{what} ...", err=True)
    yield
