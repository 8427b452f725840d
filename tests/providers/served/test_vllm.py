"""vLLM by version: the reward is that of the ids rendered here, raw, or the server is refused."""

import math

import pytest

from tail_bench.providers.served.vllm import NEWEST, parse
from tests.providers.served.conftest import TEXTS
from tests.providers.served.fakes import VLLM, make_tokenizer, refuse, sigmoid

FIELDS = {
    "0.10.2": ("text+", "activation"),
    "0.11.0": ("text+", "activation"),
    "0.11.2": ("text", "use_activation"),
    "0.13.0": ("text", "use_activation"),
    "0.14.1": ("text", "use_activation"),
    "0.15.0": ("text", "use_activation"),
    "0.20.0": ("ids", "use_activation"),
    "0.33.0": ("ids", "use_activation"),
}
"""What a version must be sent (text+: it adds special tokens), and the one name of the switch."""


@pytest.mark.parametrize("version", FIELDS)
def test_a_version_is_asked_in_its_own_way(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version)
    rm = asking(server)
    assert rm.values() == rm.true()
    form, switch = FIELDS[version]
    path, body = server.posts[-1]
    assert path == "/classify"
    assert {"activation", "use_activation", "softmax"} & set(body) == {switch}
    assert body[switch] is False
    assert isinstance(body["input"][0], list if form == "ids" else str)
    assert body.get("add_special_tokens") == (False if form == "text" else None)
    if form == "text+":
        assert not body["input"][0].startswith("<s>")
    assert rm.facts["engine_version"] == version
    assert rm.facts["activation"] == "off"
    assert rm.facts["parity"] == "token counts equal, raw confirmed, one score"
    assert rm.facts["certificate"]["input"] == form.rstrip("+")
    assert rm.facts["max_length"] == 400
    assert rm.warnings == []


@pytest.mark.parametrize("version", FIELDS)
def test_no_request_ever_has_two_switches(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version)
    server.reward = lambda ids: sigmoid(sum(ids) % 7 - 3)  # raw scores that could be activated ones
    rm = asking(server)
    rm.score()
    for body in server.bodies:
        assert len({"activation", "use_activation", "softmax"} & set(body)) == 1


@pytest.mark.parametrize("version", ["0.8.5", "0.9.2"])
def test_a_version_without_a_switch_answers_1_to_everything(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version)
    rm = asking(server)
    said = rm.refused("answers 1.0 to everything")
    assert f"vLLM {version}" in said
    assert "vLLM 0.20 or newer" in said
    n = len(server.requests)
    assert rm.refused("answers 1.0") == said  # a new run asks anew
    assert len(server.requests) == 2 * n


@pytest.mark.parametrize("version", ["0.8.5", "0.9.2"])
def test_a_version_without_a_switch_that_is_raw_all_over(start, asking, tokenizer, version):
    rm = asking(start(VLLM, tokenizer, version, raw=True))
    assert rm.values() == rm.true()
    assert rm.facts["activation"] == "not confirmed"
    assert rm.facts["certificate"]["raw"] == "not confirmed"
    (warning,) = rm.warnings
    assert "raw was not confirmed (this version has no switch)" in warning


def test_a_version_without_a_switch_and_scores_in_0_to_1(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.9.2", raw=True)
    server.reward = lambda ids: sigmoid(sum(ids) % 7 - 3)
    asking(server).refused(
        "has no way to ask for raw scores at /classify, and those of a test ladder all lie in [0, 1]"
    )


@pytest.mark.parametrize("version", ["0.13.0", "0.33.0"])
def test_an_activation_that_stays_on_is_refused(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version)
    server.activated = lambda path, body: True
    said = asking(server).refused("gives the same scores with `use_activation` and without")
    assert "ties the best responses" in said


def test_an_activation_that_is_not_known(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    server.score = lambda ids, on: [math.tanh(len(ids) / 100) if on else len(ids) / scale[0]]
    scale = [10]
    rm = asking(server)
    rm.score()
    (warning,) = rm.warnings
    assert "what comes with an activation is neither sigmoid nor softmax" in warning
    scale[0] = 1000
    asking(server).refused("gives with `use_activation` neither the sigmoid nor the softmax of what it gives without")


def test_a_first_score_that_differs_a_little_from_later_ones(start, asking, tokenizer):
    """As with a prefix that is cached from then on."""
    server = start(VLLM, tokenizer, "0.33.0")
    seen = set()

    def reward(ids):
        first = tuple(ids) not in seen
        seen.add(tuple(ids))
        return len(ids) / 50 - 2 + 0.03 * first

    server.reward = reward
    rm = asking(server)
    rm.score()
    assert rm.facts["activation"] == "off"


def test_an_identity_by_the_models_own_configuration(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    server.activated = lambda path, body: False
    rm = asking(server)
    assert rm.values() == rm.true()
    (warning,) = rm.warnings
    assert "asking for an activation made no difference" in warning


@pytest.mark.parametrize(("behaves", "switch"), [("0.11.0", "activation"), ("0.11.2", "use_activation")])
def test_a_version_between_is_found_out(start, asking, tokenizer, behaves, switch):
    server = start(VLLM, tokenizer, behaves)
    server.version = "0.11.1"
    rm = asking(server)
    assert rm.values() == rm.true()
    assert rm.facts["activation"] == "off"
    assert switch in server.bodies[-1]


@pytest.mark.parametrize("version", ["0.10.2", "0.15.0", "0.33.0"])
def test_a_server_that_hides_its_version(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version)
    server.says_version = False
    rm = asking(server)
    assert rm.values() == rm.true()
    assert rm.facts["activation"] == "off"
    assert any("did not say its version" in w for w in rm.warnings)


def test_an_ignored_add_special_tokens_is_corrected(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.13.0")
    server.read = lambda path, body: [server.ids(text) for text in body["input"]]  # a double BOS
    rm = asking(server)
    assert rm.values() == rm.true()
    assert rm.facts["certificate"]["token_counts"] == "equal"
    assert rm.warnings == []


def test_another_tokenizer_is_refused(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    server.read = lambda path, body: [[1, *ids] for ids in body["input"]]
    said = asking(server).refused("where the model's own template makes")
    assert "a second BOS in front" in said


def test_a_server_that_cuts_is_refused(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0", limit=20)
    server.read = lambda path, body: [ids[:20] for ids in body["input"]]
    asking(server).refused("longer than the model takes")  # it says that it takes 20
    server.limit = 400
    asking(server).refused("it cuts the conversation, or has another tokenizer")


def test_what_the_server_cuts_later_is_unscored(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0")
    server.read = lambda path, body: [ids[:120] for ids in body["input"]]
    rm = asking(server)
    long = "more answer question " * 60
    first, second, third = rm.score("Paris.", long, "Lyon.")
    assert [first.value, third.value] == rm.true("Paris.", "Lyon.")
    assert second.value is None
    assert "it cuts or changes it" in second.reason


def test_too_long_for_the_model_is_unscored_or_cut_here(start, asking, tokenizer):
    for version in ("0.33.0", "0.13.0"):
        server = start(VLLM, tokenizer, version, limit=200)
        rm = asking(server)
        long = "more answer question " * 100
        own, cut = rm.score("Paris.", long)
        assert own.value == rm.true("Paris.")[0]
        assert (cut.value, cut.truncated) == (None, False)
        assert "more than 200" in cut.reason
        own, cut = rm.score("Paris.", long, truncate=True)
        assert cut.value is not None
        assert (own.truncated, cut.truncated) == (False, True)
        assert not any("truncate_prompt_tokens" in body for body in server.bodies)


def test_a_response_that_the_server_refuses_costs_no_other(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.13.0")
    server.fault = lambda path, body: (
        refuse(400, "no such text") if body and any("It is Lyon." in t for t in body["input"]) else None
    )
    rm = asking(server)
    paris, lyon, no = rm.score()
    assert [paris.value, no.value] == rm.true(TEXTS[0], TEXTS[2])
    assert lyon.value is None
    assert lyon.reason == "the server refuses it (400): no such text"


def test_nan_and_null_are_unscored(start, asking, tokenizer):
    for odd, reason in ((float("nan"), "the server returned nan"), (None, "the server returned None")):
        server = start(VLLM, tokenizer, "0.33.0")
        rm = asking(server)
        rm.score()
        bad = tokenizer("It is Lyon.", add_special_tokens=False)["input_ids"]
        server.reward = lambda ids, odd=odd, bad=bad: odd if str(bad)[1:-1] in str(ids) else 20.0
        found = rm.score()
        assert [r.value for r in found] == [20.0, None, 20.0]
        assert found[1].reason == reason


def test_a_response_on_which_the_server_fails_is_not_asked_for_ever(start, asking, tokenizer):
    """vLLM answers 500 where a score is NaN: its JSON allows none."""
    server = start(VLLM, tokenizer, "0.13.0")
    server.fault = lambda path, body: (
        (500, {"error": {"message": "Out of range float values"}}, {})
        if body and any("It is Lyon." in t for t in body["input"])
        else None
    )
    rm = asking(server)
    paris, lyon, no = rm.score()
    assert [paris.value, no.value] == rm.true(TEXTS[0], TEXTS[2])
    assert "the server fails on it" in lyon.reason
    assert "Out of range float values" in lyon.reason


def test_a_model_that_is_not_served_as_a_classifier_is_asked_at_pooling(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0", task="token")
    rm = asking(server)
    assert rm.values() == rm.true()
    assert server.posts[-1][0] == "/pooling"
    assert rm.facts["certificate"]["path"] == "/pooling"
    assert rm.facts["activation"] == "off"
    (warning,) = rm.warnings
    assert "the last token's score is the reward" in warning


def test_scores_of_steps_are_no_reward(start, asking, tokenizer):
    asking(start(VLLM, tokenizer, "0.33.0", task="step")).refused("a process reward model")


def test_an_embedding_is_no_reward(start, asking, tokenizer):
    asking(start(VLLM, tokenizer, "0.33.0", task="embed")).refused("an embedding, it seems")


def test_a_language_model_in_vllm(start, asking, tokenizer):
    said = asking(start(VLLM, tokenizer, "0.33.0", task="generate")).refused("does not score")
    assert "/classify with ids: 404" in said
    assert "--runner pooling --convert classify" in said


def test_several_scores_need_a_head(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0", labels=3)
    asking(server).refused("gives 3 scores for a response (0, 1, 2): say which is the reward, -M head=0")
    asking(server, head=3).refused("-M head=3")
    rm = asking(server, head=0)
    assert rm.values() == rm.true()
    assert rm.facts["parity"] == "token counts equal, raw confirmed, 3 scores of which 0 is the reward"
    assert asking(server, head=1).values() != rm.values()


@pytest.mark.parametrize(
    ("name", "root", "wanted"),
    [
        ("rm", "/models/rm/", "org/rm"),
        ("served", "org/rm", "org/rm"),
        ("org/rm", None, "rm"),
        ("x", "/cache/huggingface/hub/models--org--rm/snapshots/0a1b2c", "org/rm"),
    ],
)
def test_the_names_of_a_model(start, asking, tokenizer, name, root, wanted):
    server = start(VLLM, tokenizer, "0.33.0", name=name, root=root)
    rm = asking(server, model=wanted)
    assert rm.values() == rm.true()
    assert server.bodies[-1]["model"] == name


def test_another_model_is_refused(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.33.0", name="org/other", root="/m/other")
    asking(server).refused("serves org/other (/m/other), and not org/rm. Ask for --model rm-server/org/other")


def test_a_namesake_of_another_organisation_is_a_warning(start, asking, tokenizer):
    rm = asking(start(VLLM, tokenizer, "0.33.0", name="else/rm"))
    rm.score()
    assert any("calls the model else/rm" in w for w in rm.warnings)


@pytest.mark.parametrize("version", ["0.11.2", "0.33.0"])
def test_without_a_tokenizer_the_server_renders(start, asking, tokenizer, version):
    server = start(VLLM, tokenizer, version, name="rm", root="/gone/rm")
    rm = asking(server, tokenizer=None, model="rm")
    assert rm.values() == rm.true()
    assert all("messages" in body for body in server.bodies)
    assert rm.facts["certificate"]["input"] == "messages"
    assert rm.facts["certificate"]["token_counts"] == "not comparable"
    assert rm.facts["parity"] == "token counts not comparable, raw confirmed, one score"
    assert any("the server renders the conversations" in w for w in rm.warnings)
    assert any("no folder here" in w for w in rm.warnings)


def test_without_a_tokenizer_an_old_version_has_no_switch(start, asking, tokenizer):
    server = start(VLLM, tokenizer, "0.11.0", name="rm", root="/gone/rm")
    asking(server, tokenizer=None, model="rm").refused("has no way to ask for raw scores at /pooling")


def test_the_servers_folder_is_the_tokenizers(start, asking, tokenizer, folder):
    server = start(VLLM, tokenizer, "0.33.0", name="rm", root=folder)
    rm = asking(server, tokenizer=None, model="rm")
    assert rm.values() == rm.true()
    assert rm.facts["certificate"]["input"] == "ids"


def test_a_tokenizer_without_a_template(start, asking, tokenizer, tmp_path):
    make_tokenizer(tmp_path, template=None)
    server = start(VLLM, tokenizer, "0.33.0")
    asking(server, tokenizer=str(tmp_path)).refused("has no chat template")
    asking(server, tokenizer=str(tmp_path / "gone")).refused("no such folder")


def test_an_api_key(start, asking, tokenizer, monkeypatch):
    server = start(VLLM, tokenizer, "0.33.0")
    server.fault = lambda path, body: (
        (401, {"error": "Unauthorized"}, {}) if server.keys[-1] != "Bearer secret" else None
    )
    asking(server).refused("it wants an API key: -M api_key=KEY, or RM_SERVER_API_KEY")
    monkeypatch.setenv("RM_SERVER_API_KEY", "secret")
    assert asking(server).values()
    monkeypatch.delenv("RM_SERVER_API_KEY")
    rm = asking(server, api_key="secret")
    assert rm.values()
    assert "secret" not in str(rm.facts)


def test_versions_are_read():
    assert parse("0.11.2") == parse("v0.11.2rc1") == parse("0.11.2.dev7+gabc") == (0, 11, 2)
    assert parse("0.33") == (0, 33, 0)
    assert parse("dev") == parse(None) == NEWEST
