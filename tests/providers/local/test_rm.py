"""rm/: scores are those of a plain transformers loop, whatever the batch; what would bend them is refused."""

import asyncio
import random
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.model._model import init_active_model
from safetensors.torch import load_file, save_file

from tail_bench.logs import report_log
from tail_bench.providers.local import loading
from tail_bench.providers.rendering import commit_of
from tail_bench.providers.reward_model import ScoreRequest
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl
from tests.providers.local import models

TEXTS = ["answer", "the answer is more", "more " * 40, "a question? the answer is: no.", "x", "Ünïcode ✓ " * 7]
TEXTS += ["the " * 15]


def request(texts=TEXTS, prompt="Which is the answer?", **how):
    return ScoreRequest([ChatMessageUser(content=prompt)], [ChatMessageAssistant(content=t) for t in texts], **how)


def api(folder, provider="rm", **arguments):
    return get_model(f"{provider}/{folder}", memoize=False, **arguments).api


def values(rewards):
    assert all(r.reason is None for r in rewards), rewards
    return [r.value for r in rewards]


def score(folder, asked=None, **arguments):
    return asyncio.run(api(folder, **arguments).score(asked or request()))


def rendered(folder, texts=TEXTS, prompt="Which is the answer?"):
    """Ids as an author's loop makes them, one conversation at a time."""
    own = transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
        yield own(own.apply_chat_template(turns, tokenize=False), add_special_tokens=False, return_tensors="pt")


def plain(folder, inputs, kind=transformers.AutoModelForSequenceClassification, dtype=torch.float32):
    """The outputs of a plain loop."""
    model = kind.from_pretrained(folder, dtype=dtype).eval()
    with torch.no_grad():
        return [model(**own).logits.float() for own in inputs]


@pytest.mark.parametrize("name", ["llama", "qwen", "modernbert"])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_equal_to_a_plain_loop_whatever_the_batch_and_order(made, name, batch_size):
    folder = made(name)
    expected = [float(own) for own in plain(folder, rendered(folder))]
    assert max(expected) - min(expected) > 0.1
    assert values(score(folder, batch_size=batch_size)) == pytest.approx(expected, abs=1e-5)
    order = random.Random(batch_size).sample(range(len(TEXTS)), len(TEXTS))
    shuffled = values(score(folder, request([TEXTS[i] for i in order]), batch_size=batch_size))
    assert shuffled == pytest.approx([expected[i] for i in order], abs=1e-5)


def test_equal_where_many_ladders_are_in_flight(made):
    folder = made("llama")
    model = api(folder, batch_size=4)

    async def together():
        return await asyncio.gather(*(model.score(request(TEXTS[n:], f"Question {n % 3}?")) for n in range(6)))

    for n, found in enumerate(asyncio.run(together())):
        expected = [float(own) for own in plain(folder, rendered(folder, TEXTS[n:], f"Question {n % 3}?"))]
        assert values(found) == pytest.approx(expected, abs=1e-5)


def test_a_real_encoder_with_pairs_of_texts(encoder):
    own = transformers.AutoTokenizer.from_pretrained(encoder)
    inputs = [own("Which is the answer?", text, return_tensors="pt") for text in TEXTS]
    expected = [float(x) for x in plain(encoder, inputs)]
    assert values(score(encoder, template="pair", batch_size=3)) == pytest.approx(expected, abs=1e-5)


def test_one_bos_and_the_end_token_is_kept(made):
    model = api(made("llama"))
    (ids,) = {model.renderer.render(request().prompt, r).ids for r in request(["answer"]).responses}
    own = model.renderer.tokenizer
    assert ids.count(own.bos_token_id) == 1
    assert ids[0] == own.bos_token_id
    assert ids[-1] == own.eos_token_id
    assert own(own.decode(ids))["input_ids"][:2] == [own.bos_token_id] * 2  # what a naive loop would have scored


def test_a_model_without_a_pad_token_is_scored_as_one_by_one(made):
    folder = made("llama", pad=None)
    expected = [float(own) for own in plain(folder, rendered(folder))]
    assert values(score(folder)) == pytest.approx(expected, abs=1e-5)


def test_a_pad_token_that_is_the_end_token_is_said(made, tmp_path):
    folder = made("llama", pad="<|eot|>")
    model = api(folder)
    expected = [float(own) for own in plain(folder, rendered(folder))]
    assert values(asyncio.run(model.score(request()))) == pytest.approx(expected, abs=1e-5)
    assert "at the token before" in model.facts()["warnings"][0]


def test_bfloat16_keeps_a_head_in_float32(tmp_path):
    folder = models.llama(tmp_path)
    inputs = list(rendered(folder))
    coarse = [float(own) for own in plain(folder, inputs, dtype=torch.bfloat16)]
    model = api(folder, dtype="bfloat16")
    fine = values(asyncio.run(model.score(request())))
    assert model.facts()["dtype"] == "bfloat16"
    assert fine == pytest.approx(coarse, abs=0.05)
    steps = [float(torch.tensor(v).bfloat16()) for v in fine]
    assert sum(a != b for a, b in zip(steps, fine, strict=True)) >= 6  # between the steps that bfloat16 has


def test_several_heads(made):
    folder = made("llama", labels=3)
    expected = [float(own[0, 2]) for own in plain(folder, rendered(folder))]
    assert values(score(folder, head=2)) == pytest.approx(expected, abs=1e-5)
    assert values(score(folder, head="LABEL_2")) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_the_logit_of_a_token_of_a_causal_model(made, tied):
    folder = made("causal", tied=tied)
    outputs = plain(folder, rendered(folder), transformers.AutoModelForCausalLM)
    expected = [float(own[0, -1, 7]) for own in outputs]
    assert values(score(folder, output="token_logit:7")) == pytest.approx(expected, abs=1e-5)


STEPS = ["First the answer.\n\nThen more.\n\n\nThe end.", "One step only", "a\n\nb"]


@pytest.mark.parametrize(
    ("aggregate", "of"), [("min", min), ("last", lambda s: s[-1]), ("mean", lambda s: sum(s) / len(s)), ("prod", None)]
)
def test_a_process_reward_model(made, aggregate, of):
    folder = made("process")
    marked = ["<extra_0>".join(s.strip() for s in t.split("\n\n")) + "<extra_0>" for t in STEPS]
    inputs = list(rendered(folder, marked))
    outputs = plain(folder, inputs, transformers.AutoModelForTokenClassification)
    token = transformers.AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("<extra_0>")
    expected = []
    for own, given in zip(outputs, inputs, strict=True):
        good = own[0][given["input_ids"][0] == token].softmax(-1)[:, 1]
        expected.append(float(good.prod()) if of is None else of(good.tolist()))
    found = values(score(folder, request(STEPS), step_token="<extra_0>", aggregate=aggregate))
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_score_for_each_token_of_which_the_last_counts(made):
    folder = made("process", labels=1)
    outputs = plain(folder, rendered(folder), transformers.AutoModelForTokenClassification)
    assert values(score(folder)) == pytest.approx([float(own[0, -1, 0]) for own in outputs], abs=1e-5)


CODE = """
import torch
from transformers import LlamaConfig, LlamaModel, LlamaPreTrainedModel
from transformers.utils import ModelOutput
from dataclasses import dataclass

@dataclass
class Scored(ModelOutput):
    score: torch.Tensor = None
    logits: torch.Tensor = None

class OwnReward(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.head = torch.nn.Linear(config.hidden_size, 1)
        self.post_init()

    def forward(self, input_ids, attention_mask, **more):
        hidden = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        last = attention_mask.sum(-1) - 1
        return Scored(score=2 * self.head(hidden[torch.arange(len(last)), last])[:, 0], logits=hidden[:, 0])
"""


@pytest.fixture
def with_code(tmp_path):
    """A model with a class of its own, as ArmoRM has one."""
    folder = models.llama(tmp_path)
    (tmp_path / "own.py").write_text(CODE)
    weights = transformers.AutoModel.from_pretrained(folder).state_dict()
    renamed = {f"model.{name}": value for name, value in weights.items()}
    head = {"head.weight": torch.linspace(-1, 1, 32)[None], "head.bias": torch.zeros(1)}
    save_file(renamed | head, tmp_path / "model.safetensors", metadata={"format": "pt"})
    models.edit_config(
        folder,
        architectures=["OwnReward"],
        auto_map={"AutoModelForSequenceClassification": "own.OwnReward"},
    )
    return folder


def test_code_of_a_model_runs_only_when_asked_for_by_name(with_code, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(Exception, match="trust_remote_code=true"):
        score(with_code)
    model = api(with_code, trust_remote_code=True, output="score")
    found = values(asyncio.run(model.score(request())))
    assert len(set(found)) == len(TEXTS)
    assert model.facts()["architecture"] == "OwnReward"
    with pytest.raises(Exception, match="say which"):
        score(with_code, trust_remote_code=True, output="logits")


def test_what_is_too_long_is_unscored_or_cut(made):
    folder = made("llama")
    long, short = "more " * 200, "answer"
    unscored, scored = score(folder, request([long, short]), max_length=100)
    assert unscored.reason == "longer than the model takes (more than 100 tokens)"
    assert scored.value is not None
    assert not scored.truncated
    cut, scored = score(folder, request([long, short], truncate=True), max_length=100)
    assert cut.truncated
    assert not scored.truncated
    inputs = {name: value[:, :100] for name, value in next(rendered(folder, [long])).items()}
    assert cut.value == pytest.approx(float(plain(folder, [inputs])[0]), abs=1e-5)


def test_more_than_the_model_states_is_said(made):
    model = api(made("llama"), max_length=5000)
    values(asyncio.run(model.score(request())))
    assert model.facts()["warnings"] == ["max_length=5000 is more than the 4,096 tokens that the model states"]


def test_the_models_own_length_is_the_limit(made):
    (own,) = score(made("llama"), request(["ab " * 4000]))
    assert own.value is None
    assert "4,096" in own.reason


def test_a_response_that_the_template_tears_is_refused_and_no_other(made):
    torn, kept, reasoned, half = score(
        made("qwen"),
        request(
            ["It ends with </think> as a tag.", "answer", "<think>\nA thought.\n</think>\n\nanswer", "<think>cut off"]
        ),
    )
    assert torn.value is None
    assert torn.reason == "the chat template changes or loses the response"
    assert kept.value is not None
    assert reasoned.value is not None
    assert half.value is not None


def test_a_template_that_loses_reasoning_or_the_system_message_is_refused(made):
    asked = request(["answer"])
    system = replace(asked, prompt=[ChatMessageSystem(content="Be brief."), *asked.prompt])
    from inspect_ai.model import ContentReasoning, ContentText

    thought = ChatMessageAssistant(content=[ContentReasoning(reasoning="Hm."), ContentText(text="answer")])
    thinking = replace(asked, responses=[thought])
    assert score(made("llama"), system)[0].value is not None
    (own,) = score(made("llama"), thinking)
    assert "thinking=strip" in own.reason
    assert score(made("qwen"), thinking)[0].value is not None
    without = "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}"
    assert "leaves out the system message" in score(made("llama", template=without), system)[0].reason
    refusing = "{{ raise_exception('No system role') if messages[0]['role'] == 'system' }}{{ messages[-1]['content'] }}"
    assert "No system role" in score(made("llama", template=refusing), system)[0].reason


def test_a_template_of_ones_own(made, tmp_path):
    file = tmp_path / "own.jinja"
    file.write_text("{% for m in messages %}{{ m['content'] }}<|eot|>{% endfor %}")
    model = api(made("llama", template=None), template=str(file))
    own = model.renderer.tokenizer
    ids = model.renderer.render(request().prompt, request(["answer"]).responses[0]).ids
    assert own.decode(ids) == "Which is the answer?<|eot|>answer<|eot|>"
    assert model.renderer.template_hash != api(made("llama")).renderer.template_hash


def own_code(folder, code, name, auto, *, weights=None, **config):
    """Give a model a class of its own, whose code comes with it."""
    (Path(folder) / "own.py").write_text(code)
    models.edit_config(folder, architectures=[name], auto_map={auto: f"own.{name}"}, **config)
    if weights is not None:
        save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})


PROCESS = """
from transformers import Qwen2ForTokenClassification

class OwnProcess(Qwen2ForTokenClassification):
    pass
"""


def test_a_process_reward_model_with_code_of_its_own(made, tmp_path, monkeypatch):
    """As Qwen2.5-Math-PRM comes: of the two labels at a step the second is right."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = models.process(tmp_path)
    expected = values(score(made("process"), request(STEPS), step_token="<extra_0>", aggregate="min"))
    own_code(folder, PROCESS, "OwnProcess", "AutoModel")
    steps = {"step_token": "<extra_0>", "aggregate": "min", "trust_remote_code": True}
    model = api(folder, **steps)
    assert values(asyncio.run(model.score(request(STEPS)))) == pytest.approx(expected, abs=1e-5)
    assert "softmax" in model.facts()["activation"]
    with pytest.raises(Exception, match="2 numbers a response"):
        score(folder, trust_remote_code=True)


ARMO = """
import torch
from transformers import LlamaModel, LlamaPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

class Armo(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.regression_layer = torch.nn.Linear(config.hidden_size, 19, bias=False)
        self.transform = torch.nn.Parameter(torch.eye(19), requires_grad=False)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, **more):
        hidden = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        if self.config.pad_token_id is None:
            assert len(input_ids) == 1, "Cannot handle batch sizes > 1 if no padding token is defined."
            last = torch.tensor([-1])
        else:
            last = torch.eq(input_ids, self.config.pad_token_id).int().argmax(-1) - 1
        rewards = self.regression_layer(hidden[torch.arange(len(hidden)), last])
        output = SequenceClassifierOutputWithPast(logits=rewards)
        output["score"] = (rewards @ self.transform).mean(-1)
        return output
"""


@pytest.mark.parametrize("pad", ["<pad>", None])
def test_several_objectives_and_a_score_in_bfloat16(tmp_path, monkeypatch, pad):
    """As ArmoRM comes: 19 labels, parameters beside its modules, and a pooling of its own."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = models.llama(tmp_path, pad=pad)
    body = transformers.AutoModel.from_pretrained(folder).state_dict()
    weights = {f"model.{name}": value for name, value in body.items()}
    weights["regression_layer.weight"] = torch.linspace(-1, 1, 19 * 32).sin().reshape(19, 32)
    weights["transform"] = torch.eye(19)
    weights = {name: value.bfloat16().contiguous() for name, value in weights.items()}
    labels = {str(i): f"objective {i}" for i in range(19)}
    own_code(
        folder, ARMO, "Armo", "AutoModelForSequenceClassification", weights=weights, dtype="bfloat16", id2label=labels
    )
    model = api(folder, trust_remote_code=True, output="score")
    found = values(asyncio.run(model.score(request())))
    assert model.facts()["head_dtype"] == "bfloat16"
    plainly = transformers.AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    with torch.no_grad():
        expected = [float(plainly(**own)["score"]) for own in rendered(folder)]
    assert found == pytest.approx(expected, abs=0.02)
    with pytest.raises(Exception, match="19 numbers"):
        score(folder, trust_remote_code=True)


def test_end_tokens_may_be_several(tmp_path):
    folder = models.llama(tmp_path)
    models.edit_config(folder, eos_token_id=[7, 2])
    model = api(folder)
    values(asyncio.run(model.score(request())))
    assert "warnings" not in model.facts()


def test_a_model_that_does_not_fit_is_refused(made, monkeypatch):
    load = transformers.AutoModelForCausalLM.from_pretrained

    def offloaded(*args, **kwargs):
        model, info = load(*args, **kwargs)
        model.lm_head.to("meta")
        return model, info

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", offloaded)
    with pytest.raises(Exception, match="does not fit on the GPUs"):
        score(made("causal"), output="token_logit:7")


def test_a_prompt_that_leaves_no_room_is_unscored_not_tied(made):
    found = score(made("llama"), request(prompt="more " * 100, truncate=True), max_length=60)
    assert {r.reason for r in found} == {"nothing of the response is left within 60 tokens"}


def test_the_commit_of_a_revision_is_found_and_said(monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    found = f"/hub/snapshots/{commit}/config.json"
    monkeypatch.setattr("transformers.utils.hub.cached_file", lambda *a, **k: found)
    assert commit_of("org/name", "main") == commit
    model = api("org/name", revision="main")
    assert model.pinned.revision == commit
    monkeypatch.setattr(
        "transformers.utils.hub.cached_file", lambda *a, **k: f"/hub/snapshots/{commit[::-1]}/config.json"
    )
    assert api("org/name", revision="main").pinned.revision != commit


def test_a_second_run_after_the_memory_was_given_back(made):
    model = api(made("llama"))
    first = values(asyncio.run(model.score(request())))
    asyncio.run(model.aclose())
    assert model.loaded is None
    assert model.facts()["engine"] == "transformers"
    assert values(asyncio.run(model.score(request()))) == first


def test_a_model_whose_run_is_over_makes_room_for_the_next(made, monkeypatch):
    first, second = api(made("llama")), api(made("qwen"))
    values(asyncio.run(first.score(request())))
    load, refused = loading._load, []

    def too_little(source, *more):
        if first.loaded is not None:
            refused.append(source)
            raise loading.NoRoomError("too large")
        return load(source, *more)

    monkeypatch.setattr(loading, "_load", too_little)
    values(asyncio.run(second.score(request())))
    assert refused == [made("qwen")]
    assert first.loaded is None
    monkeypatch.setattr(loading, "_load", load)
    values(asyncio.run(first.score(request())))


def test_steps_cannot_be_forged(made):
    forged, own = score(made("process"), request(["One.<extra_0>", "One."]), step_token="<extra_0>")
    assert "contains <extra_0> itself" in forged.reason
    assert own.value is not None


def nan(folder):
    weights = load_file(f"{folder}/model.safetensors")
    weights["score.weight"] = weights["score.weight"] * float("nan")
    save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})


def test_nan_is_unscored(tmp_path):
    folder = models.llama(tmp_path)
    nan(folder)
    assert {r.reason for r in score(folder)} == {"returned nan"}


class TestBadInput:
    """What is wrong, and which option mends it."""

    def refused(self, folder, match, **arguments):
        def used():
            model = api(folder, **arguments)
            model.check()
            asyncio.run(model.score(request()))

        with pytest.raises(Exception, match=match) as raised:
            used()
        assert type(raised.value).__name__ in ("PrerequisiteError", "InputError")
        assert "\n" not in str(raised.value).strip() or "-M" in str(raised.value)

    def test_no_such_folder(self):
        self.refused("./nowhere", "no such folder.*ORGANISATION/NAME")

    def test_a_folder_that_is_no_model(self, tmp_path):
        self.refused(tmp_path, "no config.json")

    def test_an_adapter(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text("{}")
        self.refused(tmp_path, "merge it")

    def test_no_weights(self, tmp_path):
        (Path(models.llama(tmp_path)) / "model.safetensors").unlink()
        self.refused(tmp_path, "no weights")

    def test_pickled_weights(self, tmp_path):
        folder = Path(models.llama(tmp_path))
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        self.refused(tmp_path, "pickled.*safe_serialization")

    def test_damaged_weights(self, tmp_path):
        (Path(models.llama(tmp_path)) / "model.safetensors").write_bytes(b"\x00" * 100)
        self.refused(tmp_path, "cannot be loaded")

    def test_no_tokenizer(self, tmp_path):
        folder = Path(models.llama(tmp_path))
        for file in folder.glob("*token*"):
            file.unlink()
        self.refused(tmp_path, "tokenizer")

    def test_no_template(self, made):
        self.refused(made("llama", template=None), "template=FILE.jinja.*template=pair")

    def test_a_template_file_that_is_not_there(self, made):
        self.refused(made("llama"), "template=no.jinja", template="no.jinja")

    def test_a_causal_model(self, made):
        self.refused(made("causal"), "head would be random.*token_logit.*rm-dpo")

    def test_several_logits_and_no_head(self, made):
        self.refused(made("llama", labels=3), "3 numbers.*LABEL_0.*head=")

    def test_a_head_that_is_not_there(self, made):
        self.refused(made("llama", labels=3), "head=3: no such output; there is 0", head=3)

    def test_a_head_that_would_be_random(self, tmp_path):
        folder = models.causal(tmp_path)
        models.edit_config(folder, architectures=["LlamaForSequenceClassification"], num_labels=1)
        self.refused(folder, "score.weight.*new_head=true")
        assert len(set(values(score(folder, new_head=True)))) > 1

    def test_a_class_that_transformers_does_not_have(self, tmp_path):
        folder = models.llama(tmp_path)
        models.edit_config(folder, architectures=["LlamaQuantileForSequenceClassification"])
        self.refused(folder, "LlamaQuantileForSequenceClassification.*rm-python")

    def test_code_that_needs_what_is_not_there(self, tmp_path):
        folder = models.llama(tmp_path)
        own_code(folder, "import no_such_package_at_all", "Own", "AutoModelForSequenceClassification")
        self.refused(folder, "no_such_package_at_all", trust_remote_code=True)

    def test_a_template_that_is_no_template(self, tmp_path):
        self.refused(models.llama(tmp_path, template="{% for m in messages %}"), "template cannot be read")

    def test_an_unknown_architecture(self, tmp_path):
        folder = models.llama(tmp_path)
        models.edit_config(folder, architectures=["OwnReward"])
        self.refused(folder, "OwnReward.*rm-python")

    def test_a_token_that_is_not_there(self, made):
        self.refused(made("causal"), "vocabulary has", output="token_logit:99999")

    def test_an_output_that_is_not_there(self, made):
        self.refused(made("llama"), "has no score, but logits", output="score")

    def test_a_step_token_that_is_not_there(self, made):
        self.refused(made("process"), "no token of its tokenizer", step_token="<nope>")

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"output": "logit"}, "logits, score or token_logit"),
            ({"aggregate": "median"}, "aggregate"),
            ({"aggregate": "min"}, "step_token="),
            ({"dtype": "int8"}, "float32"),
            ({"batch_size": 0}, "batch_size"),
            ({"head": True}, "head"),
            ({"output": "token_logit:1", "head": 1}, "head= and step_token= do not go with it"),
            ({"device": 3}, "device=cuda:3"),
            ({"bathc_size": 4}, "bathc_size: no such option; there is device, dtype"),
            ({"device": "cuda:7"}, "device=cuda:7"),
            ({"device": "tpu"}, "device=tpu"),
        ],
    )
    def test_options(self, made, arguments, match):
        self.refused(made("llama"), match, **arguments)


def test_what_a_log_and_a_report_say(made, tmp_path):
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(11)])
    model = get_model(f"rm/{made('llama')}", memoize=False, max_length=34)
    log = run(tail_reward(dataset=str(data), truncate=True), model, tmp_path)
    assert log.status == "success", log.error
    report = report_log(log.location)
    about = report.grader.model_extra
    assert about["engine"] == "transformers"
    assert about["dtype"] == "float32"
    assert about["max_length"] == 34
    assert about["template_hash"] == api(made("llama")).renderer.template_hash
    assert 0 < report.scoring.truncated < 44
    assert report.scoring.repeat_flip_rate.n_ladders == 2
    assert report.scoring.repeat_flip_rate.value == 0
    assert 0 < report.scoring.score_resolution < 1
    assert report.cost.calls == 13


def test_a_model_that_cannot_score_ends_a_run_before_its_first_sample(made, tmp_path):
    def as_in_a_run():
        init_active_model(get_model(f"rm/{made('llama', labels=3)}", memoize=False), GenerateConfig())
        tail_reward()

    with pytest.raises(Exception, match="head=") as raised:
        copy_context().run(as_in_a_run)  # the active model is a context variable
    assert type(raised.value).__name__ == "PrerequisiteError"
