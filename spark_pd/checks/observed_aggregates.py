"""Aggregates that are observed with the write: judged by metrics of the write itself, instead of by a pass before it.

These are aggregates with action `ignore` that Spark can observe. The passes of before_write.py judge the others. Before Spark 4.3 a sort or
a retried stage makes an observation count rows twice, so each observation also counts its rows: where that is not the number that the
write's own count says, a pass after the write judges the aggregates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_pd.checks.aggregates_and_queries import WholePlan, WholeRule, worst
from spark_pd.checks.analysis import refused
from spark_pd.checks.before_write import OTHER_ROWS, unknown
from spark_pd.checks.counts import Counts, Reading, check_id
from spark_pd.checks.observed_value import without_overflow
from spark_pd.checks.row_plan import RowPlan
from spark_pd.checks.two_pass import deterministic
from spark_pd.checks.write_evaluation import within, writes_of
from spark_pd.model import Rule, RuleResult, Side
from spark_pd.spark.executions import Executions, Ledger, executions

WHOLE_NUMBERS = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
FRACTIONS = (T.FloatType, T.DoubleType)
TYPES = (*WHOLE_NUMBERS, *FRACTIONS, T.BooleanType, T.DecimalType, T.StringType, T.DateType)
"""What comes back from text as it was. Times depend on a time zone, and what has parts is no value that somebody compares with."""


class ObservedAggregates:
    """The aggregates of one check, in the write that is to come."""

    def __init__(self, df: DataFrame, rows: RowPlan, whole: WholePlan, listener: Executions) -> None:
        self.whole = whole
        self._df, self._rows = df, rows
        source, target = whole.placed(any(rows.drops()))
        self._observations = [_Observation(df, placed) for placed in (source, target) if placed]
        self._listener = listener
        # Where no rule drops rows, source and target are one.
        self._below = self._observations[0] if source else None
        self._above = self._observations[-1] if target else None

    def watch(self) -> None:
        """Keep what is observed from now on."""
        for observation in self._observations:
            self._listener.watch(observation.id)

    def source(self) -> DataFrame:
        """The frame to check, observed."""
        return self._df if self._below is None else self._below.observed(self._df)

    def target(self, checked: DataFrame) -> DataFrame:
        """What stays of it, observed."""
        return checked if self._above is None else self._above.observed(checked)

    def believed(self, reading: Reading) -> tuple[tuple[RuleResult, ...], str | None]:
        """The results, given what was written, and why they are not known. A pass over the input where the observation is in doubt."""
        if not isinstance(reading, Counts):
            return tuple(unknown(result) for result in self._results(None)), None
        texts = {observation.id: _observed_texts(self._listener.ledger(observation.id)) for observation in self._observations}
        counts = {id(self._below): reading.rows, id(self._above): reading.rows - reading.dropped}
        if all(each.rows(texts[each.id]) == counts[id(each)] and not each.overflowed(texts[each.id]) for each in self._observations):
            return self._results(texts), None
        if deterministic(self._df, self._rows):
            results, counted = self.whole.judge(self._df, self._rows)
            if counted == reading:
                return results, None
        return tuple(unknown(result) for result in self._results(None)), OTHER_ROWS

    def _results(self, texts: dict[int, dict[str, str] | None] | None) -> tuple[RuleResult, ...]:
        found = [result for each in self._observations for result in each.results((texts or {}).get(each.id))]
        return tuple(worst([result for result in found if result.name == rule.name]) for rule in self.whole.rules)

    def close(self) -> None:
        """Forget what was watched."""
        for observation in self._observations:
            self._listener.unwatch(observation.id)


class _Observation:
    """Aggregates that are observed at one place: on all rows, or on those that stay."""

    def __init__(self, df: DataFrame, placed: Sequence[tuple[WholeRule, Side]]) -> None:
        self.id = check_id()
        self._placed = placed
        fields = df.agg(*[column for n, (whole, _) in enumerate(placed) for column in whole.columns(n)]).schema.fields
        self._types = {field.name: field.dataType for field in fields}
        if not all(isinstance(kind, TYPES) for kind in self._types.values()):
            raise TypeError("a value that was found would not come back from text as it was")

    def observed(self, df: DataFrame) -> DataFrame:
        """The frame with one metric: the values as texts, and the number of rows."""
        entries = ["'n', CAST(count(1) AS STRING)"]
        for n, (whole, _) in enumerate(self._placed):
            for name, text in ((f"r{n}", whole.rule.expectation), (f"v{n}", whole.value)):
                if text is not None:
                    text = without_overflow(text)
                    # A float's own text is shorter than the number that Python gets of it.
                    value = f"CAST(({text}\n) AS DOUBLE)" if isinstance(self._types[name], FRACTIONS) else f"({text}\n)"
                    entries.append(f"'{name}', CAST({value} AS STRING)")
        # In hex: the listener's lines have separators of their own. The x says that it is no count.
        metric = F.expr(f"concat('x', hex(to_json(named_struct({', '.join(entries)}))))")
        return df.observe(f"spark_pd_{self.id}", metric.alias("text"))

    def rows(self, texts: dict[str, str] | None) -> int | None:
        """How many rows were observed; None where nothing was."""
        return None if texts is None else int(texts["n"])

    def overflowed(self, texts: dict[str, str] | None) -> bool:
        """Whether an aggregate gave NULL that may have overflowed."""
        expectations = {f"r{n}": whole.rule.expectation for n, (whole, _) in enumerate(self._placed)}
        return texts is not None and any(name not in texts and without_overflow(text) != text for name, text in expectations.items())

    def results(self, texts: dict[str, str] | None) -> list[RuleResult]:
        """A result for each aggregate. NULL is not in the texts."""
        values = {name: _value((texts or {}).get(name), kind) for name, kind in self._types.items()}
        return [whole.result(values[f"r{n}"], values.get(f"v{n}", values[f"r{n}"]), side) for n, (whole, side) in enumerate(self._placed)]


def observe_aggregates(df: DataFrame, rows: RowPlan, whole: WholePlan) -> tuple[ObservedAggregates | None, WholePlan]:
    """The plan's aggregates that are observed with the write, if there are some, and the rules that have to be judged by a pass."""
    if not whole.aggregates or _is_literal(df):
        return None, whole
    observed = _observable(df, whole)
    if not observed:
        return None, whole
    try:
        found = ObservedAggregates(df, rows, WholePlan(observed, ()), executions(df.sparkSession))
        _ = found.target(found.source()).schema
    except Exception:
        return None, whole
    found.watch()
    return found, WholePlan(tuple(each for each in whole.aggregates if each not in observed), whole.queries)


def _observable(df: DataFrame, whole: WholePlan) -> tuple[WholeRule, ...]:
    """The aggregates that stop nothing, and that Spark observes: not those with DISTINCT or FILTER, or whose value is no plain one."""
    able = [each for each in whole.aggregates if each.rule.action_if_failed == "ignore"]
    able = [each for each, plain in zip(able, _plain(df, able), strict=True) if plain]

    def why(some: Sequence[Rule]) -> Exception | None:
        """What else Spark has against observing them."""
        try:
            _ = _Observation(df, [(each, "source") for each in able if each.rule in some]).observed(df).schema
        except Exception as error:
            return error
        return None

    unable = {rule.name for rule, _ in refused([each.rule for each in able], why)}
    return tuple(each for each in able if each.rule.name not in unable)


def _plain(df: Any, aggregates: Sequence[WholeRule]) -> list[bool]:
    """Whether they do without DISTINCT and FILTER, and under ANSI without what may raise an error: in the write it would end the job.

    By Spark's own tree of them: to be refused, PySpark logs at length in the user's job."""
    if not aggregates:
        return []
    found = df.agg(*[F.expr(each.rule.expectation) for each in aggregates])._jdf.queryExecution().analyzed().aggregateExpressions()
    trees = [json.loads(str(found.apply(i).toJSON())) for i in range(found.size())]
    plain = [not any(node.get("isDistinct") or (_is_aggregate(node) and node["num-children"] > 1) for node in tree) for tree in trees]
    if str(df.sparkSession.conf.get("spark.sql.ansi.enabled")).lower() != "true":
        return plain
    return [ok and not _may_raise(tree) for ok, tree in zip(plain, trees, strict=True)]


SAFE = frozenset(
    {
        *(
            "Alias",
            "AggregateExpression",
            "AttributeReference",
            "Literal",
            "Count",
            "CountIf",
            "Min",
            "Max",
            "Average",
            "Sum",
            "BoolAnd",
            "BoolOr",
        ),
        *("StddevSamp", "StddevPop", "VarianceSamp", "VariancePop", "And", "Or", "Not", "If", "CaseWhen", "Coalesce", "In", "Between"),
        *("IsNull", "IsNotNull", "IsNaN", "EqualTo", "EqualNullSafe", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual"),
        *("Length", "Upper", "Lower", "Like", "StartsWith", "EndsWith", "Contains"),
    }
)
"""Expressions that raise no error under ANSI; Sum and Average overflow, so the observation has others in their place."""
WIDER = {"double": frozenset({"byte", "short", "integer", "long", "float"}), "long": frozenset({"byte", "short", "integer"})}
"""Casts that raise no error: to each type from these."""


def _may_raise(tree: Sequence[dict[str, Any]]) -> bool:
    """Whether evaluating it may raise an error. A tree is a list of nodes, each before its children."""
    for place, node in enumerate(tree):
        name = str(node["class"]).rpartition(".")[2]
        child: Any = tree[place + 1] if node["num-children"] else {}
        if name == "Cast":
            if child.get("dataType") not in WIDER.get(str(node["dataType"]), ()):
                return True
        elif name not in SAFE:
            return True
    return False


def _is_aggregate(node: dict[str, Any]) -> bool:
    """Whether it is an aggregate's node, whose first child is the function; the filter, where it has one, is the second."""
    return str(node["class"]).endswith(".AggregateExpression")


def _is_literal(df: Any) -> bool:
    """Whether it is made of literal rows alone: a pass over them costs nothing, and they may be computed before any write."""
    leaves = df._jdf.queryExecution().analyzed().collectLeaves()
    return all(leaves.apply(i).getClass().getSimpleName() in ("LocalRelation", "OneRowRelation") for i in range(leaves.size()))


def _observed_texts(ledger: Ledger) -> dict[str, str] | None:
    """What the writes observed; None where that is nothing, or not the same for all."""
    writes = writes_of(ledger)
    texts = {
        e.text
        for write in writes
        for e in ledger.executions
        if e.text is not None and e.succeeded and within((e.id, e.root), write, ledger.ends)
    }
    if len(texts) != 1 or not ledger.complete:
        return None
    found: dict[str, str] = json.loads(bytes.fromhex(texts.pop()))
    return found


def _value(text: str | None, kind: T.DataType) -> object:
    """A value from its text, as a query would have given it."""
    if text is None or isinstance(kind, T.StringType):
        return text
    if isinstance(kind, T.BooleanType):
        return text == "true"
    if isinstance(kind, WHOLE_NUMBERS):
        return int(text)
    if isinstance(kind, FRACTIONS):
        return float(text)
    return Decimal(text) if isinstance(kind, T.DecimalType) else date.fromisoformat(text)
