"""tail-bench report, as a user runs it: in process for what it says, in processes of its own for what it costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import tail_bench
from tail_bench.cli import main
from tail_bench.ladders.load import load_dataset
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def data(tmp_path):
    return write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(12)])


@pytest.fixture
def lengths(tmp_path, data):
    rows = [{"id": x.id, "scores": {r.id: len(r.text) for r in x.responses}} for x in load_dataset(data).ladders]
    return write_jsonl(tmp_path / "lengths.jsonl", rows)


def test_a_log_and_its_score_file_give_the_same_report(tmp_path, data, lengths):
    log = run(tail_reward(str(data), tail="top_k:3"), "builtin/longest", tmp_path)
    ours = json.loads(invoke("report", log.location, "--json").stdout)
    theirs = json.loads(invoke("report", "--scores", lengths, "--dataset", data, "--tail", "top_k:3", "--json").stdout)
    for part in ("regions", "tail_gap", "unscored", "dataset", "schema", "warnings"):
        assert ours[part] == theirs[part], part
    assert ours["grader"]["name"] == "builtin/longest"
    assert theirs["grader"]["name"] == "lengths"


def test_folders_give_a_list_and_other_logs_are_left_out(tmp_path, data):
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample

    for grader in ("longest", "random"):
        run(tail_reward(str(data)), f"builtin/{grader}", tmp_path)
    other = Task(dataset=[Sample(input="hello")], name="other")
    eval(other, model="mockllm/model", log_dir=str(tmp_path / "logs"), display="none")
    result = invoke("report", tmp_path / "logs", "--json")
    names = [r["grader"]["name"] for r in json.loads(result.stdout)]
    assert names == ["builtin/longest", "builtin/random"]
    assert "left out" in result.stderr
    assert "no ladder in it was judged by tail_bench" in result.stderr
    (one,) = (p for p in (tmp_path / "logs").iterdir() if "other" in p.name)
    assert "no ladder in it was judged" in invoke("report", one, code=2).stderr


def test_the_table_for_people(data, lengths):
    text = invoke("report", "--scores", lengths, "--dataset", data, "--tail", "top_k:3").stdout
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert lines["tail"][1:5] == ["0.00", "0.00", "to", "0.26"]
    assert lines["cross"][1] == "0.00"
    assert lines["body"][1] == "-"
    assert "prefers the worse response" in text
    assert "All 48 responses were scored." in text


def test_what_strangers_write_is_not_markup(tmp_path, data):
    rows = [{"header": {"model": "[bold red]evil[/bold red] [/nope]\x1b[2J\n\u202eyes"}}]
    rows += [{"id": x.id, "scores": {r.id: None for r in x.responses}} for x in load_dataset(data).ladders]
    text = invoke("report", "--scores", write_jsonl(tmp_path / "s.jsonl", rows), "--dataset", data).stdout
    assert "[bold red]evil[/bold red] [/nope]\ufffd[2J \ufffdyes on data" in text
    assert "48 of 48 responses are unscored" in text
    assert "No tail pair is scored" in text


def test_errors_do_not_steer_the_terminal(tmp_path, data):
    rows = [{"id": "\x1b]0;title\x07", "scores": {"\x1b[31m": 1.0}}]
    error = invoke("report", "--scores", write_jsonl(tmp_path / "s.jsonl", rows), "--dataset", data, code=2).stderr
    assert "1 responses are not in the data set" in error
    assert "\x1b" not in error
    assert "\x07" not in error


def test_gold_files(tmp_path, lengths):
    gold = [json.loads(line) for line in lengths.read_text().splitlines()]
    path = write_jsonl(tmp_path / "gold.jsonl", gold)
    document = json.loads(invoke("report", "--scores", lengths, "--gold", path, "--json").stdout)
    assert document["regions"]["all"]["accuracy"]["value"] == 1
    assert document["dataset"]["tail"] == "top_k:2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report"], "Give Inspect logs or folders, or --scores FILE."),
        (["report", "nowhere.eval"], "nowhere.eval: no such log or folder"),
        (["report", "--scores", "s.jsonl"], "--scores needs one of --dataset D and --gold FILE."),
        (["report", "--dataset", "ladders"], "--dataset goes with --scores."),
        (["report", "x.eval", "--scores", "s.jsonl", "--dataset", "ladders"], "not both"),
        (["report", "--scores", "missing.jsonl", "--dataset", "ladders"], "missing.jsonl: no such file"),
        (["report", "--scores", "{lengths}", "--dataset", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["report", "--scores", "{lengths}", "--dataset", "ladders"], "48 responses are not in the data set"),
        (["report", "--scores", "{lengths}", "--dataset", "{data}", "--tail", "best"], "the forms are"),
        (["report", "--scores", "{lengths}", "--dataset", "{data}", "--tail", "threshold:9"], "no ladder has two"),
        (["report", "--scores", "{lengths}", "--dataset", "{data}", "--min-margin", "-1"], "--min-margin"),
        (["report", "{data}"], "a score file is reported with --scores FILE --dataset D"),
        (["report", "--scores", "rewards.jsonl.partial", "--dataset", "ladders"], "give its tail-bench score again"),
        (["plan", "tail_reward"], "nothing to plan"),
        (["plan", "tail_judge"], "Missing option"),
        (["plan", "tail_judge", "--model", "rm/./folder"], "gives rewards and writes no text"),
        (["report", "{folder}"], "no Inspect logs in this folder"),
        (["report", "--plots", "x"], "No such option"),
    ],
)
def test_bad_usage_and_input_exit_with_2_and_print_no_result(tmp_path, data, lengths, arguments, said):
    (tmp_path / "folder").mkdir()
    known = {"data": data, "lengths": lengths, "folder": tmp_path / "folder"}
    result = invoke(*(a.format(**known) for a in arguments), "--json", code=2)
    assert said in result.stderr
    assert result.stdout == ""


def test_a_log_that_was_tampered_with(tmp_path, data):
    log = run(tail_reward(str(data)), "builtin/longest", tmp_path, log_format="json")
    text = Path(log.location).read_text()
    changes = {
        '"gold_ranks": [': '"gold_ranks": [9, ',
        '"r1": ': '"zz": ',
        '"reasons": {}': '"preferences": [["r0", "r1", 5.0]]',
        '"min_margin": 0.0': '"min_margin": -1',
        '"kind": "reward"': '"kind": ["reward"]',
        '"tail_bench": {': '"other": {',
        '"tail": "top_k:2"': '"tail": "worst"',
        '"n_ladders": 12': '"n_ladders": "many"',
    }
    for old, new in changes.items():
        path = tmp_path / "changed.json"
        path.write_text(text.replace(old, new))
        assert text.replace(old, new) != text, old
        assert "Error: " in invoke("report", path, code=2).stderr


@pytest.mark.parametrize(
    "code", ["import tail_bench", "from tail_bench.cli import main; main(['--help'], standalone_mode=False)"]
)
def test_nothing_heavy_is_imported(code):
    heavy = ["inspect_ai", "numpy", "torch", "litellm", "pydantic", "rich", "pandas", "scipy"]
    code += f"; import sys; print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_a_missing_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'compare_all'"):
        _ = tail_bench.compare_all
