"""OpenRLHF and NIM: little can be asked of them, so little is confirmed, and that is said."""

import pytest

from tests.providers.served.conftest import TEXTS
from tests.providers.served.fakes import NIM, OpenRLHF, sigmoid, truth


def test_openrlhf_gets_rendered_texts(start, asking, tokenizer):
    server = start(OpenRLHF, tokenizer)
    rm = asking(server)
    assert rm.values() == rm.true()
    body = server.bodies[-1]
    assert body["query"][0] == "<s><|user|>Which city is it?</s><|assistant|>Paris is the capital.</s>"
    assert body["prompts"][0] == "<s><|user|>Which city is it?</s><|assistant|>"
    assert body["labels"] == [None] * 3
    assert rm.facts["activation"] == "not confirmed"
    assert rm.facts["certificate"] == {
        "token_counts": "not comparable",
        "raw": "not confirmed",
        "scores": 1,
        "input": "text",
        "path": "/get_reward",
        "servers": [{"url": server.url, "version": None, "model": None}],
    }
    first, second = rm.warnings
    assert "is taken on trust" in first
    assert "cuts what is longer than its --data.max_len (2048 unless set)" in second


def test_openrlhf_at_the_path_given(start, asking, tokenizer):
    server = start(OpenRLHF, tokenizer, path="/my/reward")
    for arguments in ({}, {"api": "openrlhf"}):
        rm = asking(server.url + "/my/reward", **arguments)
        assert rm.values() == rm.true()


def test_openrlhf_cuts_at_2048_unless_told(start, asking, tmp_path, tokenizer):
    tokenizer.model_max_length, before = 9000, tokenizer.model_max_length
    tokenizer.save_pretrained(tmp_path)
    tokenizer.model_max_length = before
    server = start(OpenRLHF, tokenizer, cut=5000)
    long = "more answer question " * 800
    rm = asking(server, tokenizer=str(tmp_path))
    own, cut = rm.score("Paris.", long)
    assert own.value == rm.true("Paris.")[0]
    assert "more than 2,048" in cut.reason
    rm = asking(server, tokenizer=str(tmp_path), max_length=5000)
    assert rm.values("Paris.", long) == rm.true("Paris.", long)
    assert len(rm.warnings) == 1


def test_openrlhf_with_a_sigmoid_is_a_warning(start, asking, tokenizer):
    rm = asking(start(OpenRLHF, tokenizer, scale=sigmoid))
    rm.score()
    assert any("all lie in [0, 1]" in w for w in rm.warnings)
    asking(start(OpenRLHF, tokenizer, scale=lambda x: 1.0)).refused("answers 1.0 to everything")


def test_openrlhf_nan_null_and_another_form(start, asking, tokenizer):
    server = start(OpenRLHF, tokenizer)
    rm = asking(server)
    rm.score()
    odd = {"rewards": [None, float("nan"), float("inf")]}
    server.fault = lambda path, body: odd if body and "Which city is it?" in body["query"][0] else None
    assert [r.reason for r in rm.score()] == [
        "the server returned None",
        "the server returned nan",
        "the server returned inf",
    ]
    odd["rewards"] = [1.0]
    rm.refused("1 rewards for 3 inputs")
    odd["rewards"] = ["3.5"] * 3
    rm.refused("rewards that are not numbers")
    odd["reward"] = odd.pop("rewards")
    rm.refused('no object with "rewards"')


def test_nim_says_its_reward(start, asking, tokenizer):
    server = start(NIM, tokenizer)
    rm = asking(server, tokenizer=None)
    assert rm.values() == rm.true()
    body = server.bodies[-1]
    assert body["model"] == "org/rm"
    assert [m["role"] for m in body["messages"]] == ["user", "assistant"]
    assert (rm.facts["engine"], rm.facts["template_hash"]) == ("nim", "the server's own")
    (warning,) = rm.warnings
    assert "both are taken on trust" in warning


def test_nim_with_several_attributes(start, asking, tokenizer):
    server = start(NIM, tokenizer, say=lambda ids: f"helpfulness:{truth(ids)},correctness:-1e-05,verbosity:0.5")
    asking(server).refused("gives 3 scores for a response (helpfulness, correctness, verbosity)")
    rm = asking(server, head="helpfulness")
    assert rm.values() == rm.true()
    assert asking(server, head="correctness").values() == [-1e-05] * 3


def test_nim_nan_is_unscored(start, asking, tokenizer):
    server = start(NIM, tokenizer)
    rm = asking(server)
    rm.score()
    bad = tokenizer("It is Lyon.", add_special_tokens=False)["input_ids"]
    server.say = lambda ids: "reward:nan" if str(bad)[1:-1] in str(ids) else f"reward:{truth(ids)}"
    paris, lyon, no = rm.score()
    assert [paris.value, no.value] == rm.true(TEXTS[0], TEXTS[2])
    assert lyon.reason == "the server returned nan"


@pytest.mark.parametrize("prose", ["Paris, of course.", "reward: high", "reward:1,reward:2", "score 3: fine", ""])
def test_prose_is_no_reward(start, asking, tokenizer, prose):
    asking(start(NIM, tokenizer, say=lambda ids: prose)).refused("answered in another form")
