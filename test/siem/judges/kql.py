"""
Translates the KQL on standard input into SQL for DuckDB. The first argument is the schema of its tables in JSON. The
translator has no prev(), which is lag() in the order that its operand was sorted in: the second argument.
"""
import json
import re
import sys

import duckdb_kql

text = re.sub(r"prev\((\w+)\)", r"prev_\1", sys.stdin.read())
sql = duckdb_kql.to_sql(text, schema=json.loads(sys.argv[1]))
print(re.sub(r'"prev_(\w+)"', rf'lag("\1") over (order by {sys.argv[2]})', sql))
