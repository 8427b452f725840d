"""Loading: what is malformed is named by file, line and field; what is sound keeps all it has."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tail_bench
from tail_bench.ladders.load import fingerprint, load_dataset
from tests.helpers import ladder, write_jsonl


def with_response(**fields):
    record = ladder(1)
    record["responses"][2] |= fields
    return record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (with_response(gold=float("nan")), "responses.2.gold: Input should be a finite number"),
        (with_response(gold=float("inf")), "responses.2.gold"),
        (with_response(gold="3"), "responses.2.gold: must be a number, got '3'"),
        (with_response(gold=True), "responses.2.gold: must be a number, got True"),
        (with_response(gold=None), "responses.2.gold"),
        (with_response(text=""), "responses.2: has an empty text"),
        (with_response(text=" \n"), "responses.2: has an empty text"),
        (with_response(text=3), "responses.2.text"),
        (with_response(tier="superb"), "responses.2.tier: Input should be 'excellent', 'great', 'good' or 'poor'"),
        (with_response(id="r0"), "responses: the response id 'r0' is there twice"),
        (with_response(ratings={"r1": "good"}), "responses.2.ratings.r1: must be a number"),
        (ladder(1, k=1), "responses: List should have at least 2 items"),
        (ladder(1, responses=[]), "responses: List should have at least 2 items"),
        ({"id": "x", "prompt": "p"}, "responses: is missing"),
        (ladder(1, id=""), "id:"),
        (ladder(1, id=None), "id:"),
        (ladder(1, prompt=""), "prompt: is empty"),
        (ladder(1, prompt=[]), "prompt: has no messages"),
        (ladder(1, prompt=[{"role": "assistant", "content": "a"}]), "prompt: ends with an assistant message"),
        (ladder(1, prompt=[{"role": "human", "content": "a"}]), "prompt.0.role"),
        (with_response(tool_calls=[{"foo": 1}]), "responses.2.tool_calls.0: must be {"),
        (ladder(1, prompt=[{"role": "user", "content": None}]), "prompt.0: is empty"),
        (ladder(1, rubric=[{"criterion": "c", "weight": "high"}]), "rubric.0.weight: must be a number"),
        (ladder(1, rubric=[{"criterion": "c", "weight": True}]), "rubric.0.weight: must be a number"),
        (ladder(1, checks=[{"name": "n", "criterion": "c", "weight": None}]), "checks.0.weight"),
        ([1], "must be a JSON object, is list"),
        ("text", "must be a JSON object, is str"),
    ],
)
def test_malformed_records_are_named(tmp_path, record, said):
    path = write_jsonl(tmp_path / "bad.jsonl", [ladder(0), record])
    with pytest.raises(tail_bench.InputError) as error:
        tail_bench.load(path)
    assert f"bad.jsonl:2: {said}" in str(error.value)


def test_lines_that_are_not_json(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"id": "x",\n' + b"\xff\xfe\n" + b"[" * 100_000)
    with pytest.raises(tail_bench.InputError) as error:
        tail_bench.load(path)
    assert "3 problems" in str(error.value)
    assert "bad.jsonl:1: not a JSON object on one line of UTF-8" in str(error.value)
    assert "bad.jsonl:2:" in str(error.value)


def test_many_problems_are_counted_and_five_shown(tmp_path):
    path = write_jsonl(tmp_path / "bad.jsonl", [ladder(n, prompt="") for n in range(40)])
    with pytest.raises(tail_bench.InputError) as error:
        tail_bench.load(path)
    assert "40 problems" in str(error.value)
    assert str(error.value).count("prompt: is empty") == 5
    assert "and 35 more" in str(error.value)


def test_duplicate_and_mixed_ids(tmp_path):
    path = write_jsonl(tmp_path / "twice.jsonl", [ladder(1), ladder(2), ladder(1)])
    with pytest.raises(
        tail_bench.InputError, match=r"twice.jsonl:3: id: 'ladder-001' is already the id of twice.jsonl:1"
    ):
        tail_bench.load(path)
    path = write_jsonl(tmp_path / "mixed.jsonl", [ladder(1, id=1), ladder(2, id="2")])
    with pytest.raises(tail_bench.InputError, match="ids are mixed: int at mixed.jsonl:1, str at mixed.jsonl:2"):
        tail_bench.load(path)
    path = write_jsonl(tmp_path / "numbers.jsonl", [ladder(1, id=1), ladder(2, id=2)])
    assert [x.id for x in tail_bench.load(path)] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.jsonl", None, "no such file"),
        ("data.csv", "id,prompt\n", "must end in .jsonl or .parquet"),
        ("empty.jsonl", "\n\n", "no ladders in it"),
        ("fake.parquet", "not parquet", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_none(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(tail_bench.InputError, match=said):
        tail_bench.load(tmp_path / name)


def test_unknown_fields_blank_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "data.jsonl"
    record = ladder(1, ground_truth="42", level=3)
    record["responses"][0]["judge_note"] = {"a": 1}
    path.write_text("\ufeff" + json.dumps(record) + "\n\n  \n", encoding="utf-8")
    (found,) = tail_bench.load(path)
    assert found.model_extra == {"ground_truth": "42", "level": 3}
    assert found.responses[0].model_extra == {"judge_note": {"a": 1}}


def test_openai_form_of_tool_calls(tmp_path):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "x", "name": "bob"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "", "tool_call_id": "c"},
    ]
    record = ladder(1, prompt=turns)
    record["responses"][0] |= {"text": None, "tool_calls": [call]}
    (found,) = tail_bench.load(write_jsonl(tmp_path / "data.jsonl", [record]))
    assert [m.content for m in found.prompt] == ["x", "", ""]
    assert found.responses[0].text == ""


def test_parquet_text_that_is_not_utf8(tmp_path):
    table = pa.table({"id": ["a"], "prompt": pa.array([b"\xff"], pa.binary()).view(pa.string())})
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(tail_bench.InputError, match="cannot be read as Parquet"):
        tail_bench.load(tmp_path / "bad.parquet")


def test_equal_golds_load(tmp_path):
    path = write_jsonl(
        tmp_path / "flat.jsonl",
        [with_response(), ladder(2, responses=[{"id": i, "text": "t", "gold": 1} for i in "ab"])],
    )
    ladders = tail_bench.load(path)
    report = tail_bench.report(ladders, {x.id: [1.0] * len(x.responses) for x in ladders})
    assert report.dataset.n_without_pairs == 1


def test_parquet_and_jsonl_are_the_same_data(tmp_path):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    records = [
        ladder(n, prompt=turns, domain="d" if n else None, rubric=[{"criterion": "c", "weight": 2}]) for n in range(3)
    ]
    records[1]["responses"][0] |= {"tier": "great", "reasoning": "because", "defects": ["x"]}
    lines = write_jsonl(tmp_path / "data.jsonl", records)
    datasets.Dataset.from_list(records).to_parquet(tmp_path / "data.parquet")
    a, b = load_dataset(lines), load_dataset(tmp_path / "data.parquet")
    assert a.fingerprint == b.fingerprint
    assert [x.model_dump() for x in a.ladders] == [x.model_dump() for x in b.ladders]


def test_parquet_rows_are_named(tmp_path):
    records = [ladder(0), ladder(1, prompt=" ")]
    datasets.Dataset.from_list(records).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(tail_bench.InputError, match="bad.parquet row 2: prompt: is empty"):
        tail_bench.load(tmp_path / "bad.parquet")


def test_the_embedded_file_loads_with_datasets():
    from tail_bench.ladders.load import EMBEDDED

    found = datasets.load_dataset("json", data_files=str(EMBEDDED), split="train")
    assert len(found) == 9


def test_fingerprint_is_of_what_is_judged(tmp_path):
    records = [ladder(n) for n in range(3)]

    def of(changed):
        return fingerprint(tail_bench.load(write_jsonl(tmp_path / "data.jsonl", changed)))

    base = of(records)
    assert of(records[::-1]) == base  # the order of lines is no part of the data
    assert of([r | {"domain": "d", "note": "n"} for r in records]) == base
    for change in ("text", "gold", "tier", "id"):
        changed = json.loads(json.dumps(records))
        changed[1]["responses"][1][change] = {"text": "other", "gold": 9.5, "tier": "good", "id": "z"}[change]
        assert of(changed) != base, change
    assert of([records[0] | {"prompt": "other"}, *records[1:]]) != base


def test_splits(tmp_path):
    path = write_jsonl(tmp_path / "data.jsonl", [ladder(1, split="dev"), ladder(2, split="public"), ladder(3)])
    assert len(tail_bench.load(path)) == 3
    assert [x.id for x in tail_bench.load(path, split="dev")] == ["ladder-001"]
    with pytest.raises(tail_bench.InputError, match="no ladder in split 'test'; splits there: dev, public"):
        tail_bench.load(path, split="test")
