// The check on the driver: its condition, and the evaluations that its tasks recorded. Part of operator.java, compiled with it.

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
  final long room;                                                          // bytes of failing rows that may be kept; 0: none are
  final Records records;
  volatile boolean errorsUnknown = false;                                   // a rule whose errors are caught, and not counted
  final ConcurrentHashMap partitions = new ConcurrentHashMap();             // node -> number of partitions of its RDD
  final ConcurrentHashMap executions = new ConcurrentHashMap();             // node -> "SQL execution id,root execution id"

  public Check(long id, int rules, long[] drop, boolean sideOutput, SparkContext sc) {
    this.id = Long.valueOf(id); this.rules = rules; this.drop = drop;
    this.room = sideOutput ? SideOutput.room(sc) : 0L;
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
   * The evaluations of the check, one line each: node|execution,root|complete|varies|rows,failed,dropped,rule...|error... An evaluation is one physical
   * operator, that is one generated RDD. `error`: the rows for which a rule could not be evaluated; none where that is not known. `complete`: every partition reached the end of its input in a task that succeeded. `varies`: a
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
      long[] total = new long[RULES + 2 * rules];
      if (parts != null) for (Iterator p = parts.values().iterator(); p.hasNext();) {
        String[] c = (String[]) ((Object[]) p.next())[1];
        for (int i = 1; i < c.length; i++) total[i] += Long.parseLong(c[i]);
      }
      Object execution = executions.get(e.getKey());
      b.append(e.getKey()).append('|').append(execution == null ? "" : execution).append('|').append(complete).append('|').append(varies.contains(e.getKey())).append('|');
      for (int i = 1; i < RULES + rules; i++) { if (i > 1) b.append(','); b.append(total[i]); }
      b.append('|');
      if (!errorsUnknown) for (int i = RULES + rules; i < total.length; i++) { if (i > RULES + rules) b.append(','); b.append(total[i]); }
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

  /** The failing rows that one evaluation kept, as a Dataset of the input's columns and the masks behind them; null where some are missing. */
  public Object failingRows(long node, org.apache.spark.sql.Dataset input, String[] masks) throws Exception {
    HashMap parts = room == 0L ? null : (HashMap) attempts(new HashSet()).get(Long.valueOf(node));
    return parts == null ? null : SideOutput.dataset(parts.values(), input, masks);
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
    if (room > 0L) x = new BitwiseOr(x, SideOutput.pin(input));
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
