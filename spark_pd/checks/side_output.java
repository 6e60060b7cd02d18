// The side output: failing rows that tasks keep while they count. Part of operator.java, compiled with it.
//
// A task keeps its failing rows as Spark's own binary rows, the masks of the failed rules behind the columns, up to a share of the room that the
// driver has for all. What is over is given up: then there is a second read. The rows travel with the record of the task, so that what tells
// attempts and evaluations apart tells their rows apart as well.

/** The accumulator of a check: the records {line, rows, whole} of its tasks. It holds rows up to `room` bytes; the oldest give way to newer. */
class Records extends CollectionAccumulator {
  static final int LINE = 0, ROWS = 1, WHOLE = 2;                           // `whole`: all failing rows of the partition are in `rows`; null: it has none
  private final long room;
  private long bytesKept = 0L;
  private final LinkedList withRows = new LinkedList();

  Records(long room) { this.room = room; }
  /** What travels to executors: Spark's own class. */
  public CollectionAccumulator copyAndReset() { return new CollectionAccumulator(); }
  public synchronized void reset() { super.reset(); if (withRows != null) withRows.clear(); bytesKept = 0L; }
  public synchronized void merge(AccumulatorV2 other) {
    List added = (List) ((CollectionAccumulator) other).value();
    super.merge(other);
    for (int i = 0; i < added.size(); i++) {
      Object[] record = (Object[]) added.get(i);
      if (record[ROWS] == null) continue;
      bytesKept += ((byte[]) record[ROWS]).length;
      withRows.add(record);
    }
    while (bytesKept > room && !withRows.isEmpty()) {
      Object[] oldest = (Object[]) withRows.removeFirst();
      bytesKept -= ((byte[]) oldest[ROWS]).length;
      oldest[ROWS] = null; oldest[WHOLE] = Boolean.FALSE;
    }
  }
}

class SideOutput {
  private static final long MOST = 128L << 20;                              // bytes for all rows of a check in the driver
  private static final long SLICE = 8L << 20;                               // bytes of one partition of what becomes of them
  private static final int HEAD = 8;                                        // bytes of a row's length, in front of it

  /** Bytes of rows that the driver has room for: a sixteenth of its memory, and far less than would make Spark end the job. */
  static long room(SparkContext sc) {
    long results = sc.conf().getSizeAsBytes("spark.driver.maxResultSize", "1g");
    long most = Math.min(MOST, Runtime.getRuntime().maxMemory() / 16L);
    return Math.max(1L, results > 0L ? Math.min(most, results / 8L) : most);
  }

  /** 0, of every column of the input, so that the optimizer keeps them all: no filter is pushed through it, and no column pruned below. */
  static Expression pin(LogicalPlan input) throws Exception {
    List fields = new ArrayList();
    for (int i = 0; i < input.output().size(); i++) {
      fields.add(new Literal(UTF8String.fromString("c" + i), DataTypes.StringType));
      fields.add(input.output().apply(i));
    }
    List l = new ArrayList(); l.add(new CreateNamedStruct(Check.seq(fields)));
    java.lang.reflect.Constructor c = StaticInvoke.class.getConstructors()[0];
    Object[] o = new Object[] { Objects.class, DataTypes.BooleanType, "isNull", Check.seq(l), Check.seq(new ArrayList()), Boolean.FALSE, Boolean.FALSE, Boolean.FALSE, scala.Option.apply(null) };
    Expression never = (Expression) c.newInstance(Arrays.copyOf(o, c.getParameterCount()));
    return new If(never, Check.literal(1L), Check.literal(0L));
  }

  /** What is kept of a row, by its place in the child's output: the pinned columns, then the masks. Null where they cannot be had. */
  static @SEQ@ columns(Expression condition, @SEQ@ output, int words) {
    Expression x = (Expression) ((StaticInvoke) ((EqualTo) condition).left()).arguments().apply(0);
    if (!(x instanceof BitwiseOr) || !(((BitwiseOr) x).right() instanceof If)) return null;
    Expression never = ((If) ((BitwiseOr) x).right()).predicate();
    if (!(never instanceof StaticInvoke) || !(((StaticInvoke) never).arguments().apply(0) instanceof CreateNamedStruct)) return null;
    @SEQ@ values = ((CreateNamedStruct) ((StaticInvoke) never).arguments().apply(0)).valExprs();
    List l = new ArrayList();
    for (int i = 0; i < values.size(); i++) {
      Expression value = (Expression) values.apply(i);                      // a column, or the constant that it was found to be
      if (!value.deterministic() || RuleCode.interpreted(value)) return null;
      l.add(RuleCode.bind(value, output));
    }
    for (int w = 0; w < words; w++) l.add(new BoundReference(output.size() + w, DataTypes.LongType, false));
    return scala.collection.JavaConverters.asScalaBuffer(l).toList();
  }

  /** Code that keeps a failing row. Without a row there is one made of its columns, in methods of their own, as for the rules. */
  static String code(CodegenContext ctx, @SEQ@ input, @SEQ@ columns, AttributeSet need, String tally, String row, String words) {
    String masks = "new Object[] { " + words.replaceAll("(\\w+)", "Long.valueOf($1)") + " }";
    if (row != null) return "if (" + tally + ".open) " + tally + ".keep((InternalRow) " + row + ", " + masks + ");\n";
    String values = ctx.freshName("sparkPdValues");
    StringBuilder b = new StringBuilder("if (" + tally + ".open) {\nObject[] " + values + " = new Object[" + columns.size() + "];\n");
    StringBuilder params = new StringBuilder(), args = new StringBuilder(), body = new StringBuilder();
    int slots = 2;
    for (int i = 0; i < columns.size(); i++) {
      Attribute column = (Attribute) columns.apply(i);
      ExprCode in = (ExprCode) input.apply(i);
      if (need.contains(column)) {
        String type = CodeGenerator$.MODULE$.javaType(column.dataType());
        String value = CodeGenerator$.MODULE$.isPrimitiveType(type) ? CodeGenerator$.MODULE$.boxedType(type) + ".valueOf(v" + i + ")" : "v" + i;
        String set = "values[" + i + "] = " + value + ";\n";
        boolean never = in.isNull() instanceof LiteralValue && "false".equals(in.isNull().toString());
        slots += ("long".equals(type) || "double".equals(type) ? 2 : 1) + (never ? 0 : 1);
        params.append(", " + type + " v" + i + (never ? "" : ", boolean n" + i));
        args.append(", " + in.value() + (never ? "" : ", " + in.isNull()));
        body.append(never ? set : "if (!n" + i + ") " + set);
      }
      if (slots > RuleCode.MAX_SLOTS - 4 || i == columns.size() - 1) {
        String f = ctx.freshName("sparkPdRow");
        b.append(ctx.addNewFunction(f, "private void " + f + "(Object[] values" + params + ") {\n" + body + "}\n", false) + "(" + values + args + ");\n");
        params.setLength(0); args.setLength(0); body.setLength(0); slots = 2;
      }
    }
    return b + tally + ".keep(new org.apache.spark.sql.catalyst.expressions.GenericInternalRow(" + values + "), " + masks + ");\n}\n";
  }

  /** Members of a task's counters, as text of the generated code. Nothing of this may fail a task: what goes wrong gives the rows up. */
  static final String TEXT =
      "  private final @SEQ@ columns;\n  private final long room;\n  public boolean open = true;\n"
    + "  private org.apache.spark.sql.catalyst.expressions.UnsafeProjection projection;\n  private long most;\n  private byte[] block = null;\n  private int size = 0;\n"
    + "  public void keep(InternalRow row, Object[] masks) {\n"
    + "    try {\n"
    + "      if (projection == null) {\n"
    + "        projection = org.apache.spark.sql.catalyst.expressions.UnsafeProjection.create(columns);\n"
    + "        int tasks = org.apache.spark.TaskContext.get() == null ? 1 : org.apache.spark.TaskContext.get().numPartitions();\n"
    + "        most = Math.min(room / Math.max(1, tasks), Runtime.getRuntime().maxMemory() / 64L);\n"
    + "      }\n"
    + "      UnsafeRow kept = projection.apply(new org.apache.spark.sql.catalyst.expressions.JoinedRow(row, new org.apache.spark.sql.catalyst.expressions.GenericInternalRow(masks)));\n"
    + "      int bytes = kept.getSizeInBytes();\n"
    + "      if (size + 8L + bytes > most) { open = false; block = null; return; }\n"
    + "      if (block == null) block = new byte[(int) Math.min(most, Math.max(4096L, 8L + bytes))];\n"
    + "      if (size + 8L + bytes > block.length) block = java.util.Arrays.copyOf(block, (int) Math.min(most, Math.max(block.length * 2L, size + 8L + bytes)));\n"
    + "      Platform.putLong(block, Platform.BYTE_ARRAY_OFFSET + size, bytes);\n"
    + "      kept.writeToMemory(block, Platform.BYTE_ARRAY_OFFSET + size + 8);\n"
    + "      size += 8 + bytes;\n"
    + "    } catch (Throwable t) { open = false; block = null; }\n"
    + "  }\n"
    + "  private Object[] record(String line, boolean ended) {\n"
    + "    byte[] own = block == null || !ended ? null : java.util.Arrays.copyOf(block, size);\n"
    + "    block = null;\n"
    + "    return new Object[] { line, own, Boolean.valueOf(open && ended) };\n"
    + "  }\n";

  /** The rows of some records as a Dataset of the session of `input`: its columns, and the masks. Null where some were given up. */
  static Object dataset(Collection attempts, org.apache.spark.sql.Dataset input, String[] masks) throws Exception {
    StructType schema = input.schema();
    for (int w = 0; w < masks.length; w++) schema = schema.add(masks[w], DataTypes.LongType, false);
    List rows = new ArrayList();
    long bytes = 0L;
    for (Iterator it = attempts.iterator(); it.hasNext();) {
      Object[] record = (Object[]) ((Object[]) it.next())[2];
      byte[] block;
      synchronized (record) { if (!((Boolean) record[Records.WHOLE]).booleanValue()) return null; block = (byte[]) record[Records.ROWS]; }
      if (block == null) continue;
      bytes += block.length;
      for (int at = 0; at < block.length;) {
        int size = (int) Platform.getLong(block, Platform.BYTE_ARRAY_OFFSET + at);
        UnsafeRow row = new UnsafeRow(schema.size());
        row.pointTo(block, Platform.BYTE_ARRAY_OFFSET + at + HEAD, size);
        rows.add(row);
        at += HEAD + size;
      }
    }
    Object session = input.getClass().getMethod("sparkSession", new Class[0]).invoke(input, new Object[0]);
    SparkContext sc = (SparkContext) session.getClass().getMethod("sparkContext", new Class[0]).invoke(session, new Object[0]);
    RDD rdd = sc.parallelize(Check.seq(rows), (int) (1L + bytes / SLICE), scala.reflect.ClassTag$.MODULE$.apply(InternalRow.class));
    java.lang.reflect.Method[] methods = session.getClass().getMethods();
    for (int i = 0; i < methods.length; i++)
      if (methods[i].getName().equals("internalCreateDataFrame") && methods[i].getParameterCount() == 3)
        return methods[i].invoke(session, new Object[] { rdd, schema, Boolean.FALSE });
    return null;
  }
}
