// A column that is true in the first row of each partition, of Spark's own expressions and a class of the JDK: executors need nothing of ours. Streams
// refuse monotonically_increasing_id, and give each rand() another seed in each batch.
//
// A task gets the AtomicInteger as it is here, as any literal; in the task it keeps the partition of the row before. Compiled in the running driver
// like spark_pd/spark/executions.java.
package spark_pd;

import java.util.concurrent.atomic.AtomicInteger;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.expressions.*;
import org.apache.spark.sql.catalyst.expressions.objects.Invoke;
import org.apache.spark.sql.types.*;

public class PartitionStarts {
  public PartitionStarts() {}
  public Column column() throws Exception {
    Expression before = new Literal(new AtomicInteger(-1), new ObjectType(AtomicInteger.class));
    scala.collection.immutable.List none = scala.collection.immutable.List$.MODULE$.empty();
    Expression swapped = new Invoke(before, "getAndSet", DataTypes.IntegerType, none.$colon$colon(new SparkPartitionID()), none, false, false, false);
    Expression first = new Not(new EqualTo(swapped, new SparkPartitionID()));
    try { return (Column) Class.forName("org.apache.spark.sql.classic.ExpressionUtils").getMethod("column", new Class[] { Expression.class }).invoke(null, new Object[] { first }); }
    catch (ClassNotFoundException e) { return (Column) Column.class.getConstructor(new Class[] { Expression.class }).newInstance(new Object[] { first }); }
  }
}
