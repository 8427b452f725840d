"""The reference model: what it prefers, that nothing upsets it, and that its file is checked."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tail_bench
from tail_bench.errors import InputError
from tail_bench.reference.features import NAMES, features, read_prompt
from tail_bench.reference.model import KEY, WEIGHTS, as_bytes, load
from tail_bench.reference.training_ladders import make_all
from tail_bench.reference.training_templates import HELD_OUT

PROMPT = """We sell 12 crates of apples at €3.50 each and 5 sacks of potatoes at €8 each.

1. What do the crates bring in?
2. And the sacks?

Answer in at most 60 words, and do not use the word "profit"."""
WHOLE = """The crates bring in 12 × 3.50 = €42 and the sacks 5 × 8 = €40.

1. Crates of apples: €42
2. Sacks of potatoes: €40."""


def better(response, than, prompt=PROMPT):
    first, second = load().score(prompt, [response, than])
    return first > second


def test_rewards_are_the_same_in_every_process():
    code = """
import sys
from tail_bench.reference.model import load
print(load().score(sys.argv[1], sys.argv[2:]).tolist())
"""
    command = [sys.executable, "-c", code, PROMPT, WHOLE, "No."]
    for seed in ("1", "2"):
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == load().score(PROMPT, [WHOLE, "No."]).tolist()


def test_a_reward_does_not_depend_on_the_other_responses():
    texts = [WHOLE, "No.", "", WHOLE + " More."]
    together = load().score(PROMPT, texts)
    assert together.shape == (4,)
    assert [load().score(PROMPT, [t])[0] for t in texts] == together.tolist()
    assert load().score(PROMPT, []).shape == (0,)


@pytest.mark.parametrize(
    "broken",
    [
        "Yes.",
        WHOLE[:55],
        WHOLE.replace("= €42", "= €44"),
        WHOLE.replace("1. Crates of apples: €42", "1. Crates of apples: €47.13"),
        WHOLE + " All of it is profit.",
        WHOLE + " And what is more" * 20 + ".",
        WHOLE + " Also, one should not forget that the",
        WHOLE.replace(" the sacks", " the the sacks"),
        WHOLE + " [insert detail here]",
        "I'm sorry, but I can't help with sums. Please ask a shop that sells crates of apples and sacks of potatoes.",
        "The moon is made of rock. It goes around the earth in about a month, and it shows the same face all the time.",
    ],
)
def test_what_is_broken_scores_below_what_is_whole(broken):
    assert better(WHOLE, broken)


@pytest.mark.parametrize(
    "correct",
    [
        "(0.6 + 1.4) / 2 = 1.0",
        "4.2 × 2.8 × 1.0 = 11.76",
        "15 % of 200 = 30",
        "3 + 4 × 2 = 11",
        "€3.50 × 4 = €14.00",
        "11,760 × 2.5 g = 29.4 kg",
        "10 / 3 = 3.33",
        "10 - 4 - 3 = 3",
        "f(x) = 3",
        "1 / 0 = ?",
    ],
)
def test_correct_sums_are_not_marked_down(correct):
    wrong = NAMES.index("sums_wrong")
    assert features(read_prompt("How much?"), f"It is {correct}.")[wrong] == 0
    assert features(read_prompt("How much?"), "It is 10 - 4 - 3 = 9.")[wrong] > 0


def test_held_out_templates_are_ranked_better_than_by_chance():
    ladders = make_all(sorted(HELD_OUT), 12, seed=101)
    scores = {x.id: load().score(x.prompt, [r.text for r in x.responses]).tolist() for x in ladders}
    regions = tail_bench.report(ladders, scores).regions
    assert regions["tail"].accuracy.ci_low > 0.6
    assert regions["body"].accuracy.ci_low > 0.75


def test_neither_length_nor_markdown_pays():
    """A policy must not gain by saying more or by decorating it, once there is a whole answer."""
    before = "Crates of apples and sacks of potatoes are counted apart, as you asked, and each is simply multiplied. "
    enough = before + WHOLE
    more = before + "Nothing else has to be taken into account here. " + WHOLE
    bold = enough.replace("€42", "**€42**").replace("The crates", "- The crates")
    rewards = load().score(PROMPT.replace("60", "90"), [enough, more, bold])
    assert rewards.max() - rewards[0] < 0.1


HOSTILE = {
    "letters": "a" * 10**6,
    "digits": "1" * 10**6,
    "groups": "1" + ",000" * 250_000,
    "sums": "= " + "1 - 1 + " * 125_000,
    "terms": "12345 abcdef x " * 70_000 + "=",
    "lines": "\n" * 10**6,
    "tabs": "\n\t" * 500_000,
    "tables": "| 1 | 2 |\n" * 100_000,
    "fences": "```" * 330_000,
    "control": "".join(map(chr, range(32))) * 30_000,
    "halves": "\ud800" * 10**6,
    "nested": "[" * 400_000 + "]" * 400_000,
    "deep": '{"a":' * 900 + "1" + "}" * 900,
    "deeper": '{"a":' * 4000 + "1" + "}" * 4000,
    "long number": '{"a": 1' + "0" * 4000 + "}",
    "not a number": '{"a": NaN, "b": -Infinity}',
    "Chinese": "你好。" * 300_000,
    "Arabic": "كم الثمن؟ ١٢ + ٣ = ١٥ " * 40_000,
    "quotes": 'not "a b" ' * 100_000,
    "empty": "",
    "blank": " \n ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_scored_and_quickly(name):
    text = HOSTILE[name]
    for prompt in (text, PROMPT, "Give `a` and `b` as JSON.", ""):
        start = time.process_time()
        assert np.isfinite(load().score(prompt, [text, WHOLE])).all()
        assert time.process_time() - start < 2


def test_a_huge_text_does_not_win_by_its_size():
    assert better(WHOLE, WHOLE + "\nx" * 10**6)
    assert better(WHOLE, "words and words " * 60_000)


def test_loading_is_quick_and_brings_little():
    code = """
import sys, time
start = time.process_time()
from tail_bench.reference.model import load
load().score("Why?", ["Because."])
print(time.process_time() - start)
heavy = {"torch", "transformers", "pandas", "inspect_ai", "scipy", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1


def test_the_file_is_small():
    assert WEIGHTS.stat().st_size < 100_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-10], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: b"\xff" * 200, "damaged"),
        (lambda data: as_bytes(np.zeros(3, np.float32), TRAINED), "shape"),
        (lambda data: as_bytes(np.full(len(NAMES), np.nan, np.float32), TRAINED), "not finite"),
        (lambda data: as_bytes(np.zeros(len(NAMES), np.float64), TRAINED), "float64"),
        (lambda data: as_bytes(np.zeros(len(NAMES), np.float32), {"seed": 1}), "ladders, training_sha256"),
        (lambda data: as_bytes(np.zeros(len(NAMES), np.float32), TRAINED | {"features": ["length"]}), "other features"),
        (lambda data: as_bytes(np.zeros(len(NAMES), np.float32), TRAINED | {"format": "x"}), "format is 'x'"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(change(WEIGHTS.read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


TRAINED = {"seed": 1, "ladders": 2, "training_sha256": "0"}


def test_another_model_s_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    for metadata in (None, {KEY: "[]"}, {KEY: "no JSON"}, {KEY: "3"}):
        save_file({"score.weight": np.zeros((1, 4), np.float32)}, path, metadata)
        with pytest.raises(InputError, match="metadata"):
            load(path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.safetensors")
    assert set(load_file(WEIGHTS)) == {"weight"}
