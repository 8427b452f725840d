"""SGLang: raw logits of the ids rendered here."""

import pytest

from tests.providers.served.fakes import SGLang, make_tokenizer

NEVER = ("/v1/classify", "/v1/score", "/v1/rerank", "/score", "/rerank")


@pytest.mark.parametrize("old", [False, True])
def test_ids_go_to_its_own_classify(start, asking, tokenizer, old):
    server = start(SGLang, tokenizer, old=old)
    rm = asking(server)
    assert rm.values() == rm.true()
    assert {path for path, _ in server.posts} == {"/classify"}
    assert all("text" not in body and len(body["input_ids"]) >= 1 for body in server.bodies)
    assert not {path for _, path, _ in server.requests} & set(NEVER)
    assert (rm.facts["engine"], rm.facts["engine_version"]) == ("sglang", "0.5.23")
    assert rm.facts["activation"] == "none by design"
    assert rm.facts["parity"] == "token counts equal, raw by design, one score"
    assert rm.warnings == []


def test_a_server_that_writes_text(start, asking, tokenizer):
    asking(start(SGLang, tokenizer, generation=True)).refused("start it with --is-embedding")


def test_a_server_that_cuts_without_saying(start, asking, tokenizer):
    """--allow-auto-truncate."""
    asking(start(SGLang, tokenizer, cut=20)).refused("reads 20 tokens where")
    rm = asking(start(SGLang, tokenizer, cut=120))
    own, cut = rm.score("Paris.", "more answer question " * 60)
    assert own.value == rm.true("Paris.")[0]
    assert "it cuts or changes it" in cut.reason


def test_a_softmax_of_one_score_is_refused(start, asking, tokenizer):
    server = start(SGLang, tokenizer)
    one = {"embedding": [1.0]}
    server.fault = lambda path, body: (
        [{**one, "meta_info": {"prompt_tokens": len(ids)}} for ids in body["input_ids"]] if body else None
    )
    asking(server).refused("answers 1.0 to everything")


def test_scores_in_0_to_1_are_a_warning(start, asking, tokenizer):
    server = start(SGLang, tokenizer)
    server.fault = lambda path, body: (
        [{"embedding": [1 / len(i)], "meta_info": {"prompt_tokens": len(i)}} for i in body["input_ids"]]
        if body
        else None
    )
    rm = asking(server)
    rm.score()
    assert any("all lie in [0, 1]" in w for w in rm.warnings)


def test_pairs_of_a_cross_encoder(start, asking, tokenizer):
    server = start(SGLang, tokenizer)
    rm = asking(server, template="pair")
    assert rm.values() == rm.true()
    assert server.bodies[-1]["text"][0] == ["Which city is it?", "Paris is the capital."]
    assert rm.facts["certificate"]["input"] == "pair"


def test_it_renders_nothing(start, asking, tokenizer, tmp_path):
    make_tokenizer(tmp_path, template=None)
    server = start(SGLang, tokenizer)
    asking(server, tokenizer=str(tmp_path)).refused("-M template=")
    server = start(SGLang, tokenizer, model="/gone/rm")
    asking(server, tokenizer=None, model="rm").refused("which needs the model's tokenizer and template")
