// Whether the application's end came before an event of the streaming listeners. It is on their own queue ("streams"), which keeps the order
// in which events were posted: a query that a stopped session ended was terminated behind the application's end, one that failed by itself
// before it. Compiled in the running driver like spark_pd/spark/executions.java.
package spark_pd;

import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.*;

public class ApplicationEnd extends SparkListener {
  private final SparkContext context;
  private volatile boolean came = false;

  public ApplicationEnd(SparkContext context) { this.context = context; context.listenerBus().addToQueue(this, "streams"); }
  public void remove() { context.listenerBus().removeListener(this); }
  public boolean came() { return came; }
  public void onApplicationEnd(SparkListenerApplicationEnd end) { came = true; }
}
