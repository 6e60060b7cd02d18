"""Rules at random, in the part of SQL that means the same to Spark and to DuckDB: hypothesis' strategies."""

from __future__ import annotations

from dataclasses import dataclass

from flights_data import FlightRule
from hypothesis import strategies as st


@dataclass(frozen=True)
class Columns:
    """The columns of a table that rules may name, and values that are worth comparing them with."""

    integers: tuple[str, ...]
    doubles: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = (-1, 0, 1, 7, 100)
    words: tuple[str, ...] = ("",)
    patterns: tuple[str, ...] = ("%",)


FLIGHTS = Columns(
    integers=("dep_time", "dep_delay", "arr_delay", "air_time", "distance", "hour", "minute", "flight"),
    texts=("carrier", "tailnum", "origin", "dest"),
    numbers=(-15, -1, 0, 1, 5, 30, 60, 200, 1000, 2400),
    words=("UA", "B6", "JFK", "LAX", "N14228", "", "ua"),
    patterns=("N%", "%A", "_F%", "%1%", "L__", "%"),
)
WEATHER = Columns(
    integers=("month", "day", "hour"),
    doubles=("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    texts=("origin",),
    numbers=(-1, 0, 1, 6, 10, 25, 50, 180, 1013),
    words=("EWR", "JFK", "lga"),
    patterns=("_F%", "E%", "%R"),
)
PLANES = Columns(
    integers=("year", "engines", "seats"),
    doubles=("speed",),
    texts=("tailnum", "type", "manufacturer", "model", "engine"),
    numbers=(0, 1, 2, 4, 55, 140, 200, 1998, 2005),
    words=("BOEING", "AIRBUS", "Turbo-fan", "EMBRAER", "737-824", ""),
    patterns=("BO%", "%IND%", "7_7%", "%-%", "Fixed %engine"),
)
MADE_UP = Columns(
    integers=("a", "b"), doubles=("x",), texts=("s", "t"), words=("", "é", "a b", "B", "null"), patterns=("%a%", "_", "é%", "% %")
)

COMPARISONS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def quoted(word: str) -> str:
    """A word as a literal."""
    return "'" + word.replace("'", "''") + "'"


def integers(of: Columns) -> st.SearchStrategy[str]:
    """Whole numbers: columns, literals, and what is made of them without ever leaving 64 bits."""
    literals = st.sampled_from(of.numbers).map(lambda n: str(n) if n >= 0 else f"({n})")
    base = st.sampled_from(of.integers) | literals
    if of.texts:
        base |= st.sampled_from(of.texts).map(lambda name: f"length({name})")

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), st.sampled_from(["2", "3", *of.integers[:2]]))
            | st.builds("({} % {})".format, inner, st.sampled_from(["2", "7", "60"]))
            | st.builds("abs({})".format, inner)
            | st.builds("coalesce({}, {})".format, inner, literals)
            | st.builds("nullif({}, {})".format, inner, literals)
            | st.builds("greatest({}, {})".format, inner, literals)
        )

    return st.recursive(base, more, max_leaves=3)


def doubles(of: Columns) -> st.SearchStrategy[str]:
    """Doubles: columns and what is made of them in one order of arithmetic."""
    literals = st.sampled_from([0.0, 0.5, 29.92, 1000.25]).map(lambda x: f"CAST({x} AS DOUBLE)")
    base = st.sampled_from(of.doubles)
    return base | st.builds("({} {} {})".format, base, st.sampled_from("+-*"), base | literals) | st.builds("abs({})".format, base)


def texts(of: Columns) -> st.SearchStrategy[str]:
    """Texts: columns, literals, and parts of them."""
    base = st.sampled_from(of.texts) | st.sampled_from(of.words).map(quoted)
    return (
        base
        | st.builds("substr({}, 1, {})".format, st.sampled_from(of.texts), st.integers(1, 3))
        | st.builds("upper({})".format, base)
        | st.builds("({} || {})".format, base, base)
    )


def conditions(of: Columns) -> st.SearchStrategy[str]:
    """Conditions over a row, true, false or NULL."""
    whole, columns = integers(of), (*of.integers, *of.doubles, *of.texts)
    numbers = st.sampled_from(of.numbers)
    atoms = (
        st.builds("{} {} {}".format, st.sampled_from(of.integers), COMPARISONS, numbers)
        | st.builds("{} {} {}".format, st.sampled_from(of.integers), st.sampled_from(["<", ">"]), numbers)
        | st.builds("{} {} {}".format, whole, COMPARISONS, whole)
        | st.builds("{} BETWEEN {} AND {}".format, whole, numbers, numbers)
        | st.builds(
            "{} {}IN ({}, {}{})".format, whole, st.sampled_from(["", "NOT "]), numbers, numbers, st.sampled_from(["", "", ", NULL"])
        )
        | st.builds("{} IS {}NULL".format, st.sampled_from(columns), st.sampled_from(["", "NOT "]))
    )
    if of.doubles:
        atoms |= st.builds("{} {} {}".format, doubles(of), COMPARISONS, doubles(of) | numbers.map(str))
    if of.texts:
        atoms |= st.builds("{} {} {}".format, texts(of), COMPARISONS, texts(of))
        atoms |= st.builds(
            "{} {}LIKE {}".format, st.sampled_from(of.texts), st.sampled_from(["", "NOT "]), st.sampled_from(of.patterns).map(quoted)
        )

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner)
            | st.builds("(NOT ({}))".format, inner)
            | st.builds("(CASE WHEN {} THEN {} ELSE {} END)".format, inner, inner, inner)
            | st.builds("(({}) IS NULL)".format, inner)
            | st.builds("coalesce({}, {})".format, inner, st.sampled_from(["true", "false"]))
        )

    return st.recursive(atoms, more, max_leaves=4)


def aggregates(of: Columns) -> st.SearchStrategy[tuple[str, str]]:
    """Aggregates over all rows, and the limit that they are compared with."""
    integer = st.sampled_from(of.integers)
    column = st.sampled_from((*of.integers, *of.doubles, *of.texts))
    value = (
        st.just("count(*)")
        | column.map("count({})".format)
        | column.map("count(DISTINCT {})".format)
        | column.map(lambda name: f"sum(CASE WHEN {name} IS NULL THEN 1 ELSE 0 END)")
        | st.builds("{}({})".format, st.sampled_from(["sum", "min", "max", "avg"]), integer)
    )
    limit = st.builds("{} {}".format, COMPARISONS, st.sampled_from((*of.numbers, 1500, 3322, 40_000)))
    return st.tuples(value, limit)


@dataclass(frozen=True)
class RuleSet:
    """Rules of one run: over rows, and over the whole data."""

    rows: tuple[FlightRule, ...]
    whole: tuple[tuple[str, str], ...]

    @property
    def mappings(self) -> list[dict[str, str]]:
        """The rules as a user gives them."""
        whole = [{"rule": f"whole {n}", "rule_type": "agg_dq", "expectation": f"{v} {limit}"} for n, (v, limit) in enumerate(self.whole)]
        return [rule.mapping for rule in self.rows] + whole


@st.composite
def rule_sets(draw: st.DrawFn, of: Columns) -> RuleSet:
    """Sets of two to eight rules: some keep what they fail, some drop it, and now and then one may stop the run."""
    texts = draw(st.lists(conditions(of), min_size=2, max_size=8))
    actions = [draw(st.sampled_from(["ignore", "drop"])) for _ in texts]
    if draw(st.sampled_from([False, False, False, True])):
        actions[0] = "fail"
    rows = tuple(FlightRule(f"rule {n}", action, text) for n, (action, text) in enumerate(zip(actions, texts, strict=True)))
    whole = draw(st.lists(aggregates(of), min_size=1, max_size=3)) if draw(st.sampled_from([False, False, True])) else []
    return RuleSet(rows, tuple(whole))
