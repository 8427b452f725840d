import time

import pytest

from tail_bench.ladders.checks import sql

SCHEMA = ["CREATE TABLE stock (item TEXT, place TEXT, kg REAL)"]
TABLES = {"stock": [["rye", "A", 2.5], ["oats", "B", None], ["rye", "B", 1.25], ["corn", None, 3]]}
ROWS = [["rye", 3.75], ["corn", 3], ["oats", None]]
RIGHT = "SELECT item, SUM(kg) AS kg FROM stock GROUP BY item ORDER BY kg IS NULL, kg DESC"


def fenced(code, language="sql"):
    return f"Use this:\n\n```{language}\n{code}\n```\n\nDone."


def passes(text, **args):
    return sql.rows(text, **{"schema": SCHEMA, "tables": TABLES, "rows": ROWS, **args}).passed


@pytest.mark.parametrize(
    "text",
    [
        fenced(RIGHT + ";"),
        fenced(RIGHT.lower(), ""),
        fenced("-- total per item\n/* kg */ " + RIGHT, "sqlite"),
        fenced("SELECT 1") + "Better:\n" + fenced(RIGHT) + fenced("rye | 3.75", "text"),
        RIGHT,
        fenced(f"WITH t AS ({RIGHT}) SELECT * FROM t;"),
        fenced("SELECT item, CASE WHEN SUM(kg) IS NOT NULL THEN printf('%.2f', SUM(kg)) END FROM stock "
               "GROUP BY item ORDER BY SUM(kg) DESC NULLS LAST"),
    ],
)  # fmt: skip
def test_right_in_any_form(text):
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sum the weights per item.",
        fenced(RIGHT.replace(" DESC", "")),
        fenced(RIGHT.replace("SUM(kg)", "COALESCE(SUM(kg), 0)")),
        fenced(RIGHT.replace("SUM(kg)", "ROUND(SUM(kg), 1)")),
        fenced(RIGHT.replace("item, SUM", "item, MAX(place), SUM")),
        fenced(RIGHT.replace("FROM stock", "FROM stock WHERE place IS NOT NULL")),
        fenced(RIGHT.replace("stock", "stocks")),
        fenced(RIGHT + "; " + RIGHT),
    ],
)
def test_wrong_in_plausible_form(text):
    assert not passes(text)


def test_order_may_be_free():
    text = fenced(RIGHT.replace(" DESC", ""))
    assert passes(text, ordered=False)
    assert not passes(text, ordered=False, rows=[*ROWS, ROWS[0]])
    assert not passes(text, ordered=False, rows=[ROWS[0], ROWS[0], ROWS[1]])


def test_columns_may_be_named():
    assert passes(fenced(RIGHT), columns=["Item", "KG"])
    assert not passes(fenced(RIGHT), columns=["item", "weight"])


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.db' AS o",
        "PRAGMA table_info(stock)",
        "SELECT * FROM pragma_table_info('stock')",
        "DELETE FROM stock",
        "WITH t AS (SELECT 1) INSERT INTO stock SELECT 'a', 'b', 1",
        "CREATE TABLE t (x)",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
    ],
)
def test_a_query_only_reads(statement):
    verdict = sql.rows(fenced(statement), SCHEMA, TABLES, [])
    assert not verdict.passed
    assert not verdict.why.startswith("rows")


def test_endless_query_fails():
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    assert (
        sql.rows(fenced(endless), SCHEMA, TABLES, [], cpu_seconds=1).why
        == "no result: out of time or memory, crashed or left early"
    )
    assert "more than" in sql.rows(fenced(endless.replace("COUNT(*)", "i")), SCHEMA, TABLES, []).why


def test_finding_the_query_is_fast_on_hostile_text():
    started = time.monotonic()
    assert not passes("\n" * 50_000 + "/**/" * 50_000 + "x")
    assert time.monotonic() - started < 2
