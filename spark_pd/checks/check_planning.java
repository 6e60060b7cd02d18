// How a check's filter is planned: part of operator.java, compiled with it.

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
