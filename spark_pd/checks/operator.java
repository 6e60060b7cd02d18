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
// rule... and the failing rows that it kept, if that was asked for. `ended` is 1 when the end of the input was seen. The driver believes
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
      + "  public void onTaskCompletion(org.apache.spark.TaskContext t) {\n"
      + "    StringBuilder b = new StringBuilder();\n"
      + "    b.append(node).append('|').append(partition).append('|').append(t.stageId()).append('|').append(t.stageAttemptNumber()).append('|').append(t.taskAttemptId()).append('|');\n"
      + "    c[" + Check.ROWS + "] = rows;\n    for (int i = 0; i < c.length; i++) { if (i > 0) b.append(','); b.append(c[i]); }\n"
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
      List plain = new ArrayList(), interpreted = new ArrayList();
      terms((Expression) masks.get(w), plain, interpreted);
      String mask = ctx.freshName("sparkPdMask");
      b.append("long " + mask + " = 0L;\n");
      words.append(w == 0 ? "" : ", ").append(mask);
      for (int g = 0; g < plain.size(); g += GROUP) b.append(group(ctx, plain.subList(g, Math.min(g + GROUP, plain.size())), input, columns, mask));
      for (int g = 0; g < interpreted.size(); g += GROUP) b.append(group(ctx, interpreted.subList(g, Math.min(g + GROUP, interpreted.size())), input, columns, mask));
      b.append("if (" + mask + " != 0L) { " + any + " = true; " + dropped + " |= " + tally + ".fail(" + (Check.RULES + Check.WORD * w) + ", " + mask + ", " + check.drop[w] + "L); }\n");
    }
    String sideOutput = kept == null ? "" : SideOutput.code(ctx, input, columns, condition().references(), tally, whole ? row.value().toString() : null, words.toString());
    b.append("if (" + any + ") { " + tally + ".c[" + Check.FAILED + "]++; " + sideOutput + "if (" + dropped + ") { " + tally + ".c[" + Check.DROPPED + "]++; continue; } }\n");   // nothing is stored for a good row
    b.append(metricTerm(ctx, "numOutputRows") + ".add(1);\n" + consume(ctx, input, null) + "\n} while (false);\n");
    return b.toString();
  }

  // HotSpot compiles no method of more than 8,000 bytes of bytecode, and inlines little of a long one: with all rules in one method 60 rules
  // take 15 times as long as 30. Eight rules fit easily.
  static final int GROUP = 8;
  static final int MAX_SLOTS = 250;                                         // the JVM allows 255 for a method's parameters

  /** The rules of a mask word; those that Spark interprets need a row made for them, so they stand apart. */
  static void terms(Expression e, List plain, List interpreted) {
    if (e instanceof BitwiseOr) { terms(((BitwiseOr) e).left(), plain, interpreted); terms(((BitwiseOr) e).right(), plain, interpreted); }
    else if (interpreted(e)) interpreted.add(e); else plain.add(e);
  }
  static void ordinals(Expression e, TreeSet out) {
    if (e instanceof BoundReference) out.add(Integer.valueOf(((BoundReference) e).ordinal()));
    for (int i = 0; i < e.children().size(); i++) ordinals((Expression) e.children().apply(i), out);
  }
  static boolean interpreted(Expression e) {
    if (e instanceof CodegenFallback) return true;
    for (int i = 0; i < e.children().size(); i++) if (interpreted((Expression) e.children().apply(i))) return true;
    return false;
  }
  static Expression bind(Expression e, @SEQ@ attributes) {
    return (Expression) BindReferences.bindReference(e, new org.apache.spark.sql.catalyst.expressions.package$AttributeSeq(attributes), false);
  }

  /** Code that ors the bits of some rules into `mask`, in a private method whose arguments are the columns that they read. */
  private String group(CodegenContext ctx, List rules, @SEQ@ input, @SEQ@ columns, String mask) {
    Expression e = null;
    for (int i = 0; i < rules.size(); i++) e = e == null ? (Expression) rules.get(i) : (Expression) new BitwiseOr(e, (Expression) rules.get(i));
    Expression bound = bind(e, columns);
    TreeSet used = new TreeSet(); ordinals(bound, used);
    List vars = new ArrayList();
    for (int i = 0; i < input.size(); i++) vars.add(input.apply(i));
    StringBuilder params = new StringBuilder(), args = new StringBuilder();
    int slots = 1;
    for (Iterator it = used.iterator(); it.hasNext();) {
      int i = ((Integer) it.next()).intValue();
      ExprCode in = (ExprCode) input.apply(i);
      DataType type = ((Attribute) columns.apply(i)).dataType();
      String javaType = CodeGenerator$.MODULE$.javaType(type);
      slots += "long".equals(javaType) || "double".equals(javaType) ? 2 : 1;
      params.append(params.length() == 0 ? "" : ", ").append(javaType + " v" + i);
      args.append(args.length() == 0 ? "" : ", ").append(in.value().toString());
      ExprValue isNull = in.isNull();
      if (!(isNull instanceof LiteralValue)) {
        slots++;
        params.append(", boolean n" + i); args.append(", " + isNull.toString());
        isNull = JavaCode$.MODULE$.isNullVariable("n" + i);
      }
      vars.set(i, new ExprCode(EmptyBlock$.MODULE$, isNull, JavaCode$.MODULE$.variable("v" + i, type)));
    }
    if (slots > MAX_SLOTS && rules.size() > 1) {
      int half = rules.size() / 2;
      return group(ctx, rules.subList(0, half), input, columns, mask) + group(ctx, rules.subList(half, rules.size()), input, columns, mask);
    }
    boolean inline = slots > MAX_SLOTS;                                     // one rule over so many columns: no method can take them
    String[] code = evaluate(ctx, e, bound, used, inline ? input : Check.seq(vars), columns);
    if (inline) return code[0] + "\n" + mask + " |= " + code[1] + ";\n";
    String f = ctx.freshName("sparkPdRules");
    String method = ctx.addNewFunction(f, "private long " + f + "(" + params + ") throws java.io.IOException {\n" + code[0] + "\nreturn " + code[1] + ";\n}\n", false);
    return mask + " |= " + method + "(" + args + ");\n";
  }

  /** {statements, value} of an expression over the given variables. */
  private static String[] evaluate(CodegenContext ctx, Expression e, Expression bound, TreeSet used, @SEQ@ vars, @SEQ@ columns) {
    @SEQ@ oldVars = ctx.currentVars();
    String oldRow = ctx.INPUT_ROW();
    ctx.currentVars_$eq(vars);
    String before = "";
    Expression toEvaluate = bound;
    if (interpreted(bound)) {                                               // such as exists(items, x -> x > 0): evaluated by Spark on a row, so make one
      List refs = new ArrayList(), attributes = new ArrayList();
      for (Iterator it = used.iterator(); it.hasNext();) { Attribute a = (Attribute) columns.apply(((Integer) it.next()).intValue()); attributes.add(a); refs.add(bind(a, columns)); }
      ExprCode row = GenerateUnsafeProjection$.MODULE$.createCode(ctx, Check.seq(refs), false);
      String name = ctx.freshName("sparkPdRow");                            // Spark uses INPUT_ROW as a parameter's name too
      before = row.code().toString() + "\nInternalRow " + name + " = " + row.value().toString() + ";";
      ctx.currentVars_$eq(null);
      ctx.INPUT_ROW_$eq(name);
      toEvaluate = bind(e, Check.seq(attributes));
    }
    ExprCode value = toEvaluate.genCode(ctx);
    ctx.currentVars_$eq(oldVars);
    ctx.INPUT_ROW_$eq(oldRow);
    return new String[] { before + "\n" + value.code().toString(), value.value().toString() };
  }

  /** Without whole-stage code generation (more than 100 columns, an interpreted rule, switched off): this operator alone, generated. */
  public RDD doExecute() {
    if (alone || check == null) return super.doExecute();                   // even that would not compile: filters rightly, counts nothing
    return new WholeStageCodegenExec(new CheckExec(condition(), new InputAdapter(child()), true), 0).execute();
  }
}

// @INCLUDE check_evaluations.java@
// @INCLUDE check_planning.java@
// @INCLUDE side_output.java@
