"""The columns of the stats table. The first 22 are spark-expectations', with its names and types (2.10.1, docs/configurations)."""

from __future__ import annotations

from spark_pd.spark.tables import TableColumn

MAPS = "array<map<string,string>>"
_RULE = (
    "array<struct<name:string,rule_type:string,column_name:string,action_if_failed:string,status:string,failed_count:bigint,"
    "failed_percentage:double,observed:string,judged_on:string,tag:string,description:string,priority:string>>"
)
_DELIVERY = (
    "array<struct<trigger:string,state:string,severity:string,dedup_key:string,channel:string,status:string,reason:string,"
    "status_code:int,attempts:int>>"
)

THEIRS = (
    TableColumn("product_id", "string", "The data product."),
    TableColumn("table_name", "string", "The table, as the run was given it."),
    TableColumn("input_count", "bigint", "Rows that were checked. NULL: not known, as in every column."),
    TableColumn("error_count", "bigint", "Rows that fail at least one row rule."),
    TableColumn("output_count", "bigint", "Rows that were written."),
    TableColumn("output_percentage", "float", "output_count of input_count, in percent, rounded to 2."),
    TableColumn("success_percentage", "float", "Rows without any failed row rule, in percent."),
    TableColumn("error_percentage", "float", "error_count of input_count, in percent."),
    TableColumn("source_agg_dq_results", MAPS, "The agg_dq rules that were judged on the source."),
    TableColumn("final_agg_dq_results", MAPS, "The agg_dq rules that were judged on the target."),
    TableColumn("source_query_dq_results", MAPS, "The query_dq rules."),
    TableColumn("final_query_dq_results", MAPS, "Always NULL: a query is judged once."),
    TableColumn("row_dq_res_summary", MAPS, "The row_dq rules, each with its failed_row_count."),
    TableColumn("row_dq_error_threshold", MAPS, "The row_dq rules whose own error_drop_threshold was reached."),
    TableColumn("dq_status", "map<string,string>", "Passed, Failed or Unknown, of the run and of each kind of rule that it had."),
    TableColumn("dq_run_time", "map<string,float>", "run_time: seconds from the run's start to its end."),
    TableColumn("dq_rules", "map<string,map<string,int>>", "How many rules the run had, by kind."),
    TableColumn("meta_dq_run_id", "string", "The run's id."),
    TableColumn("meta_dq_run_date", "date", "The day on which the run started, in UTC."),
    TableColumn("meta_dq_run_datetime", "timestamp", "When the run started."),
    TableColumn("dq_env", "string", "spark.pd.environment."),
    TableColumn("se_job_metadata", "string", "spark.expectations.job.metadata."),
)
OURS = (
    TableColumn("status", "string", "passed, failed, errored, cancelled or unknown."),
    TableColumn("exact", "boolean", "Whether the counts are known to describe what was written."),
    TableColumn("counting", "string", "How the rows were counted: operator, observation or two_pass. NULL: nothing was checked."),
    TableColumn("unknown_because", "string", "Why the counts are not known."),
    TableColumn("dropped_count", "bigint", "Rows that a drop rule removed."),
    TableColumn("error_drop_percentage", "float", "dropped_count of input_count, in percent, rounded to 2."),
    TableColumn("started_at", "timestamp", "When the run started."),
    TableColumn("ended_at", "timestamp", "When the run had its verdict."),
    TableColumn("subject", "string", "What the incidents of the run are about: their dedup keys without the trigger."),
    TableColumn("scope", "string", "The part of the table that the run was about."),
    TableColumn("job", "string", "The job that the run was given."),
    TableColumn("application", "string", "The application's name."),
    TableColumn("application_id", "string", "The application's id."),
    TableColumn("rules_source", "string", "Where the rules are from."),
    TableColumn("failure", "string", "The exception that left the block: its class and its scrubbed message."),
    TableColumn("failure_class", "string", "The class of that exception in Python."),
    TableColumn("rules", _RULE, "What became of each rule, with what it is. Texts in observed may be values of rows."),
    TableColumn("decisions", "array<struct<trigger:string,outcome:string,reason:string>>", "What each trigger concluded, and why."),
    TableColumn("deliveries", _DELIVERY, "What became of each alert, and why."),
)
COLUMNS: tuple[TableColumn, ...] = (*THEIRS, *OURS)
