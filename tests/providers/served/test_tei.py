"""TEI: texts, each in a list of its own, raw, uncut, labels by name."""

import math

import pytest

from tail_bench.providers.rendering import Rendered
from tail_bench.providers.served.rm_server import _chunks
from tail_bench.providers.served.wire import Conversation
from tests.providers.served import fakes
from tests.providers.served.conftest import TEXTS
from tests.providers.served.fakes import TEI, make_tokenizer, truth


def test_texts_become_the_rendered_ids(start, asking, tokenizer):
    server = start(TEI, tokenizer)
    rm = asking(server)
    assert rm.values() == rm.true()
    assert all(body["truncate"] is False for body in server.bodies)
    assert all(isinstance(one, list) and len(one) == 1 for body in server.bodies for one in body["inputs"])
    assert not server.bodies[-1]["inputs"][0][0].startswith("<s>")  # it adds one
    facts = rm.facts
    assert (facts["engine"], facts["engine_version"], facts["dtype"]) == ("tei", "1.9.3", "float16")
    assert (facts["revision"], facts["activation"]) == ("abc123", "off")
    assert facts["parity"] == "token counts equal, raw confirmed, one score"
    assert rm.warnings == []


def test_two_responses_are_not_a_pair(start, asking, tokenizer):
    rm = asking(start(TEI, tokenizer))
    assert rm.values(*TEXTS[:2]) == rm.true(*TEXTS[:2])


def test_pairs_of_a_cross_encoder(start, asking, tokenizer):
    server = start(TEI, tokenizer)
    rm = asking(server, template="pair")
    assert rm.values() == rm.true()
    assert server.bodies[-1]["inputs"][0] == ["Which city is it?", "Paris is the capital."]
    assert rm.facts["template_hash"] == "pair"


def test_more_than_32(start, asking, tokenizer):
    server = start(TEI, tokenizer)
    rm = asking(server)
    many = [f"answer {i}" for i in range(70)]
    assert rm.values(*many) == rm.true(*many)
    assert max(len(body["inputs"]) for body in server.bodies) == 32


def test_more_than_2_megabytes():
    sizes = [1_200_000, 600_000, 600_000, 2_500_000, 10]
    conversations = {i: Conversation([], None, Rendered("x" * n, None, (1,))) for i, n in enumerate(sizes)}
    assert _chunks(conversations, 32, 1_900_000) == [[0, 1], [2], [3], [4]]
    assert _chunks(conversations, 1, 1_900_000) == [[0], [1], [2], [3], [4]]


def test_labels_are_sorted_by_score_and_picked_by_name(start, asking, tokenizer):
    server = start(TEI, tokenizer, labels=("helpful", "correct", "terse"))
    asking(server).refused("gives 3 scores for a response (helpful, correct, terse)")
    by_name, by_number = asking(server, head="correct"), asking(server, head=1)
    assert by_name.values() == by_number.values()
    assert by_name.facts["activation"] == "off"
    rm = asking(server, head="helpful")
    assert rm.values() == rm.true()


def test_what_is_too_long_is_never_cut_there(start, asking, tokenizer):
    server = start(TEI, tokenizer, limit=200)
    rm = asking(server)
    own, long = rm.score("Paris.", "more answer question " * 100)
    assert own.value == rm.true("Paris.")[0]
    assert "more than 200" in long.reason


def test_an_ignored_raw_scores_is_refused(start, asking, tokenizer):
    server = start(TEI, tokenizer)
    ask = server.answer
    server.answer = lambda method, path, body: ask(method, path, body and {**body, "raw_scores": False})
    asking(server).refused("gives the same scores with `raw_scores` and without")


def test_nan_is_424_and_costs_no_other(start, asking, tokenizer, monkeypatch):
    bad = str(tokenizer("It is Lyon.", add_special_tokens=False)["input_ids"])[1:-1]
    monkeypatch.setattr(fakes, "truth", lambda ids: math.nan if bad in str(list(ids)) else truth(ids))
    rm = asking(start(TEI, tokenizer))
    paris, lyon, no = rm.score()
    assert [paris.value, no.value] == rm.true(TEXTS[0], TEXTS[2])
    assert lyon.reason == "the server refuses it (424): prediction contains NaN"


def test_429_is_for_inspect_to_retry(start, asking, tokenizer):
    from tail_bench.providers.served.asking import ServerError

    server = start(TEI, tokenizer)
    rm = asking(server)
    server.fault = lambda path, body: (429, {"error": "Model is overloaded"}, {"Retry-After": "7"}) if body else None
    with pytest.raises(ServerError, match="Model is overloaded") as caught:
        rm.score()
    decision = rm.api.should_retry(caught.value)
    assert (decision.retry, decision.kind, decision.retry_after) == (True, "rate_limit", 7)
    server.fault = lambda path, body: None
    assert rm.values() == rm.true()


def test_an_embedding_model_is_refused(start, asking, tokenizer):
    asking(start(TEI, tokenizer, kind="embedding")).refused("and no classifier")


def test_special_tokens_that_the_template_does_not_write(start, asking, tokenizer, tmp_path):
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    make_tokenizer(tmp_path, template=template)
    said = asking(start(TEI, tokenizer), tokenizer=str(tmp_path)).refused("where the model's own template makes")
    assert "adds" in said
