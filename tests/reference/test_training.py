"""How the reference model is trained: on ladders of its own, graded by programs, the same at every run."""

import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import tail_bench
from tail_bench.ladders.build import check_shape
from tail_bench.ladders.load import fingerprint
from tail_bench.reference.features import NAMES, features, read_prompt
from tail_bench.reference.model import WEIGHTS, load
from tail_bench.reference.training_ladders import make_all
from tail_bench.reference.training_templates import HELD_OUT, TEMPLATES, TRAINING

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_reference.py"
CARD = WEIGHTS.parent / "README.md"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ladders():
    return make_all(TEMPLATES, 8, seed=11)


def test_the_file_says_what_it_was_trained_on(script):
    trained = load().trained
    own = make_all(TRAINING, script.EACH, script.SEED)
    assert trained["seed"] == script.SEED
    assert trained["ladders"] == len(own)
    assert trained["training_sha256"] == fingerprint(own)


def test_training_again_gives_the_same_bytes(script):
    first, second = (script.train(3, 3, TRAINING[:4]) for _ in range(2))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert script.train(4, 3, TRAINING[:4]) != first


def test_weights_are_the_least_of_the_loss(script, ladders):
    """No step in any direction does better: the Bradley-Terry loss with its penalty, each ladder weighing 1."""
    rows = script.rows_of(ladders)
    scale = np.concatenate(rows).std(axis=0)

    def loss(weight):
        total = 0.0
        for ladder, own in zip(ladders, rows, strict=True):
            rewards, golds = own @ weight, [r.gold for r in ladder.responses]
            pairs = [(a, b) for a in range(7) for b in range(7) if golds[a] > golds[b]]
            total += np.mean([np.log1p(np.exp(rewards[b] - rewards[a])) for a, b in pairs])
        return total / len(ladders) + script.PENALTY * np.sum((weight * scale) ** 2)

    weight = script.fit(ladders, rows).astype(float)
    for n in np.flatnonzero(scale > 0):
        for step in (-0.1, 0.1):
            other = weight.copy()
            other[n] += step / scale[n]
            assert loss(other) > loss(weight)


def test_the_card_names_the_weights():
    assert load().sha256[:12] in CARD.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_card_shows_what_the_script_prints(script, capsys):
    script.main(["--measure"])
    printed = capsys.readouterr().out
    (shown,) = re.findall(r"^```text\n(.*?)^```", CARD.read_text(encoding="utf-8"), re.M | re.S)
    assert shown == printed


def test_ladders_have_the_tiers_of_a_ladder(ladders):
    for ladder in ladders:
        check_shape(ladder)
        assert len({r.text for r in ladder.responses}) == len(ladder.responses), ladder.id
        for r in ladder.responses:
            assert (r.tier == "excellent") == (not r.defects)
            assert (r.tier == "great") == (len(r.defects) == 1)


def test_a_template_of_every_domain_is_held_out():
    assert set(TRAINING) | HELD_OUT == set(TEMPLATES)
    assert HELD_OUT.isdisjoint(TRAINING)
    assert {name.split("_")[0] for name in HELD_OUT} == {name.split("_")[0] for name in TEMPLATES}


def test_neither_length_nor_markdown_tells_excellent_from_great():
    ladders = make_all(TEMPLATES, 30, seed=12)
    cues = {"length": len, "markdown": lambda text: len(re.findall(r"^- |\*\*|\||`", text, re.M))}
    for cue in cues.values():
        scores = {x.id: [float(cue(r.text)) for r in x.responses] for x in ladders}
        figure = tail_bench.report(ladders, scores).regions["tail"].accuracy
        assert abs(figure.value - 0.5) < 0.06, figure


def test_every_feature_varies_and_lies_in_0_to_1(ladders):
    rows = np.concatenate([[features(read_prompt(x.prompt), r.text) for r in x.responses] for x in ladders])
    assert rows.min() >= 0
    assert rows.max() <= 1
    assert [name for name, spread in zip(NAMES, rows.std(axis=0), strict=True) if spread == 0] == []


def grams(text, n=8):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_no_text_is_shared_with_the_embedded_ladders(script, ladders):
    def texts_of(ladder):
        return [script.prompt_of(ladder), *(r.text for r in ladder.responses)]

    embedded = set().union(*(grams(t) for x in tail_bench.load("ladders") for t in texts_of(x)))
    trained = make_all(TRAINING, script.EACH, script.SEED)
    for ladder in (*ladders, *trained):
        assert embedded.isdisjoint(set().union(*map(grams, texts_of(ladder)))), ladder.id
