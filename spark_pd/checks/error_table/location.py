"""Where the error table is, from the target's name or path, and which tables would be written into one another. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

_PARTS = re.compile(r"`(?:[^`]|``)*`|[^.`]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A table's name or a folder's path, and the format to begin it with; None is the session's default."""

    name: str
    format: str | None = None

    @property
    def is_path(self) -> bool:
        """Whether it is a folder: names have no slash."""
        return "/" in self.name


def beside(pattern: str, target: Place) -> Place:
    """The error table's place: `{table}` in the pattern is the target's own name, without catalog, schema or folder.

    It is beside the target, unless the pattern says where: with a slash it is a path, with a dot a table's full name.
    """
    head, own, quoted = _split(target)
    if "/" in pattern or (target.is_path and "." not in pattern):
        return Place(f"{'' if '/' in pattern else head}{pattern.replace('{table}', own)}", target.format)
    front, dot, last = pattern.rpartition(".")
    name = last.replace("{table}", own)
    if (quoted or target.is_path) and "`" not in last:
        name = _quoted(name)
    return Place(f"{front.replace('{table}', own)}{dot}{name}" if dot else f"{head}{name}", target.format)


def parts_of(name: str) -> list[str]:
    """The parts of a table's name, in the backticks that they have."""
    return _PARTS.findall(name)


def _split(target: Place) -> tuple[str, str, bool]:
    """What stands before the target's own name, that name, and whether it is in backticks."""
    if target.is_path:
        folder, slash, own = target.name.rstrip("/").rpartition("/")
        return folder + slash, own, False
    parts = parts_of(target.name)
    last = parts[-1] if parts else target.name
    quoted = last.startswith("`")
    own = last[1:-1].replace("``", "`") if quoted else last
    return "".join(f"{part}." for part in parts[:-1]), own, quoted


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


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
    one, two = _folded_parts(name), _folded_parts(other)
    if len(one) == len(two) or one[-1:] != two[-1:]:
        return one == two
    before = [part.casefold() for part in home()]
    return [*before[: max(0, 3 - len(one))], *one] == [*before[: max(0, 3 - len(two))], *two]


def _folder(name: str) -> str:
    path = name.removeprefix("file:") if name.startswith("file:/") else name
    return posixpath.normpath("/" + path.lstrip("/") if path.startswith("/") else path)


def _folded_parts(name: str) -> list[str]:
    """The parts of a table's name, without backticks, as catalogs compare them."""
    return [(part[1:-1].replace("``", "`") if part.startswith("`") else part).strip().casefold() for part in parts_of(name)]
