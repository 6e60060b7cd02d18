"""Counting by the operator of operator.java: exact counts in the same pass as the write."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_pd.checks import write_evaluation as bound
from spark_pd.checks.counts import Counts, Reading, check_id
from spark_pd.checks.failing_rows import FailingRows
from spark_pd.checks.row_plan import RowPlan
from spark_pd.checks.write_evaluation import Evaluation
from spark_pd.model import Counting, Rule
from spark_pd.spark import java
from spark_pd.spark.executions import Executions, executions
from spark_pd.spark.session import is_connect

_log = logging.getLogger("spark_pd.checks")
_lock = threading.Lock()
_side_output_lock = threading.Lock()


class OperatorMethod:
    """The operator, compiled in this driver and proven on a tiny frame. Raises whatever shows that it does not work here."""

    counting: Counting = "operator"

    def __init__(self, spark: SparkSession) -> None:
        if is_connect(spark):
            raise RuntimeError("a Connect session does not let us reach its JVM")
        self._spark = spark
        self._executions = executions(spark)
        self._check_class = java.load_class(spark, "spark_pd.checks", "operator.java", "spark_pd.Check")
        self._strategy_class = java.load_class(spark, "spark_pd.checks", "operator.java", "spark_pd.CheckStrategy")
        self._side_output: bool | None = None
        self._prove()

    def count(self, df: DataFrame, plan: RowPlan, *, keep_failing: bool = False) -> OperatorCounter:
        """Start to count what becomes of `df`. Reads no data."""
        self._plan_in(df.sparkSession)
        return OperatorCounter(df, plan, self._check_class, self._executions, side_output=keep_failing and self._has_side_output())

    def _has_side_output(self) -> bool:
        """Whether failing rows can be kept here. Tried once, when it is first asked for."""
        with _side_output_lock:
            if self._side_output is None:
                try:
                    self._prove(side_output=True)
                    self._side_output = True
                except Exception as error:
                    self._side_output = False
                    _log.warning(
                        "failing rows cannot be kept while they are counted in this session (%s): the input is read again for them",
                        type(error).__name__,
                    )
            return self._side_output

    def _plan_in(self, spark: SparkSession) -> None:
        """Have the session plan checks by our strategy. The user's own strategies stay, behind it."""
        session: Any = spark
        experimental = session._jsparkSession.experimental()
        with _lock:
            current = experimental.extraStrategies()
            if any(current.apply(i).getClass().equals(self._strategy_class) for i in range(current.size())):
                return
            jvm: Any = spark.sparkContext._jvm
            strategies = jvm.java.util.ArrayList()
            strategies.add(java.construct(spark, self._strategy_class))
            for i in range(current.size()):
                strategies.add(current.apply(i))
            getattr(experimental, "extraStrategies_$eq")(jvm.scala.collection.JavaConverters.asScalaBuffer(strategies).toSeq())

    def _prove(self, *, side_output: bool = False) -> None:
        """Count six known rows by a real write that keeps nothing; anything but the right counts raises RuntimeError."""
        rules = (
            Rule(name="small", expectation="id < 4", action_if_failed="drop"),
            Rule(name="even", expectation="id % 2 = 0", action_if_failed="ignore"),
        )
        self._plan_in(self._spark)
        six = self._spark.range(0, 6, 1, 2).toDF("id")
        counter = OperatorCounter(six, RowPlan(rules), self._check_class, self._executions, side_output=side_output)
        try:
            counter.checked.write.format("noop").mode("overwrite").save()
            found = counter.read(written=True)
            rows = counter.failing()
            ids = None if rows is None else sorted(row[0] for row in rows.frame.collect())
        finally:
            counter.close()
        if found != Counts(6, 4, 2, (2, 3)):
            raise RuntimeError(f"the proof on six rows gave {found}")
        if side_output and ids != [1, 3, 4, 5]:
            raise RuntimeError(f"the proof on six rows kept {ids}")


class OperatorCounter:
    """One check counted by the operator."""

    def __init__(self, df: DataFrame, plan: RowPlan, check_class: Any, listener: Executions, *, side_output: bool) -> None:
        spark = df.sparkSession
        context: Any = spark.sparkContext
        self._id = check_id()
        self._plan = plan
        self._input: Any = df
        self._executions = listener
        listener.watch(self._id)
        self._java = java.construct(
            spark, check_class, self._id, len(plan.rules), _longs(spark, plan.drops()), side_output, context._jsc.sc()
        )
        masks = plan.masks()
        columns = context._gateway.new_array(context._jvm.org.apache.spark.sql.Column, len(masks))
        for place, mask in enumerate(masks):
            columns[place] = mask._jc
        source: Any = _off_the_driver(df)
        condition = self._java.condition(columns, source._jdf.queryExecution().analyzed())
        self.checked = DataFrame(source._jdf.filter(condition), spark)
        self._evaluation: Evaluation | None = None

    def read(self, *, written: bool) -> Reading:
        """The counts of what was written since, bound to the writes by their SQL executions."""
        ledger = self._executions.ledger(self._id)
        found = bound.evaluation_of(ledger, bound.parse(str(self._java.evaluations()).splitlines()))
        if isinstance(found, Evaluation):
            self._evaluation = found
            return found.counts
        if bound.writes_of(ledger) and self._input_is_empty():
            return Counts.none(len(self._plan.rules))  # the optimizer knew that it is empty and planned no check at all
        return found

    def failing(self) -> FailingRows | None:
        """The failing rows of what was written, as they were kept; None where they were too many, or not asked for."""
        if self._evaluation is None:
            return None
        context: Any = self._input.sparkSession.sparkContext
        masks = tuple(f"__spark_pd_{self._id}_{word}" for word in range(len(self._plan.words)))
        names = context._gateway.new_array(context._jvm.java.lang.String, len(masks))
        for place, name in enumerate(masks):
            names[place] = name
        rows = self._java.failingRows(self._evaluation.node, self._input._jdf, names)
        if rows is None:
            return None
        frame = DataFrame(rows, self._input.sparkSession)
        return FailingRows(frame=frame, plan=self._plan, masks=masks, counted=self._evaluation.counts.failed, from_side_output=True)

    def _input_is_empty(self) -> bool:
        plan = self._input._jdf.queryExecution().optimizedPlan()
        return bool(plan.getClass().getSimpleName() == "LocalRelation" and plan.data().isEmpty())

    def close(self) -> None:
        """Free the counters in the driver. The checked DataFrame stays usable: Spark plans its filter from now on."""
        self._java.close()
        self._executions.unwatch(self._id)


def _longs(spark: SparkSession, values: tuple[int, ...]) -> Any:
    context: Any = spark.sparkContext
    array = context._gateway.new_array(context._jvm.long, len(values))
    for place, value in enumerate(values):
        array[place] = value
    return array


def _off_the_driver(df: DataFrame) -> DataFrame:
    """A frame of literal rows alone would be filtered by the optimizer, outside of any task: give it an RDD, with the same columns."""
    frame: Any = df
    leaves = frame._jdf.queryExecution().analyzed().collectLeaves()
    if any(leaves.apply(i).getClass().getSimpleName() not in ("LocalRelation", "OneRowRelation") for i in range(leaves.size())):
        return df
    sql: Any = df.sparkSession.sparkContext._jvm.org.apache.spark.sql  # type: ignore[union-attr]
    companion = getattr(getattr(sql.execution, "LogicalRDD$"), "MODULE$")
    arguments = [frame._jdf.queryExecution().toRdd(), frame._jdf, False]
    takes = {len(m.getParameterTypes()) for m in companion.getClass().getMethods() if m.getName() == "fromDataset"}
    if 4 in takes:  # PySpark 4.3
        arguments.append(getattr(companion, "fromDataset$default$4")())
    plan = companion.fromDataset(*arguments)
    session: Any = df.sparkSession
    classic = frame._jdf.getClass().getName()
    dataset = sql.classic.Dataset if classic == "org.apache.spark.sql.classic.Dataset" else sql.Dataset
    return DataFrame(dataset.ofRows(session._jsparkSession, plan), df.sparkSession)
