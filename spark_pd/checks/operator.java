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
// rule... and the failing rows that it set aside, if that was asked for. `ended` is 1 when the end of the input was seen. The driver believes
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

/** One call of run.check: its rules' drop masks, and the book of its evaluations. Lives on the driver, from check to the run's end. */
public class Check {
  /** The open checks by id. An expression finds its check here; once closed it is an ordinary filter to this planner. */
  static final ConcurrentHashMap OPEN = new ConcurrentHashMap();
  static final AtomicLong NODES = new AtomicLong();
  static final int WORD = 62;                                               // rules in one mask word: bits 0..61 of a long
  static final int ENDED = 0, ROWS = 1, FAILED = 2, DROPPED = 3, RULES = 4; // places in a record's counters

  public final Long id;
  public final int rules;
  final long[] drop;
  final long room;                                                          // bytes of failing rows that may be set aside; 0: none are
  final Records records;
  final ConcurrentHashMap partitions = new ConcurrentHashMap();             // node -> number of partitions of its RDD
  final ConcurrentHashMap executions = new ConcurrentHashMap();             // node -> "SQL execution id,root execution id"

  public Check(long id, int rules, long[] drop, boolean aside, SparkContext sc) {
    this.id = Long.valueOf(id); this.rules = rules; this.drop = drop;
    this.room = aside ? Aside.room(sc) : 0L;
    this.records = new Records(room);
    sc.register(records);
    OPEN.put(this.id, this);
  }

  /** Forgets the check. The DataFrame stays usable: its filter is planned by Spark itself from now on. */
  public void close() { OPEN.remove(id); records.reset(); partitions.clear(); executions.clear(); }

  void planned(long node, int count, SparkContext sc) {
    if (OPEN.get(id) != this) return;
    partitions.put(Long.valueOf(node), Integer.valueOf(count));
    Object e = sc.getLocalProperty("spark.sql.execution.id"), r = sc.getLocalProperty("spark.sql.execution.root.id");
    if (e != null) executions.put(Long.valueOf(node), e + "," + (r == null ? e : r));
  }

  /**
   * The evaluations of the check, one line each: node|execution,root|complete|varies|rows,failed,dropped,rule... An evaluation is one physical
   * operator, that is one generated RDD. `complete`: every partition reached the end of its input in a task that succeeded. `varies`: a
   * partition that was computed twice gave two results, so its input is not deterministic.
   */
  public String evaluations() {
    HashSet varies = new HashSet();
    HashMap nodes = attempts(varies);
    StringBuilder b = new StringBuilder();
    for (Iterator it = new TreeMap(partitions).entrySet().iterator(); it.hasNext();) {
      Map.Entry e = (Map.Entry) it.next();
      HashMap parts = (HashMap) nodes.get(e.getKey());
      int count = ((Integer) e.getValue()).intValue();
      boolean complete = parts == null ? count == 0 : parts.size() == count;
      long[] total = new long[RULES + rules];
      if (parts != null) for (Iterator p = parts.values().iterator(); p.hasNext();) {
        String[] c = (String[]) ((Object[]) p.next())[1];
        for (int i = 1; i < total.length; i++) total[i] += Long.parseLong(c[i]);
      }
      Object execution = executions.get(e.getKey());
      b.append(e.getKey()).append('|').append(execution == null ? "" : execution).append('|').append(complete).append('|').append(varies.contains(e.getKey())).append('|');
      for (int i = 1; i < total.length; i++) { if (i > 1) b.append(','); b.append(total[i]); }
      b.append('\n');
    }
    return b.toString();
  }
  /** node -> HashMap(partition -> Object[]{attempt, counters, record}), the last attempt of each; nodes of which two attempts differ are `varies`. */
  HashMap attempts(Set varies) {
    HashMap nodes = new HashMap();
    List all = records.value();
    for (int n = 0; n < all.size(); n++) {
      Object[] record = (Object[]) all.get(n);
      String[] f = ((String) record[Records.LINE]).split("[|]");
      String[] c = f[5].split(",");
      if (!"1".equals(c[ENDED])) continue;
      Long node = Long.valueOf(f[0]); Integer partition = Integer.valueOf(f[1]);
      long[] attempt = new long[] { Long.parseLong(f[2]), Long.parseLong(f[3]), Long.parseLong(f[4]) };
      HashMap parts = (HashMap) nodes.get(node);
      if (parts == null) { parts = new HashMap(); nodes.put(node, parts); }
      Object[] old = (Object[]) parts.get(partition);
      if (old != null && !Arrays.equals((Object[]) old[1], (Object[]) c)) varies.add(node);
      if (old == null || later(attempt, (long[]) old[0])) parts.put(partition, new Object[] { attempt, c, record });
    }
    return nodes;
  }

  /** The failing rows that one evaluation set aside, as a Dataset of the input's columns and the masks behind them; null where some are missing. */
  public Object aside(long node, org.apache.spark.sql.Dataset input, String[] masks) throws Exception {
    HashMap parts = room == 0L ? null : (HashMap) attempts(new HashSet()).get(Long.valueOf(node));
    return parts == null ? null : Aside.dataset(parts.values(), input, masks);
  }

  private static boolean later(long[] a, long[] b) {
    for (int i = 0; i < a.length; i++) if (a[i] != b[i]) return a[i] > b[i];
    return false;
  }

  static @SEQ@ seq(List l) { return scala.collection.JavaConverters.asScalaBuffer(l).toSeq(); }
  static Literal literal(long v) { return new Literal(Long.valueOf(v), DataTypes.LongType); }

  /** Long.sum(a, b) as a non-deterministic call: opaque to the optimizer, and known to every Java. Its constructor grew over the versions. */
  static Expression sum(Expression a, Expression b) throws Exception {
    List l = new ArrayList(); l.add(a); l.add(b);
    java.lang.reflect.Constructor c = StaticInvoke.class.getConstructors()[0];
    Object[] o = new Object[] { Long.class, DataTypes.LongType, "sum", seq(l), seq(new ArrayList()), Boolean.FALSE, Boolean.FALSE, Boolean.FALSE, scala.Option.apply(null) };
    return (Expression) c.newInstance(Arrays.copyOf(o, c.getParameterCount()));
  }

  /** The filter: sum(sum(mask0, 0) & drop0 | sum(mask1, 0) & drop1 .., id) = id. The inner sum keeps `& drop` out of the branches of the rules' ifs. */
  public Column condition(Column[] masks, LogicalPlan input) throws Exception {
    Expression x = null;
    for (int i = 0; i < masks.length; i++) {
      Expression a = new BitwiseAnd(sum(expression(masks[i]), literal(0L)), literal(drop[i]));
      x = x == null ? a : (Expression) new BitwiseOr(x, a);
    }
    if (room > 0L) x = new BitwiseOr(x, Aside.pin(input));
    return column(new EqualTo(sum(x, literal(id.longValue())), literal(id.longValue())));
  }
  // Spark 4 moved the classic Column's expression behind ExpressionUtils; 3.5 has it on the Column.
  static Expression expression(Column c) throws Exception {
    try { return (Expression) Class.forName("org.apache.spark.sql.classic.ExpressionUtils").getMethod("expression", new Class[] { Column.class }).invoke(null, new Object[] { c }); }
    catch (ClassNotFoundException e) { return (Expression) Column.class.getMethod("expr", new Class[0]).invoke(c, new Object[0]); }
  }
  static Column column(Expression e) throws Exception {
    try { return (Column) Class.forName("org.apache.spark.sql.classic.ExpressionUtils").getMethod("column", new Class[] { Expression.class }).invoke(null, new Object[] { e }); }
    catch (ClassNotFoundException x) { return (Column) Column.class.getConstructor(new Class[] { Expression.class }).newInstance(new Object[] { e }); }
  }

  /** The open check that an expression is the filter of, or null. A condition of another shape than ours is left to Spark: counts unknown. */
  static Check of(Expression e) {
    if (!(e instanceof EqualTo) || !(((EqualTo) e).left() instanceof StaticInvoke)) return null;
    StaticInvoke s = (StaticInvoke) ((EqualTo) e).left();
    if (s.staticObject() != Long.class || !s.functionName().equals("sum") || !(s.arguments().apply(1) instanceof Literal)) return null;
    Object v = ((Literal) s.arguments().apply(1)).value();
    Check c = v == null ? null : (Check) OPEN.get(v);
    return c == null || masks(e).size() != c.drop.length ? null : c;
  }
  /** The mask words of a condition, in order. */
  static List masks(Expression condition) {
    List l = new ArrayList();
    masks((Expression) ((StaticInvoke) ((EqualTo) condition).left()).arguments().apply(0), l);
    return l;
  }
  private static void masks(Expression e, List out) {
    if (e instanceof BitwiseOr) { masks(((BitwiseOr) e).left(), out); masks(((BitwiseOr) e).right(), out); }
    else if (e instanceof BitwiseAnd && ((BitwiseAnd) e).left() instanceof StaticInvoke) out.add(((StaticInvoke) ((BitwiseAnd) e).left()).arguments().apply(0));
  }
}

/** FilterExec that counts in the generated code, and sees the end of its input. */
public class CheckExec extends FilterExec {
  private final transient Check check;
  private final boolean alone;                                              // planned by doExecute below: not to be tried a second time
  private transient long node = -1L;
  private transient int inputPartitions = -1;
  private transient String tally;                                           // the generated variable that holds a task's counters
  private transient @SEQ@ kept;                                             // what of a failing row is set aside; null: nothing

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
    kept = check.room == 0L ? null : Aside.columns(condition(), child().output(), check.drop.length);
    String records = ctx.addReferenceObj("sparkPdRecords", check.records, "org.apache.spark.util.CollectionAccumulator");
    // A reference, not text: the same check again has the same text, so Spark finds it compiled, and HotSpot has it optimized already.
    String number = ctx.addReferenceObj("sparkPdNode", Long.valueOf(node), "java.lang.Long");
    String type = ctx.freshName("SparkPdTally"), task = ctx.freshName("sparkPdTask");
    tally = ctx.addMutableState(type, "sparkPdTally", ctx.addMutableState$default$3(), true, true);
    ctx.addInnerClass(tallyClass(type));
    String aside = "";
    if (kept != null) {
      // references too: what is set aside, and how much, is no text
      aside = ", " + ctx.addReferenceObj("sparkPdColumns", kept, "@SEQ@") + ", " + ctx.addReferenceObj("sparkPdRoom", Long.valueOf(check.room), "java.lang.Long") + ".longValue()";
    }
    StringBuilder b = new StringBuilder();
    b.append("if (" + tally + " == null) {\n  " + tally + " = new " + type + "(" + records + ", " + number + ".longValue(), " + partition + aside + ");\n"
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
      + (kept == null ? "" : Aside.TEXT)
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
    String aside = kept == null ? "" : Aside.code(ctx, input, columns, condition().references(), tally, whole ? row.value().toString() : null, words.toString());
    b.append("if (" + any + ") { " + tally + ".c[" + Check.FAILED + "]++; " + aside + "if (" + dropped + ") { " + tally + ".c[" + Check.DROPPED + "]++; continue; } }\n");   // nothing is stored for a good row
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

/** Plans a check's filter as CheckExec, with the projections and filters above it, and the columns below it pruned. */
public class CheckStrategy extends SparkStrategy {
  static void conjuncts(Expression e, List out) {
    if (e instanceof And) { conjuncts(((And) e).left(), out); conjuncts(((And) e).right(), out); } else out.add(e);
  }
  static Expression and(List l) {
    Expression r = null;
    for (int i = 0; i < l.size(); i++) r = r == null ? (Expression) l.get(i) : (Expression) new And(r, (Expression) l.get(i));
    return r;
  }
  public @SEQ@ apply(LogicalPlan plan) {
    List none = new ArrayList();
    if (Check.OPEN.isEmpty()) return Check.seq(none);
    List above = new ArrayList();                                            // the projections and filters over the check, top first
    AttributeSet need = null;                                                // the columns they read; null: every column
    for (LogicalPlan p = plan; ; ) {
      if (p instanceof Project) { need = p.references(); above.add(p); p = ((Project) p).child(); continue; }
      if (!(p instanceof Filter)) return Check.seq(none);
      Expression condition = ((Filter) p).condition(), check = null;
      List parts = new ArrayList(), others = new ArrayList();
      conjuncts(condition, parts);
      for (int i = 0; i < parts.size(); i++) {
        Expression part = (Expression) parts.get(i);
        if (Check.of(part) == null) others.add(part); else if (check != null) return Check.seq(none); else check = part;
      }
      if (need != null) need = need.$plus$plus(condition.references());
      if (check == null) { above.add(p); p = ((Filter) p).child(); continue; }
      LogicalPlan input = ((Filter) p).child();
      if (!others.isEmpty()) input = new Filter(and(others), input);         // CombineFilters merges into ours only filters from below it
      List done = new ArrayList();
      done.add(over(above, new CheckExec(check, planLater(pruned(input, need)))));
      return Check.seq(done);
    }
  }
  private static LogicalPlan pruned(LogicalPlan input, AttributeSet need) {
    if (need == null) return input;
    List kept = new ArrayList();
    for (int i = 0; i < input.output().size(); i++) { Attribute a = (Attribute) input.output().apply(i); if (need.contains(a)) kept.add(a); }
    return kept.size() == input.output().size() ? input : (LogicalPlan) new Project(Check.seq(kept), input);
  }
  private static SparkPlan over(List above, SparkPlan x) {
    for (int i = above.size() - 1; i >= 0; i--) {
      Object a = above.get(i);
      if (a instanceof Project) x = new ProjectExec(((Project) a).projectList(), x); else x = new FilterExec(((Filter) a).condition(), x);
    }
    return x;
  }
}

// @INCLUDE side_output.java@
