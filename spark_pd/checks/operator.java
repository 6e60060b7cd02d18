// The counting operator: exact row counts inside the code that Spark generates for the user's own write.
//
// Compiled in the running driver by Janino, the compiler that Spark carries (spark_pd/spark/java.py). No jar, no build step, and nothing of
// this file is needed on an executor: what travels there is text inside Spark's own generated code. Janino takes no lambdas and raw generics.
// @SEQ@ is the Seq of this Spark's Scala.
//
// How it works. The logical filter of a check holds built-in expressions only: sum(sum(mask, 0) & drop, id) = id, where `mask` has bit i set
// when rule i fails, `drop` has the bits of the rules that drop rows, and `sum` is Long.sum called as a non-deterministic function, so that the
// optimizer neither moves, merges, splits nor drops the filter. A Spark that lacks CheckStrategy still filters rightly; only the counts stay
// unknown. CheckStrategy plans that filter as CheckExec, which adds the counting to the generated code.
//
// Each task hands one record to an accumulator when it completes (side_output.java): node|partition|stage|stageAttempt|task|ended,rows,failed,dropped,
// rule...,error... (where a rule could not be evaluated for a row) and the failing rows that it kept, if that was asked for. `ended` is 1 when the end of the input was seen. The driver believes
// a record only if it ended (those of failed tasks never arrive), takes for each (node, partition) the last attempt, and a node's counts only
// if every partition 0..P-1 is there. See Check.evaluations.
package spark_pd;

import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.spark.SparkContext;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.*;
import org.apache.spark.sql.catalyst.expressions.codegen.*;
import org.apache.spark.sql.catalyst.expressions.objects.StaticInvoke;
import org.apache.spark.sql.catalyst.plans.logical.Filter;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import org.apache.spark.sql.execution.*;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;
import org.apache.spark.util.AccumulatorV2;
import org.apache.spark.util.CollectionAccumulator;

/** FilterExec that counts in the generated code, and sees the end of its input. */
public class CheckExec extends FilterExec {
  private final transient Check check;
  private final boolean alone;                                              // planned by doExecute below: not to be tried a second time
  private transient long node = -1L;
  private transient int inputPartitions = -1;
  private transient String tally;                                           // the generated variable that holds a task's counters
  private transient @SEQ@ kept;                                             // what of a failing row is kept; null: nothing

  public CheckExec(Expression condition, SparkPlan child) { this(condition, child, false); }
  private CheckExec(Expression condition, SparkPlan child, boolean alone) { super(condition, child); this.check = Check.of(condition); this.alone = alone; }

  public FilterExec withNewChildInternal(SparkPlan child) { return new CheckExec(condition(), child, alone); }
  /** Sort and aggregate put themselves, with their children, among the references of the generated code: executors get a plain FilterExec. */
  public Object writeReplace() { return new FilterExec(condition(), child()); }
  public String nodeName() { return "SparkPdCheck"; }

  public @SEQ@ inputRDDs() {
    @SEQ@ rdds = super.inputRDDs();
    inputPartitions = ((RDD) rdds.apply(0)).getNumPartitions();             // 4.3's fused union asks for this before doProduce, others after
    if (node >= 0L && check != null) check.planned(node, inputPartitions, sparkContext());
    return rdds;
  }

  public String doProduce(CodegenContext ctx) {
    if (check == null) return super.doProduce(ctx);                         // closed meanwhile: a filter like any other
    node = Check.NODES.incrementAndGet();                                   // one generated RDD is one node
    if (inputPartitions >= 0) check.planned(node, inputPartitions, sparkContext());
    String partition = "partitionIndex";                                    // 4.3: inside a fused union it is the child's own index
    try { partition = (String) ctx.getClass().getMethod("currentPartitionIndexVar", new Class[0]).invoke(ctx, new Object[0]); } catch (Exception e) { }
    kept = check.room == 0L ? null : SideOutput.columns(condition(), child().output(), check.drop.length);
    String records = ctx.addReferenceObj("sparkPdRecords", check.records, "org.apache.spark.util.CollectionAccumulator");
    // A reference, not text: the same check again has the same text, so Spark finds it compiled, and HotSpot has it optimized already.
    String number = ctx.addReferenceObj("sparkPdNode", Long.valueOf(node), "java.lang.Long");
    String type = ctx.freshName("SparkPdTally"), task = ctx.freshName("sparkPdTask");
    tally = ctx.addMutableState(type, "sparkPdTally", ctx.addMutableState$default$3(), true, true);
    ctx.addInnerClass(tallyClass(type));
    String sideOutput = "";
    if (kept != null) {
      // references too: what is kept, and how much, is no text
      sideOutput = ", " + ctx.addReferenceObj("sparkPdColumns", kept, "@SEQ@") + ", " + ctx.addReferenceObj("sparkPdRoom", Long.valueOf(check.room), "java.lang.Long") + ".longValue()";
    }
    StringBuilder b = new StringBuilder();
    b.append("if (" + tally + " == null) {\n  " + tally + " = new " + type + "(" + records + ", " + number + ".longValue(), " + partition + sideOutput + ");\n"
      + "  org.apache.spark.TaskContext " + task + " = org.apache.spark.TaskContext.get();\n"
      + "  if (" + task + " != null) " + task + ".addTaskCompletionListener((org.apache.spark.util.TaskCompletionListener) " + tally + ");\n}\n");
    b.append(super.doProduce(ctx));
    @SEQ@ limits = limitNotReachedChecks();                                 // past the loop with no limit reached: the end of the input
    b.append("\nif (true");
    for (int i = 0; i < limits.size(); i++) b.append(" && (" + limits.apply(i) + ")");
    b.append(") " + tally + ".c[" + Check.ENDED + "] = 1L;\n");
    return b.toString();
  }

  /** The class of a task's counters, as text of the generated code. `fail` runs for bad rows only. */
  private String tallyClass(String type) {
    return "public class " + type + " implements org.apache.spark.util.TaskCompletionListener {\n"
      + "  public final long[] c = new long[" + (Check.RULES + check.rules) + "];\n  public long rows;\n"
      + "  private final org.apache.spark.util.CollectionAccumulator records;\n  private final long node;\n  private final int partition;\n"
      + "  public " + type + "(org.apache.spark.util.CollectionAccumulator records, long node, int partition" + (kept == null ? "" : ", @SEQ@ columns, long room") + ") {\n"
      + "    this.records = records; this.node = node; this.partition = partition;" + (kept == null ? "" : " this.columns = columns; this.room = room;") + "\n  }\n"
      + (kept == null ? "" : SideOutput.TEXT)
      + "  public boolean fail(int at, long mask, long drop) {\n"
      + "    boolean dropped = (mask & drop) != 0L;\n"
      + "    do { c[at + Long.numberOfTrailingZeros(mask)]++; mask &= mask - 1L; } while (mask != 0L);\n"
      + "    return dropped;\n  }\n"
      + "  private long[] errors = null;\n"
      + "  public void error(int rule) { if (errors == null) errors = new long[" + check.rules + "]; errors[rule]++; }\n"
      + "  public void onTaskCompletion(org.apache.spark.TaskContext t) {\n"
      + "    StringBuilder b = new StringBuilder();\n"
      + "    b.append(node).append('|').append(partition).append('|').append(t.stageId()).append('|').append(t.stageAttemptNumber()).append('|').append(t.taskAttemptId()).append('|');\n"
      + "    c[" + Check.ROWS + "] = rows;\n    for (int i = 0; i < c.length; i++) { if (i > 0) b.append(','); b.append(c[i]); }\n"
      + "    if (errors != null) for (int i = 0; i < errors.length; i++) b.append(',').append(errors[i]);\n"
      + "    records.add(" + (kept == null ? "new Object[] { b.toString(), null, Boolean.FALSE }" : "record(b.toString(), c[" + Check.ENDED + "] == 1L)") + ");\n  }\n}\n";
  }

  public String doConsume(CodegenContext ctx, @SEQ@ input, ExprCode row) {
    if (check == null) return super.doConsume(ctx, input, row);
    @SEQ@ columns = child().output();
    List masks = Check.masks(condition());
    boolean whole = row != null && row.code().toString().isEmpty();         // there is a row already: no need to make one of its columns
    AttributeSet need = ((Expression) masks.get(0)).references();
    for (int w = 1; w < masks.size(); w++) need = need.$plus$plus(((Expression) masks.get(w)).references());
    if (kept != null && !whole) need = condition().references();
    StringBuilder b = new StringBuilder("do {\n"), words = new StringBuilder();
    b.append(evaluateRequiredVariables(columns, input, need));
    String any = ctx.freshName("sparkPdAny"), dropped = ctx.freshName("sparkPdDropped");
    b.append("\n" + tally + ".rows++;\nboolean " + any + " = false, " + dropped + " = false;\n");
    for (int w = 0; w < masks.size(); w++) {
      String mask = ctx.freshName("sparkPdMask");
      b.append("long " + mask + " = 0L;\n");
      words.append(w == 0 ? "" : ", ").append(mask);
      b.append(new RuleCode(ctx, input, columns, tally, Check.WORD * w, mask, check).of((Expression) masks.get(w)));
      b.append("if (" + mask + " != 0L) { " + any + " = true; " + dropped + " |= " + tally + ".fail(" + (Check.RULES + Check.WORD * w) + ", " + mask + ", " + check.drop[w] + "L); }\n");
    }
    String sideOutput = kept == null ? "" : SideOutput.code(ctx, input, columns, condition().references(), tally, whole ? row.value().toString() : null, words.toString());
    b.append("if (" + any + ") { " + tally + ".c[" + Check.FAILED + "]++; " + sideOutput + "if (" + dropped + ") { " + tally + ".c[" + Check.DROPPED + "]++; continue; } }\n");   // nothing is stored for a good row
    b.append(metricTerm(ctx, "numOutputRows") + ".add(1);\n" + consume(ctx, input, null) + "\n} while (false);\n");
    return b.toString();
  }

  /** Without whole-stage code generation (more than 100 columns, an interpreted rule, switched off): this operator alone, generated. */
  public RDD doExecute() {
    if (alone || check == null) return super.doExecute();                   // even that would not compile: filters rightly, counts nothing
    return new WholeStageCodegenExec(new CheckExec(condition(), new InputAdapter(child()), true), 0).execute();
  }
}

// @INCLUDE check_evaluations.java@
// @INCLUDE check_planning.java@
// @INCLUDE rule_code.java@
// @INCLUDE side_output.java@
