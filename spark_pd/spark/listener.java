// What Spark did for each run: its tasks counted, and the rare events, job failed, stage retried, executor lost, kept in order.
//
// A listener on a queue of its own. Everything is counted here, in the JVM; Python asks once, at a run's end, and a thread of its waits for the
// rare events in take(). Compiled in the running driver like spark_pd/checks/operator.java: no lambdas, raw generics.
//
// A fact belongs to the run that the local property spark_pd.run names: Spark gives it with each job and stage. A job without it is nobody's, and one
// with the name of a run that is not open here is another's: of another Python process on this JVM, or of a run that has its verdict.
package spark_pd;

import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicBoolean;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.spark.*;
import org.apache.spark.executor.TaskMetrics;
import org.apache.spark.scheduler.*;

public class Listener extends SparkListener {
  private static final String QUEUE = "spark_pd_lifecycle", RUN = "spark_pd.run", END = "";
  private static final int MOST = 1000;                                      // events kept of one run, and of nobody: a storm of them fills no driver
  private static final int WORDS = 4000;                                     // characters kept of a cause: the message stands before its stack trace
  private static final long DESERTED = 15L * 60 * 1000000000L;               // ns without a sign of our Python process, which looks in every second
  private static final int JOBS = 0, TASKS = 1, FAILED = 2, RETRIED = 3, READ = 4, READ_BYTES = 5, WRITTEN = 6, WRITTEN_BYTES = 7, SPILLED = 8, GC = 9;
  private static final String[] NAMES = { "jobs", "tasks", "failed_tasks", "retried_stages", "records_read", "bytes_read", "records_written", "bytes_written", "spilled_bytes", "gc_ms" };

  /** What is known of one open run. */
  static class Facts {
    final String run;
    final long[] count = new long[NAMES.length];
    final List events = new ArrayList();
    final Set stages = new HashSet(), done = new HashSet(), open = new HashSet(), lost = new HashSet();   // ids: stages under way and completed, open jobs, executors
    final Map causes = new HashMap();                                        // "stage 3" or "shuffle 1" -> why it has to be made again
    final long since, added, removed, dropped;                               // the application's counters as the run began
    long omitted = 0L;
    boolean gap = false;
    Facts(String run, long since, long added, long removed, long dropped) { this.run = run; this.since = since; this.added = added; this.removed = removed; this.dropped = dropped; }
  }
  private static final Object OTHERS = new Object();                         // in `stages`: a run's that is not open here

  /** Goes through our queue behind all that was posted before it. */
  static class Mark implements SparkListenerEvent {
    final CountDownLatch seen = new CountDownLatch(1);
    public boolean logEvent() { return false; }
  }

  private final SparkContext context;
  private final boolean releases;                                            // dynamic allocation: an executor that goes is no loss, unless tasks die with it
  private final LinkedBlockingQueue news = new LinkedBlockingQueue(10 * MOST);
  private final Map runs = new HashMap(), jobs = new HashMap(), stages = new HashMap();
  private final LinkedList nobodys = new LinkedList();                       // Object[]{sequence, event}, while a run is open
  private final Set claimed = new HashSet();                                 // executors whose loss some run's tasks have felt
  private long sequence = 0L, added = 0L, removed = 0L;
  private boolean retired = false, ended = false;
  private final AtomicBoolean attached = new AtomicBoolean();
  private volatile long sign = System.nanoTime();

  public Listener(SparkContext context) {
    this.context = context;
    this.releases = context.executorAllocationManager().isDefined();
    attach();
  }
  // Neither holds our lock: the bus waits for the queue's thread, which may be waiting for it.
  private void attach() { if (attached.compareAndSet(false, true)) context.listenerBus().addToQueue(this, QUEUE); }
  private void detach() {
    if (!attached.compareAndSet(true, false)) return;
    synchronized (this) { for (Iterator it = runs.values().iterator(); it.hasNext();) ((Facts) it.next()).gap = true; }
    context.listenerBus().removeListener(this);
  }

  // ---- what Python asks, in threads of its own -------------------------------------------------------------------------------------

  /** A run begins in this thread: what is started from here on is its. Gives what the property was before, for `leave`. */
  public String begin(String run) {
    sign = System.nanoTime();
    attach();
    synchronized (this) { runs.put(run, new Facts(run, sequence, added, removed, dropped())); }
    String before = context.getLocalProperty(RUN);
    context.setLocalProperty(RUN, run);
    return before;
  }
  /** Puts this thread's property back. */
  public void restore(String before) { context.setLocalProperty(RUN, before); }

  /** Forgets a run. What its threads still do is reported to nobody. */
  public void forget(String run) {
    synchronized (this) {
      Facts facts = (Facts) runs.remove(run);
      if (facts != null) {
        for (Iterator it = facts.stages.iterator(); it.hasNext();) { Object id = it.next(); if (stages.get(id) == facts) stages.put(id, OTHERS); }
        for (Iterator it = facts.done.iterator(); it.hasNext();) { Object id = it.next(); if (stages.get(id) == facts) stages.remove(id); }
      }
      if (!runs.isEmpty()) return;
      stages.clear(); nobodys.clear();
      if (!retired) return;
    }
    end();
  }

  /** Takes the listener off its context, as soon as no run is open. */
  public void retire() {
    synchronized (this) { retired = true; if (!runs.isEmpty()) return; }
    end();
  }
  private void end() { detach(); noMore(); }
  private void noMore() { while (!news.offer(END)) news.poll(); }

  /** The next rare event, as JSON; null where none comes within so many ms, and "" where no more will come. */
  public String take(long millis) throws Exception {
    sign = System.nanoTime();
    Object next = news.poll(millis, TimeUnit.MILLISECONDS);
    if (next == END) noMore();
    return (String) next;
  }

  /** All that is known of a run, as JSON. Waits until every event of it that was posted has been seen, at most so many ms. */
  public String snapshot(String run, long millis) throws Exception {
    long until = System.currentTimeMillis() + millis;
    sign = System.nanoTime();
    Mark mark = new Mark();
    boolean seen = !post(mark) || mark.seen.await(millis, TimeUnit.MILLISECONDS);
    synchronized (this) {
      Facts facts = (Facts) runs.get(run);
      if (facts == null) return null;
      // A job's waiter is woken before its end is posted: what the scheduler has forgotten is about to be.
      int running = running(facts);
      while (seen && facts.open.size() > running && System.currentTimeMillis() < until) { wait(Math.max(1L, Math.min(20L, until - System.currentTimeMillis()))); running = running(facts); }
      List why = new ArrayList();
      if (!seen || facts.open.size() > running) why.add("the listener had not seen every event " + millis + " ms after the run's end");
      if (running > 0) why.add(running + (running == 1 ? " job" : " jobs") + " of the run had not ended");
      if (facts.gap) why.add("the listener was off for a while");
      long lost = dropped() - facts.dropped;
      if (lost > 0L) why.add("Spark dropped " + lost + " events");
      if (facts.omitted > 0L) why.add(facts.omitted + " more events were not kept");
      Map counts = new LinkedHashMap();
      for (int i = 0; i < NAMES.length; i++) counts.put(NAMES[i], Long.valueOf(facts.count[i]));
      counts.put("executors_added", Long.valueOf(added - facts.added));
      counts.put("executors_removed", Long.valueOf(removed - facts.removed));
      List others = new ArrayList();
      for (Iterator it = nobodys.iterator(); it.hasNext();) { Object[] each = (Object[]) it.next(); if (((Long) each[0]).longValue() > facts.since) others.add(each[1]); }
      Map all = new LinkedHashMap();
      all.put("activity", counts); all.put("events", facts.events); all.put("unattributed", others); all.put("incomplete", why);
      return json(all);
    }
  }

  // ---- what Spark tells, in the queue's thread --------------------------------------------------------------------------------------

  public void onJobStart(SparkListenerJobStart e) {
    if (System.nanoTime() - sign > DESERTED) detach();                       // our process is gone, and the JVM is others' as well
    else started(e);
  }
  private synchronized void started(SparkListenerJobStart e) {
    Integer id = Integer.valueOf(e.jobId());
    Properties p = e.properties();
    String site = property(p, "callSite.short");
    if (site == null && !e.stageInfos().isEmpty()) site = ((StageInfo) e.stageInfos().last()).name();
    jobs.put(id, new String[] { property(p, RUN), property(p, "spark.sql.execution.id"), property(p, "spark.jobGroup.id"), site });
    Facts facts = (Facts) runs.get(property(p, RUN));
    if (facts != null) { facts.count[JOBS]++; facts.open.add(id); }
  }

  public synchronized void onJobEnd(SparkListenerJobEnd e) {
    Integer id = Integer.valueOf(e.jobId());
    String[] job = (String[]) jobs.remove(id);
    Facts facts = job == null ? null : (Facts) runs.get(job[0]);
    if (e.jobResult() instanceof JobFailed && !ended) {
      Exception error = ((JobFailed) e.jobResult()).exception();
      if (!cancelled(error) && (facts != null || job == null || job[0] == null)) {
        Map event = event("job_failed", e.time(), cause(error), job);
        event.put("job_id", id);
        tell(facts, event);
      }
    }
    if (facts != null) { facts.open.remove(id); notifyAll(); }
  }

  public synchronized void onStageSubmitted(SparkListenerStageSubmitted e) {
    StageInfo stage = e.stageInfo();
    Integer id = Integer.valueOf(stage.stageId());
    String run = property(e.properties(), RUN);
    Facts facts = (Facts) runs.get(run);
    if (facts != null) { stages.put(id, facts); facts.stages.add(id); facts.done.remove(id); }
    else if (run != null && !runs.isEmpty()) stages.put(id, OTHERS);
    else stages.remove(id);                                                  // it was perhaps another job's the last time
    if (stage.attemptNumber() == 0 || run != null && facts == null) return;
    if (facts != null) facts.count[RETRIED]++;
    Object why = facts == null ? null : facts.causes.get("stage " + id);
    if (why == null && facts != null && stage.shuffleDepId().isDefined()) why = facts.causes.get("shuffle " + stage.shuffleDepId().get());
    Properties p = e.properties();
    Map event = event("stage_retried", stage.submissionTime().isDefined() ? ((Long) stage.submissionTime().get()).longValue() : System.currentTimeMillis(), (String) why,
      new String[] { run, property(p, "spark.sql.execution.id"), property(p, "spark.jobGroup.id"), stage.name() });
    event.put("stage_id", id);
    event.put("attempt", Integer.valueOf(stage.attemptNumber()));
    tell(facts, event);
  }

  public synchronized void onStageCompleted(SparkListenerStageCompleted e) {
    Integer id = Integer.valueOf(e.stageInfo().stageId());
    Object owner = stages.get(id);
    if (owner == OTHERS) stages.remove(id);
    if (!(owner instanceof Facts)) return;
    Facts facts = (Facts) owner;
    facts.stages.remove(id); facts.done.add(id);                             // its last tasks may still come
    if (e.stageInfo().failureReason().isDefined()) because(facts, "stage " + id, (String) e.stageInfo().failureReason().get());
  }

  public synchronized void onTaskEnd(SparkListenerTaskEnd e) {
    Object owner = stages.get(Integer.valueOf(e.stageId()));
    if (owner == null) return;
    TaskEndReason reason = e.reason();
    if (reason instanceof ExecutorLostFailure) lost(owner, (ExecutorLostFailure) reason, e);
    if (owner == OTHERS || reason == Resubmitted$.MODULE$) return;           // what is resubmitted had ended well, and was counted
    Facts facts = (Facts) owner;
    long[] count = facts.count;
    count[TASKS]++;
    boolean good = !(reason instanceof TaskFailedReason);
    if (!good && !(reason instanceof TaskKilled) && !(reason instanceof TaskCommitDenied)) count[FAILED]++;
    if (reason instanceof FetchFailed) because(facts, "shuffle " + ((FetchFailed) reason).shuffleId(), ((FetchFailed) reason).message());
    TaskMetrics m = e.taskMetrics();
    if (m == null) return;
    count[SPILLED] += m.diskBytesSpilled(); count[GC] += m.jvmGCTime();
    if (!good) return;                                                       // another attempt reads and writes the same
    count[READ] += m.inputMetrics().recordsRead(); count[READ_BYTES] += m.inputMetrics().bytesRead();
    count[WRITTEN] += m.outputMetrics().recordsWritten(); count[WRITTEN_BYTES] += m.outputMetrics().bytesWritten();
  }

  public synchronized void onExecutorAdded(SparkListenerExecutorAdded e) { added++; }

  public synchronized void onExecutorRemoved(SparkListenerExecutorRemoved e) {
    removed++;
    if (ended || releases || claimed.contains(e.executorId())) return;
    Map event = event("executor_lost", e.time(), e.reason(), null);
    event.put("executor", e.executorId());
    tell(null, event);
  }

  public synchronized void onApplicationEnd(SparkListenerApplicationEnd e) { ended = true; noMore(); }

  public void onOtherEvent(SparkListenerEvent e) { if (e instanceof Mark) ((Mark) e).seen.countDown(); }

  // ---- ------------------------------------------------------------------------------------------------------------------------------

  /** A task died with its executor, so its run has lost it: once for each run, however many tasks. */
  private void lost(Object owner, ExecutorLostFailure reason, SparkListenerTaskEnd e) {
    String executor = reason.execId();
    claimed.add(executor);
    for (Iterator it = nobodys.iterator(); it.hasNext();) if (executor.equals(((Map) ((Object[]) it.next())[1]).get("executor"))) it.remove();
    if (owner == OTHERS || !((Facts) owner).lost.add(executor)) return;
    Map event = event("executor_lost", e.taskInfo().finishTime(), reason.reason().isDefined() ? (String) reason.reason().get() : null, null);
    event.put("executor", executor);
    event.put("stage_id", Integer.valueOf(e.stageId()));
    tell((Facts) owner, event);
  }

  private static Map event(String kind, long at, String cause, String[] job) {
    Map event = new LinkedHashMap();
    event.put("kind", kind);
    event.put("at", Long.valueOf(at));
    if (cause != null) event.put("cause", cause.length() > WORDS ? cause.substring(0, WORDS) : cause);
    if (job == null) return event;
    if (job[1] != null) event.put("execution_id", Long.valueOf(job[1]));
    if (job[2] != null) event.put("job_group", job[2]);
    if (job[3] != null) event.put("call_site", job[3]);
    return event;
  }

  private void tell(Facts facts, Map event) {
    if (facts == null && runs.isEmpty()) return;                             // nobody's, and nobody asks
    if (facts == null) {
      nobodys.add(new Object[] { Long.valueOf(++sequence), event });
      if (nobodys.size() > MOST) nobodys.removeFirst();
    } else {
      event.put("run_id", facts.run);
      if (facts.events.size() < MOST) facts.events.add(event); else facts.omitted++;
    }
    news.offer(json(event));                                                 // full: nobody listens, and the snapshot has it
  }

  private static void because(Facts facts, String what, String why) {
    if (facts.causes.size() < MOST) facts.causes.put(what, why.length() > WORDS ? why.substring(0, WORDS) : why);
  }

  private static String property(Properties p, String name) { return p == null ? null : p.getProperty(name); }

  /** By the class of error that Spark gives it; 3.5 gives none, but makes it where jobs are cancelled and nowhere else. */
  private static boolean cancelled(Exception error) {
    if (error instanceof SparkThrowable && "SPARK_JOB_CANCELLED".equals(((SparkThrowable) error).getErrorClass())) return true;
    StackTraceElement[] frames = error.getStackTrace();
    for (int i = 0; i < frames.length && i < 3; i++)
      if (frames[i].getMethodName().endsWith("handleJobCancellation") && frames[i].getClassName().equals("org.apache.spark.scheduler.DAGScheduler")) return true;
    return false;
  }

  /** What lies at the bottom of it. */
  private static String cause(Throwable error) {
    for (int depth = 0; depth < 20 && error.getCause() != null && error.getCause() != error; depth++) error = error.getCause();
    return error.toString();
  }

  /** How many of a run's open jobs the scheduler still works on. */
  private int running(Facts facts) {
    int count = 0;
    for (Iterator it = facts.open.iterator(); it.hasNext();) if (context.dagScheduler() != null && context.dagScheduler().jobIdToActiveJob().contains(it.next())) count++;
    return count;
  }

  /** Puts an event behind all others of our queue; false where there is no queue any more, since its context has ended. */
  private boolean post(SparkListenerEvent event) throws Exception {
    java.lang.reflect.Field f = LiveListenerBus.class.getDeclaredField("queues");
    f.setAccessible(true);
    for (Iterator it = ((List) f.get(context.listenerBus())).iterator(); it.hasNext();) {
      Object queue = it.next();
      if (!QUEUE.equals(queue.getClass().getMethod("name", new Class[0]).invoke(queue, new Object[0]))) continue;
      queue.getClass().getMethod("post", new Class[] { SparkListenerEvent.class }).invoke(queue, new Object[] { event });
      return true;
    }
    return false;
  }

  /** How many events our queue has refused so far, of whichever listener on it. */
  private long dropped() { return context.listenerBus().metrics().metricRegistry().counter("queue." + QUEUE + ".numDroppedEvents").getCount(); }

  private static final ObjectMapper JSON = new ObjectMapper();
  private static String json(Object value) {
    try { return JSON.writeValueAsString(value); } catch (Exception e) { throw new RuntimeException(e); }
  }
}
