"""Evaluates expressions with DuckDB.

Reads {"columns": {name: SQL type}, "rows": [[value, ...], ...], "expressions": [text, ...]} from standard
input; writes one list of values, in row order, for each expression.

The language is a subset of DuckDB's SQL but for a few names (the macros below), decimal literals, which
are made doubles, and division by zero, which gives null in both with the settings below.
"""
import json
import re
import sys

import duckdb

MACROS = """
create macro bytes(s) as strlen(s);
create macro matches(s, pattern) as regexp_matches(s, pattern);
create macro number(x) as try_cast(trim(cast(x as varchar)) as double);
create macro string(x) as cast(x as varchar);
create macro json_value(j, path) as json_extract_string(j, '$.' || path);
create macro words(s) as len(list_filter(string_split_regex(s, '\\s+'), lambda w: w <> ''));
create macro lines(s) as len(string_split(s, chr(10))) - (case when s = '' or suffix(s, chr(10)) then 1 else 0 end);
"""

# A text, or a number with a point.
TOKEN = re.compile(r"'(?:[^']|'')*'|\d+\.\d+(?:e[+-]?\d+)?")


def to_sql(expression: str) -> str:
    def double(match: re.Match[str]) -> str:
        token = match.group()
        return token if token.startswith("'") or "e" in token else token + "e0"

    return TOKEN.sub(double, expression)


def main() -> None:
    request = json.load(sys.stdin)
    connection = duckdb.connect()
    connection.execute("set ieee_floating_point_ops = false")
    connection.execute("set error_on_division_by_zero = false")
    connection.execute(MACROS)
    columns = request["columns"]
    declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    connection.execute(f"create table t (__row integer, {declared})")
    marks = ", ".join("?" * (len(columns) + 1))
    for index, row in enumerate(request["rows"]):
        connection.execute(f"insert into t values ({marks})", [index, *row])
    answers = []
    for expression in request["expressions"]:
        try:
            query = f"select ({to_sql(expression)}) from t order by __row"
            answers.append([row[0] for row in connection.execute(query).fetchall()])
        except duckdb.Error as error:
            answers.append({"error": f"{expression}: {error}"})
    json.dump(answers, sys.stdout, default=float)


main()
