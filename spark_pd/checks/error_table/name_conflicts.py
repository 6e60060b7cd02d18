"""Tables that would be written into one another. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from itertools import combinations

from spark_pd.checks.error_table.location import parts_of


def clashes(tables: Mapping[str, str], home: Callable[[], tuple[str, str]]) -> list[str]:
    """Which two of `tables` (what each is: its name, or its folder) are one and the same, as texts.

    `home` gives the current catalog and schema; it is asked only where a name with them and one without end alike.
    """
    pairs = combinations(tables.items(), 2)
    return [f"{other} is {one}, {other_name}" for (one, name), (other, other_name) in pairs if same(name, other_name, home)]


def same(name: str, other: str, home: Callable[[], tuple[str, str]]) -> bool:
    """Whether two names are one table's. Folders are one by their path; links are not followed."""
    if "/" in name or "/" in other:
        return "/" in name and "/" in other and _folder(name) == _folder(other)
    one, two = _parts(name), _parts(other)
    if len(one) == len(two) or one[-1:] != two[-1:]:
        return one == two
    before = [part.casefold() for part in home()]
    return [*before[: max(0, 3 - len(one))], *one] == [*before[: max(0, 3 - len(two))], *two]


def _folder(name: str) -> str:
    path = name.removeprefix("file:") if name.startswith("file:/") else name
    return posixpath.normpath("/" + path.lstrip("/") if path.startswith("/") else path)


def _parts(name: str) -> list[str]:
    """The parts of a table's name, without backticks, as catalogs compare them."""
    return [(part[1:-1].replace("``", "`") if part.startswith("`") else part).strip().casefold() for part in parts_of(name)]
