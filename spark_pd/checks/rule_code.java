// The generated code of the rules of one mask word: part of operator.java, compiled with it.
//
// A rule comes as if(try_multiply(if(guarded rule, 1 month, 0 months), 2) > 0 months, 0, bit), see row_plan.py. An exception inside is a failed
// row of that rule. Here the rule alone is generated, and the exception is caught and counted in the method that the rule is in.

class RuleCode {
  // HotSpot compiles no method of more than 8,000 bytes of bytecode, and inlines little of a long one: with all rules in one method 60 rules
  // take 15 times as long as 30. Eight rules fit easily.
  static final int GROUP = 8;
  static final int MAX_SLOTS = 250;                                         // the JVM allows 255 for a method's parameters

  private final CodegenContext ctx;
  private final @SEQ@ input, columns;
  private final String tally, mask;
  private final int first;                                                  // the place of the word's first rule among all
  private final Check check;

  RuleCode(CodegenContext ctx, @SEQ@ input, @SEQ@ columns, String tally, int first, String mask, Check check) {
    this.ctx = ctx; this.input = input; this.columns = columns; this.tally = tally; this.first = first; this.mask = mask; this.check = check;
  }

  /** Code that ors the bits of the failed rules into the mask. Rules that Spark interprets need a row made for them, so they stand apart. */
  String of(Expression word) {
    List plain = new ArrayList(), interpreted = new ArrayList();
    terms(word, plain, interpreted);
    StringBuilder b = new StringBuilder();
    for (int g = 0; g < plain.size(); g += GROUP) b.append(group(plain.subList(g, Math.min(g + GROUP, plain.size()))));
    for (int g = 0; g < interpreted.size(); g += GROUP) b.append(group(interpreted.subList(g, Math.min(g + GROUP, interpreted.size()))));
    return b.toString();
  }

  private static void terms(Expression e, List plain, List interpreted) {
    if (e instanceof BitwiseOr) { terms(((BitwiseOr) e).left(), plain, interpreted); terms(((BitwiseOr) e).right(), plain, interpreted); }
    else if (interpreted(e)) interpreted.add(e); else plain.add(e);
  }
  private static void ordinals(Expression e, TreeSet out) {
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

  /** The bit of a term whose rule can be had alone; 0 for what the optimizer made another expression of. */
  private static long bit(Expression term) {
    if (!(term instanceof If)) return 0L;
    Expression holds = ((If) term).trueValue(), fails = ((If) term).falseValue(), p = ((If) term).predicate();
    if (!(holds instanceof Literal) || !(fails instanceof Literal) || !Long.valueOf(0L).equals(((Literal) holds).value())) return 0L;
    if (!(p instanceof GreaterThan) || !(((GreaterThan) p).left() instanceof TryEval)) return 0L;
    Expression product = ((TryEval) ((GreaterThan) p).left()).child();
    if (product.children().size() != 2 || !(product.children().apply(0) instanceof If)) return 0L;
    If months = (If) product.children().apply(0);
    return Integer.valueOf(1).equals(value(months.trueValue())) && Integer.valueOf(0).equals(value(months.falseValue())) ? ((Long) ((Literal) fails).value()).longValue() : 0L;
  }
  private static Object value(Expression e) { return e instanceof Literal ? ((Literal) e).value() : null; }
  /** The rule of such a term, without its guard. */
  private static Expression rule(Expression term) {
    Expression product = ((TryEval) ((GreaterThan) ((If) term).predicate()).left()).child(), rule = ((If) product.children().apply(0)).predicate();
    if (guard(rule)) return Literal$.MODULE$.TrueLiteral();
    if (rule instanceof If && guard(((If) rule).predicate())) return ((If) rule).trueValue();
    if (rule instanceof And && guard(((And) rule).left())) return ((And) rule).right();
    return rule;
  }
  private static boolean guard(Expression e) { return e instanceof GreaterThanOrEqual && ((GreaterThanOrEqual) e).left() instanceof SparkPartitionID; }
  private static boolean tries(Expression e) {
    if (e instanceof TryEval) return true;
    for (int i = 0; i < e.children().size(); i++) if (tries((Expression) e.children().apply(i))) return true;
    return false;
  }

  /** Code of some terms, in a private method whose arguments are the columns that they read. */
  private String group(List terms) {
    List rules = new ArrayList(), bounds = new ArrayList();
    TreeSet used = new TreeSet();
    for (int i = 0; i < terms.size(); i++) {
      Expression term = (Expression) terms.get(i), rule = bit(term) == 0L ? term : rule(term), bound = bind(rule, columns);
      if (bit(term) == 0L && tries(term)) check.errorsUnknown = true;
      rules.add(rule); bounds.add(bound);
      ordinals(bound, used);
    }
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
    if (slots > MAX_SLOTS && terms.size() > 1) {
      int half = terms.size() / 2;
      return group(terms.subList(0, half)) + group(terms.subList(half, terms.size()));
    }
    if (slots > MAX_SLOTS) return evaluate(terms, rules, bounds, used, input, mask);   // one rule over so many columns: no method can take them
    String f = ctx.freshName("sparkPdRules");
    String code = evaluate(terms, rules, bounds, used, Check.seq(vars), "mask");
    String method = ctx.addNewFunction(f, "private long " + f + "(" + params + ") throws java.io.IOException {\nlong mask = 0L;\n" + code + "\nreturn mask;\n}\n", false);
    return mask + " |= " + method + "(" + args + ");\n";
  }

  /** Statements that or the bits of some terms into a variable. */
  private String evaluate(List terms, List rules, List bounds, TreeSet used, @SEQ@ vars, String into) {
    @SEQ@ oldVars = ctx.currentVars();
    String oldRow = ctx.INPUT_ROW();
    ctx.currentVars_$eq(vars);
    StringBuilder b = new StringBuilder();
    if (interpreted((Expression) terms.get(0))) {                           // such as exists(items, x -> x > 0): evaluated by Spark on a row, so make one
      List refs = new ArrayList(), attributes = new ArrayList();
      for (Iterator it = used.iterator(); it.hasNext();) { Attribute a = (Attribute) columns.apply(((Integer) it.next()).intValue()); attributes.add(a); refs.add(bind(a, columns)); }
      ExprCode row = GenerateUnsafeProjection$.MODULE$.createCode(ctx, Check.seq(refs), false);
      String name = ctx.freshName("sparkPdRow");                            // Spark uses INPUT_ROW as a parameter's name too
      b.append(row.code().toString() + "\nInternalRow " + name + " = " + row.value().toString() + ";\n");
      ctx.currentVars_$eq(null);
      ctx.INPUT_ROW_$eq(name);
      for (int i = 0; i < rules.size(); i++) bounds.set(i, bind((Expression) rules.get(i), Check.seq(attributes)));
    }
    for (int i = 0; i < terms.size(); i++) {
      long bit = bit((Expression) terms.get(i));
      ExprCode code = ((Expression) bounds.get(i)).genCode(ctx);
      if (bit == 0L) { b.append(code.code().toString() + "\n" + into + " |= " + code.value().toString() + ";\n"); continue; }
      String holds = ctx.freshName("sparkPdHolds"), error = ctx.freshName("sparkPdError");
      b.append("boolean " + holds + " = false;\ntry {\n" + code.code().toString() + "\n" + holds + " = !(" + code.isNull().toString() + ") && " + code.value().toString() + ";\n"
        + "} catch (Exception " + error + ") { " + tally + ".error(" + (first + Long.numberOfTrailingZeros(bit)) + "); }\n"
        + "if (!" + holds + ") " + into + " |= " + bit + "L;\n");
    }
    ctx.currentVars_$eq(oldVars);
    ctx.INPUT_ROW_$eq(oldRow);
    return b.toString();
  }
}
