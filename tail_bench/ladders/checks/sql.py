"""Checks of an SQL query: run on in-memory SQLite in a child process with limits, its rows compared."""

from __future__ import annotations

import math
import re
from typing import Any

from tail_bench.ladders.checks import Verdict, sandbox


def rows(
    text: str,
    schema: list[str],
    tables: dict[str, list[list[Any]]],
    rows: list[list[Any]],
    ordered: bool = True,
    columns: list[str] | None = None,
    cpu_seconds: int = 5,
) -> Verdict:
    """Whether the response's query gives these rows.

    `schema` makes the tables, `tables` fills them. Numbers agree to 1e-6, also where the query formats them
    as text ("5.00"). `columns`, where given, are the names that the result must have, in any case.
    """
    query = _query(text)
    if query is None:
        return Verdict(False, "no query in the response")
    payload = {"schema": schema, "tables": tables, "query": query}
    outcome = sandbox.run(_run_query, payload, cpu_seconds=cpu_seconds)
    if outcome.error is not None:
        return Verdict(False, outcome.error)
    names, got = outcome.result["columns"], outcome.result["rows"]
    if columns is not None and [n.lower() for n in names] != [c.lower() for c in columns]:
        return Verdict(False, f"columns {names}, should be {columns}")
    if not (_equal(rows, got) if ordered else _equal_unordered(rows, got)):
        return Verdict(False, f"rows {str(got)[:300]}, should be {rows}")
    return Verdict(True, f"the {len(rows)} rows expected")


def _query(text: str) -> str | None:
    """The last code block that is a query; a text without a fence counts as a whole."""
    blocks = [b.code for b in sandbox.code_blocks(text)] or [text]
    # Possessive and atomic: comments can be read in one way only, so no text makes this slow.
    starts = re.compile(r"(?>\s|--[^\n]*+|/\*.*?\*/)*+\(?(?:SELECT|WITH|VALUES)\b", re.I | re.S)
    return next((b for b in reversed(blocks) if starts.match(b)), None)


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, int | float) and isinstance(got, str):
        try:
            got = float(got)
        except ValueError:
            return False
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-6)
    return type(expected) is type(got) and bool(expected == got)


def _same_row(expected: list[Any], got: list[Any]) -> bool:
    return len(expected) == len(got) and all(map(_same, expected, got))


def _equal(expected: list[list[Any]], got: list[list[Any]]) -> bool:
    return len(expected) == len(got) and all(map(_same_row, expected, got))


def _equal_unordered(expected: list[list[Any]], got: list[list[Any]]) -> bool:
    left = list(got)
    for row in expected:
        match = next((i for i, other in enumerate(left) if _same_row(row, other)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _run_query(payload: dict[str, Any]) -> dict[str, Any]:
    """Runs in the child: make the tables, then the one query, which may read and nothing else."""
    import sqlite3

    most_rows = 1000
    db = sqlite3.connect(":memory:")
    for statement in payload["schema"]:
        db.execute(statement)
    for table, content in payload["tables"].items():
        for row in content:
            db.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
    db.commit()
    db.execute("PRAGMA temp_store = MEMORY")
    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_FUNCTION)

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        fine = action in reading and (second or "").lower() not in ("load_extension", "fts3_tokenizer")
        return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

    db.set_authorizer(authorize)
    cursor = db.execute(payload["query"])
    found = [[repr(v) if isinstance(v, bytes) else v for v in row] for row in cursor.fetchmany(most_rows)]
    if cursor.fetchone() is not None:
        raise ValueError(f"more than {most_rows} rows")
    return {"columns": [d[0] for d in cursor.description], "rows": found}
