// What became of the SQL executions that touched a check: which were writes, which succeeded, what they observed.
//
// A listener on a queue of its own; it looks at SQL executions only (two events for each query), and only while a check is open. Compiled in the
// running driver like spark_pd/checks/operator.java. @SEQ@ is the Seq of this Spark's Scala.
//
// A check is known in a plan by a filter with the conjunct `x = id`, where id is the check's own random number.
package spark_pd;

import java.util.*;
import java.util.concurrent.*;
import org.apache.spark.scheduler.*;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.expressions.*;
import org.apache.spark.sql.catalyst.plans.QueryPlan;
import org.apache.spark.sql.catalyst.plans.logical.*;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import org.apache.spark.sql.execution.*;
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec;
import org.apache.spark.sql.execution.columnar.InMemoryRelation;
import org.apache.spark.sql.execution.columnar.InMemoryTableScanExec;
import org.apache.spark.sql.execution.ui.*;

public class Executions extends SparkListener {
  private static final String QUEUE = "spark_pd";
  private final org.apache.spark.SparkContext context;
  private final ConcurrentHashMap watched = new ConcurrentHashMap();         // check id -> its records, a list of lines
  private final ConcurrentHashMap roots = new ConcurrentHashMap();           // execution id -> root execution id
  private final ConcurrentHashMap ends = new ConcurrentHashMap();            // execution id -> the place of its end among all ends
  private final ConcurrentHashMap carriers = new ConcurrentHashMap();        // columns of a checkpointed plan -> the check ids it holds
  private long sequence = 0L;

  public Executions(org.apache.spark.SparkContext context) { this.context = context; context.listenerBus().addToQueue(this, QUEUE); }
  public void remove() { watched.clear(); forget(); context.listenerBus().removeListener(this); }

  public void watch(long id) { watched.put(Long.valueOf(id), new ConcurrentLinkedQueue()); }
  public void unwatch(long id) { watched.remove(Long.valueOf(id)); if (watched.isEmpty()) forget(); }
  private void forget() { roots.clear(); ends.clear(); carriers.clear(); }

  /** True where every event posted so far has been seen, waiting at most so long. An execution that still runs has no end yet. */
  public boolean drained(long millis) throws Exception {
    java.lang.reflect.Field f = LiveListenerBus.class.getDeclaredField("queues");
    f.setAccessible(true);
    for (Iterator it = ((List) f.get(context.listenerBus())).iterator(); it.hasNext();) {
      Object queue = it.next();
      if (QUEUE.equals(queue.getClass().getMethod("name", new Class[0]).invoke(queue, new Object[0])))
        return ((Boolean) queue.getClass().getMethod("waitUntilEmpty", new Class[] { Long.TYPE }).invoke(queue, new Object[] { Long.valueOf(System.currentTimeMillis() + millis) })).booleanValue();
    }
    return false;
  }

  /**
   * The ended executions that touched the check, one line each: id|root|end|succeeded|write|carried|observed,... `carried`: the check stands
   * behind a cache or a checkpoint that the plan reads, else its filter or its observation stands in the plan. `end` orders the ends. `observed`: the metrics
   * observed under the check's name, as longs or one text, where nothing in the plan may have stopped reading early.
   */
  public String records(long id) {
    Object lines = watched.get(Long.valueOf(id));
    if (lines == null) return "";
    StringBuilder b = new StringBuilder();
    for (Iterator it = ((Collection) lines).iterator(); it.hasNext();) b.append(it.next()).append('\n');
    return b.toString();
  }
  /** "execution,end" of every execution that ended, for those that were nested in a write and did not show the check themselves. */
  public String ended() {
    StringBuilder b = new StringBuilder();
    for (Iterator it = ends.entrySet().iterator(); it.hasNext();) { Map.Entry e = (Map.Entry) it.next(); b.append(e.getKey()).append(',').append(e.getValue()).append('\n'); }
    return b.toString();
  }

  public void onOtherEvent(SparkListenerEvent event) {
    if (watched.isEmpty()) return;
    if (event instanceof SparkListenerSQLExecutionStart) {
      SparkListenerSQLExecutionStart s = (SparkListenerSQLExecutionStart) event;
      Object root = s.rootExecutionId().isDefined() ? s.rootExecutionId().get() : Long.valueOf(s.executionId());
      roots.put(Long.valueOf(s.executionId()), root);
    } else if (event instanceof SparkListenerSQLExecutionEnd) {
      try { ended((SparkListenerSQLExecutionEnd) event); } catch (Throwable t) { }   // not understood is not counted: unknown, never wrong
    }
  }

  private void ended(SparkListenerSQLExecutionEnd end) {
    Long id = Long.valueOf(end.executionId());
    Long place = Long.valueOf(++sequence);
    ends.put(id, place);
    QueryExecution query = end.qe();
    if (query == null) return;
    Object root = roots.get(id);
    boolean succeeded = end.executionFailure().isEmpty() && end.errorMessage().isDefined() && "".equals(end.errorMessage().get());
    LogicalPlan plan = query.analyzed();
    HashSet direct = new HashSet(), carried = new HashSet();
    find(plan, direct, carried, new IdentityHashMap());
    if (!(plan instanceof Command)) {                                        // perhaps a checkpoint: its plan keeps these columns, and nothing else of ours
      HashSet held = new HashSet(direct), inputs = new HashSet();
      held.addAll(carried);
      rdds(plan, inputs);
      if (held.isEmpty()) carriers.remove(columns(plan)); else carriers.put(columns(plan), new Set[] { held, inputs });
    }
    if (succeeded) find(query.withCachedData(), new HashSet(), carried, new IdentityHashMap());
    HashSet all = new HashSet(direct); all.addAll(carried);
    for (Iterator it = all.iterator(); it.hasNext();) {
      Object check = it.next();
      Object lines = watched.get(check);
      if (lines == null) continue;
      ((Collection) lines).add(id + "|" + (root == null ? id : root) + "|" + place + "|" + succeeded + "|" + write(plan) + "|" + carried.contains(check)
        + "|" + (succeeded ? observed(query, "spark_pd_" + check) : ""));
    }
  }

  // Every command may write but these, which only keep or describe; 3.5 has no SetVariable. (A query that is no command keeps nothing.)
  private static boolean write(LogicalPlan plan) {
    return plan instanceof Command && !plan.getClass().getSimpleName().startsWith("SetVariable") && !(plan instanceof CacheTable) && !(plan instanceof CacheTableAsSelect) && !(plan instanceof org.apache.spark.sql.execution.command.ExplainCommand)
      && !(plan instanceof org.apache.spark.sql.execution.command.CreateViewCommand);
  }

  private static String observed(QueryExecution query, String name) {
    scala.Option row = query.observedMetrics().get(name);
    if (row.isEmpty() || place(query.optimizedPlan(), name, true) != WHOLE) return "";
    Row r = (Row) row.get();
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < r.length(); i++) { if (i > 0) b.append(','); b.append(r.isNullAt(i) ? "0" : r.get(i).toString()); }
    return b.toString();
  }

  private static final int NOWHERE = 0, WHOLE = 1, PARTIAL = 2;
  /** Where the observation stands in the plan: PARTIAL if anything above any place of it may stop reading early. A limit does, a join may. */
  private static int place(Object p, String name, boolean reads) {
    if (p instanceof CollectMetrics && ((CollectMetrics) p).name().equals(name)) return reads ? WHOLE : PARTIAL;
    if (p instanceof CollectMetricsExec && ((CollectMetricsExec) p).name().equals(name)) return reads ? WHOLE : PARTIAL;
    if (p instanceof InMemoryRelation) return place(((InMemoryRelation) p).cachedPlan(), name, reads);
    if (p instanceof InMemoryTableScanExec) return place(((InMemoryTableScanExec) p).relation().cachedPlan(), name, reads);
    if (p instanceof AdaptiveSparkPlanExec) return place(((AdaptiveSparkPlanExec) p).inputPlan(), name, reads);
    if (!(p instanceof TreeNode)) return NOWHERE;
    boolean all = reads && (p instanceof LogicalPlan ? readsAll((LogicalPlan) p) : p instanceof SparkPlan && readsAll((SparkPlan) p));
    int found = NOWHERE;
    scala.collection.Seq inner = ((TreeNode) p).children().isEmpty() ? ((TreeNode) p).innerChildren() : ((TreeNode) p).children();
    for (int i = 0; i < inner.size(); i++) found = Math.max(found, place(inner.apply(i), name, all));
    if (p instanceof QueryPlan) {                                            // a subquery reads as little as it needs
      scala.collection.Seq subqueries = ((QueryPlan) p).subqueries();
      for (int i = 0; i < subqueries.size(); i++) found = Math.max(found, place(subqueries.apply(i), name, false));
    }
    return found;
  }
  private static boolean readsAll(LogicalPlan p) {
    return p instanceof Command || p instanceof Project || p instanceof Filter || p instanceof Sort || p instanceof RepartitionOperation || p instanceof RebalancePartitions
      || p instanceof Aggregate || p instanceof Distinct || p instanceof Deduplicate || p instanceof Window || p instanceof Generate || p instanceof Expand || p instanceof Union
      || p instanceof View || p instanceof SubqueryAlias || p instanceof CollectMetrics || p instanceof org.apache.spark.sql.execution.datasources.WriteFiles || p instanceof BatchEvalPython || p instanceof ArrowEvalPython;
  }
  private static boolean readsAll(SparkPlan p) {
    return p instanceof ProjectExec || p instanceof FilterExec || p instanceof SortExec || p instanceof WholeStageCodegenExec || p instanceof InputAdapter || p instanceof CollectMetricsExec
      || p instanceof UnionExec || p instanceof ColumnarToRowExec || p instanceof org.apache.spark.sql.execution.exchange.ShuffleExchangeLike || p instanceof org.apache.spark.sql.execution.aggregate.BaseAggregateExec;
  }

  private static String columns(LogicalPlan plan) {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < plan.output().size(); i++) { ExprId e = ((Attribute) plan.output().apply(i)).exprId(); b.append(e.id()).append(':').append(e.jvmId()).append(','); }
    return b.toString();
  }

  /** The checks that a plan holds: `direct` by their filters, `carried` behind caches and checkpoints. */
  private void find(Object node, Set direct, Set carried, IdentityHashMap seen) {
    if (node == null || seen.put(node, Boolean.TRUE) != null) return;
    if (node instanceof Filter) conjuncts(((Filter) node).condition(), direct);
    if (node instanceof FilterExec) conjuncts(((FilterExec) node).condition(), direct);
    if (node instanceof InMemoryRelation) find(((InMemoryRelation) node).cachedPlan(), carried, carried, seen);
    if (node instanceof InMemoryTableScanExec) find(((InMemoryTableScanExec) node).relation().cachedPlan(), carried, carried, seen);
    if (node instanceof CollectMetricsExec) observation(((CollectMetricsExec) node).name(), direct);
    if (node instanceof CollectMetrics) observation(((CollectMetrics) node).name(), direct);
    if (node instanceof LogicalRDD) {                                        // a filter keeps its input's columns: the input's own RDD is no checkpoint of the check
      Set[] held = (Set[]) carriers.get(columns((LogicalPlan) node));
      if (held != null && !held[1].contains(Integer.valueOf(((LogicalRDD) node).rdd().id()))) carried.addAll(held[0]);
    }
    if (node instanceof AdaptiveSparkPlanExec) find(((AdaptiveSparkPlanExec) node).inputPlan(), direct, carried, seen);
    if (!(node instanceof TreeNode)) return;
    each(((TreeNode) node).children(), direct, carried, seen);
    each(((TreeNode) node).innerChildren(), direct, carried, seen);
    if (node instanceof QueryPlan) each(((QueryPlan) node).subqueries(), direct, carried, seen);
    // Commands keep their query as a plain field: the plan itself, an option of it, or a DataFrame.
    if (node instanceof Command) for (scala.collection.Iterator it = ((scala.Product) node).productIterator(); it.hasNext();) field(it.next(), direct, carried, seen);
  }
  /** The ids of the RDDs that a plan reads. */
  private static void rdds(LogicalPlan p, Set out) {
    if (p instanceof LogicalRDD) out.add(Integer.valueOf(((LogicalRDD) p).rdd().id()));
    for (int i = 0; i < p.children().size(); i++) rdds((LogicalPlan) p.children().apply(i), out);
  }
  /** In a cached plan `id = id` is folded away: there an observed check is known by its observation. */
  private void observation(String name, Set out) {
    for (Iterator it = watched.keySet().iterator(); it.hasNext();) { Object id = it.next(); if (name.equals("spark_pd_" + id)) out.add(id); }
  }
  private void field(Object o, Set direct, Set carried, IdentityHashMap seen) {
    if (o instanceof scala.Option) { if (((scala.Option) o).isDefined()) field(((scala.Option) o).get(), direct, carried, seen); return; }
    if (o instanceof LogicalPlan) { find(o, direct, carried, seen); return; }
    if (o == null || !o.getClass().getName().endsWith(".Dataset")) return;   // sql.Dataset or sql.classic.Dataset, by the version
    try { find(((QueryExecution) o.getClass().getMethod("queryExecution", new Class[0]).invoke(o, new Object[0])).analyzed(), direct, carried, seen); } catch (Exception e) { }
  }
  private void each(scala.collection.Seq nodes, Set direct, Set carried, IdentityHashMap seen) {
    for (int i = 0; i < nodes.size(); i++) find(nodes.apply(i), direct, carried, seen);
  }
  private void conjuncts(Expression e, Set out) {
    if (e instanceof And) { conjuncts(((And) e).left(), out); conjuncts(((And) e).right(), out); return; }
    if (!(e instanceof EqualTo) || !(((EqualTo) e).right() instanceof Literal)) return;
    Object v = ((Literal) ((EqualTo) e).right()).value();
    if (v != null && watched.containsKey(v)) out.add(v);
  }
}
