"""Score files and gold files, in every form, sound and malformed."""

import json
import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tail_bench
from tail_bench.errors import InputError
from tail_bench.judgments import as_judgments, golds_of, matched, read_scores, truths_of
from tail_bench.ladders.schema import Ladder
from tests.helpers import ladder, write_jsonl

HEADER = {"model": "org/reward", "dtype": "bfloat16", "max_length": 4096, "activation": None}
SCORES = {"a": {"x": 1.5, "y": None}, "b": {"x": -2.0, "y": 0.25}}


def rows():
    return [{"id": i, "scores": s} for i, s in SCORES.items()]


def parquet(tmp_path, table, header=None):
    if header:
        table = table.replace_schema_metadata({"header": json.dumps(header)})
    pq.write_table(table, tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def forms(tmp_path):
    flat = pd.DataFrame([{"id": i, "response": r, "score": s} for i, own in SCORES.items() for r, s in own.items()])
    mapped = pa.table(
        {
            "id": list(SCORES),
            "scores": pa.array([list(s.items()) for s in SCORES.values()], pa.map_(pa.string(), pa.float64())),
        }
    )
    return {
        "jsonl": lambda: write_jsonl(tmp_path / "scores.jsonl", [{"header": HEADER}, *rows()]),
        "parquet map": lambda: parquet(tmp_path, mapped, HEADER),
        "parquet struct": lambda: parquet(tmp_path, pa.Table.from_pylist(rows()), HEADER),
        "parquet flat": lambda: parquet(tmp_path, pa.Table.from_pandas(flat), HEADER),
        "parquet header row": lambda: parquet(
            tmp_path, pa.Table.from_pandas(pd.DataFrame([{"header": HEADER}, *rows()]))
        ),
    }


@pytest.mark.parametrize("form", ["jsonl", "parquet map", "parquet struct", "parquet flat", "parquet header row"])
def test_forms_say_the_same(tmp_path, form):
    file = read_scores(forms(tmp_path)[form]())
    assert {k: file.header.get(k) for k in HEADER} == HEADER
    assert {j.ladder: dict(j.scores) for j in file.judgments} == SCORES


def test_preferences(tmp_path):
    said = [{"a": "x", "b": "y", "p_a": 0.75}, {"a": "y", "b": "x", "p_a": None}]
    for write in (lambda: write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "preferences": said}]),
                  lambda: parquet(tmp_path, pa.Table.from_pylist([{"id": "a", "preferences": said}]))):  # fmt: skip
        (judgment,) = read_scores(write()).judgments
        assert [tuple(p) for p in judgment.preferences] == [("x", "y", 0.75), ("y", "x", None)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "null", "1" + "0" * 400])
def test_what_is_not_a_finite_number_is_unscored(tmp_path, value):
    path = tmp_path / "s.jsonl"
    path.write_text('{"id": "a", "scores": {"x": 1, "y": %s}}\n' % value)
    assert read_scores(path).judgments[0].scores == {"x": 1.0, "y": None}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"id": "a", "scores": {"x": "1.5"}}, "scores.x: must be a number or null, got '1.5'"),
        ({"id": "a", "scores": {"x": True}}, "scores.x: must be a number or null, got True"),
        ({"id": "a", "scores": [1.0, 2.0]}, "scores: must be an object of response id to number or null, is list"),
        ({"id": "a"}, "must have either scores or preferences"),
        ({"id": "a", "scores": {}, "preferences": []}, "must have either scores or preferences"),
        ({"id": "a", "preferences": {"x": 1}}, "preferences: must be a list"),
        ({"id": "a", "preferences": [{"a": "x", "p_a": 0.5}]}, "preferences.0: must be an object with a, b and p_a"),
        ({"id": "a", "preferences": [{"a": "x", "b": "y", "p_a": 1.5}]}, "preferences.0.p_a: must be from 0 to 1"),
        ({"id": "a", "preferences": [{"a": "x", "b": "x", "p_a": 1}]}, "preferences.0: a and b are the same response"),
        ({"scores": {"x": 1}}, "id: must be the ladder's id, got None"),
        ({"id": "first", "scores": {"x": 1}}, "id: 'first' is there twice"),
        ({"id": 7, "scores": {"x": 1}}, "ids are mixed: str at s.jsonl:1, int at s.jsonl:2"),
        ({"header": {}}, "id: must be the ladder's id"),
        ("text", "must be a JSON object, is str"),
    ],
)
def test_malformed_records_are_named(tmp_path, record, said):
    path = write_jsonl(tmp_path / "s.jsonl", [{"id": "first", "scores": {"x": 1}}, record])
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert said in str(error.value)
    assert "s.jsonl" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"), [("s.parquet", b"no"), ("s.jsonl", b""), ("s.jsonl", b"{"), ("s.txt", b"{}")]
)
def test_files_that_are_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}"):
        read_scores(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_scores(tmp_path / "missing.jsonl")


def test_a_parquet_file_of_something_else(tmp_path):
    path = parquet(tmp_path, pa.table({"id": ["a"], "scores": [[1, 2]]}))
    with pytest.raises(InputError):
        read_scores(path)


def test_unknown_and_missing_responses_are_counted_and_named():
    truths = truths_of([Ladder.model_validate(ladder(n)) for n in range(3)])
    scores = {f"ladder-{n:03}": {f"r{i}": 1.0 for i in range(4)} for n in range(2)}
    del scores["ladder-000"]["r1"]
    scores["ladder-001"] |= {"r8": 1.0, "r9": 2.0}
    scores["other"] = {f"r{i}": 1.0 for i in range(20)}
    with pytest.raises(InputError) as error:
        matched(truths, as_judgments(scores, truths), "scores.jsonl does not fit:")
    assert "22 responses are not in the data set" in str(error.value)
    assert "ladder-001 / r8, ladder-001 / r9, other / r0, other / r1, other / r10, ..." in str(error.value)
    assert "5 responses have no score (give null" in str(error.value)
    assert "ladder-000 / r1, ladder-002 / r0, ladder-002 / r1, ladder-002 / r2, ladder-002 / r3" in str(error.value)


@pytest.mark.parametrize(
    ("values", "said"), [([1.0, 2.0], "2 scores for 4 responses"), ([1, 2, 3, "x"], "r3: must be a number")]
)
def test_wrong_scores_from_python(values, said):
    with pytest.raises(tail_bench.InputError, match=said):
        tail_bench.report([Ladder.model_validate(ladder(1))], {"ladder-001": values})


def test_a_parquet_struct_holds_every_rows_responses(tmp_path):
    records = [{"id": f"ladder-{n:03}", "scores": {f"r{i}-{n}": float(i) for i in range(2)}} for n in range(2)]
    file = read_scores(parquet(tmp_path, pa.Table.from_pandas(pd.DataFrame(records))))
    ladders = []
    for n in range(2):
        responses = [{"id": f"r{i}-{n}", "text": "t", "gold": i} for i in range(2)]
        ladders.append(Ladder.model_validate(ladder(n, responses=responses)))
    found = matched(truths_of(ladders), file.judgments, "")
    assert [dict(j.scores) for j in found] == [r["scores"] for r in records]


def test_numpy_and_nan_from_python():
    import numpy as np

    truths = truths_of([Ladder.model_validate(ladder(1))])
    (judgment,) = as_judgments({"ladder-001": np.array([1.0, math.nan, 2.0, -math.inf], dtype=np.float32)}, truths)
    assert judgment.scores == {"r0": 1.0, "r1": None, "r2": 2.0, "r3": None}


def test_responses_without_a_gold_take_no_part(tmp_path):
    gold = [{"id": "a", "scores": {"x": 1, "y": None, "z": 2}}, {"id": "b", "scores": {"x": 1, "y": None}}]
    truths, without = golds_of(read_scores(write_jsonl(tmp_path / "g.jsonl", gold)))
    assert [(t.ladder, t.responses, t.golds.tolist()) for t in truths] == [("a", ("x", "z"), [1.0, 2.0])]
    assert without == 2
    with pytest.raises(InputError, match="no ladder has two responses with a gold"):
        golds_of(read_scores(write_jsonl(tmp_path / "g.jsonl", gold[1:])))
    with pytest.raises(InputError, match="a gold file needs scores"):
        golds_of(
            read_scores(
                write_jsonl(tmp_path / "g.jsonl", [{"id": "a", "preferences": [{"a": "x", "b": "y", "p_a": 1}]}])
            )
        )


def test_a_header_beside_scores_loses_no_ladder(tmp_path):
    path = write_jsonl(tmp_path / "s.jsonl", [{"header": HEADER, "id": "a", "scores": {"x": 1}}, rows()[1]])
    assert [j.ladder for j in read_scores(path).judgments] == ["a", "b"]


def test_a_key_that_is_there_twice_is_not_passed_over(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"id": "a", "scores": {"x": 1, "y": 2, "x": 3}}\n')
    with pytest.raises(InputError, match="s.jsonl:1: .*the key 'x' is there twice"):
        read_scores(path)


@pytest.mark.parametrize("said", [{"scores": {}}, {"scores": {"x": None}}, {"preferences": []}])
def test_an_unknown_ladder_is_named_whatever_it_says(tmp_path, said):
    known = {"id": "ladder-001", "scores": {f"r{i}": 1.0 for i in range(4)}}
    file = read_scores(write_jsonl(tmp_path / "s.jsonl", [known, {"id": "nope"} | said]))
    with pytest.raises(InputError, match="1 responses are not in the data set .*: nope"):
        matched(truths_of([Ladder.model_validate(ladder(1))]), file.judgments, "s.jsonl:")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{"id": "a", "response": "x"}], "score: is missing"),
        (
            [{"id": "a", "response": "x", "score": 1}, {"id": "a", "response": "x", "score": 2}],
            "'x' of 'a' is there twice",
        ),
        (
            [{"id": "a", "response": "x", "score": 1}, {"id": "a", "scores": {"y": 1}}],
            "both whole and response by response: a",
        ),
    ],
)
def test_rows_of_a_response_each(tmp_path, records, said):
    with pytest.raises(InputError, match=said):
        read_scores(write_jsonl(tmp_path / "s.jsonl", records))


def test_a_header_that_no_report_could_repeat(tmp_path):
    deep = "[" * 500 + "]" * 500
    (tmp_path / "s.jsonl").write_text('{"header": {"x": %s}}\n{"id": "a", "scores": {"x": 1}}\n' % deep)
    with pytest.raises(InputError, match="header: cannot be written as JSON"):
        read_scores(tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (pa.array([[("x", 1.0), ("x", 2.0)]], pa.map_(pa.string(), pa.float64())), "a response is there twice"),
        (pa.array([[1.0, 2.0]]), "must be a map or a struct"),
        (pa.array([[[1.0, 2.0, 3.0]]]), "must be a map or a struct"),
        (pa.array([[{"response": "x", "score": 1.0}]]), "must be a map or a struct"),
    ],
)
def test_parquet_forms_that_are_none(tmp_path, scores, said):
    with pytest.raises(InputError, match=said):
        read_scores(parquet(tmp_path, pa.table({"id": ["a"], "scores": scores})))
