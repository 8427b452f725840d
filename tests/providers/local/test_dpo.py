"""rm-dpo/: the log-ratio of the response's tokens, and of no other."""

import asyncio

import pytest
import torch
import transformers
from inspect_ai.model import get_model

from tail_bench.logs import report_log
from tail_bench.tasks import tail_reward
from tests.helpers import ladder, run, write_jsonl
from tests.providers.local import models
from tests.providers.local.test_rm import TEXTS, request, values


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A policy and its reference."""
    return tuple(models.causal(tmp_path_factory.mktemp(f"seed{seed}"), seed=seed) for seed in (1, 2))


def score(policy, asked=None, **arguments):
    return asyncio.run(get_model(f"rm-dpo/{policy}", memoize=False, **arguments).api.score(asked or request()))


def log_ratios(policy, reference, texts=TEXTS):
    """A plain loop: (sum of log-ratios over the response, its end token and what follows it; tokens)."""
    own = transformers.AutoTokenizer.from_pretrained(policy)
    loaded = [
        transformers.AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32).eval() for f in (policy, reference)
    ]
    for text in texts:
        asked = [{"role": "user", "content": "Which is the answer?"}]
        prompt = own.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        whole = own.apply_chat_template([*asked, {"role": "assistant", "content": text}], tokenize=False)
        assert whole.startswith(prompt)
        n = len(own(prompt, add_special_tokens=False)["input_ids"])
        ids = own(whole, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logps = [m(ids).logits[0, n - 1 : -1].log_softmax(-1).gather(-1, ids[0, n:, None]).sum() for m in loaded]
        yield float(logps[0] - logps[1]), ids.shape[1] - n


@pytest.mark.parametrize("batch_size", [1, 4])
def test_equal_to_a_plain_loop(pair, batch_size):
    expected = list(log_ratios(*pair))
    policy, reference = pair
    assert values(score(policy, ref=reference, batch_size=batch_size)) == pytest.approx(
        [ratio for ratio, _ in expected], abs=1e-3
    )
    assert values(score(policy, ref=reference, batch_size=batch_size, norm="avg")) == pytest.approx(
        [ratio / n for ratio, n in expected], abs=1e-5
    )


def test_a_policy_that_is_its_own_reference_ties_everything_and_is_said(pair):
    policy, _ = pair
    model = get_model(f"rm-dpo/{policy}", memoize=False, ref=policy).api
    assert set(values(asyncio.run(model.score(request())))) == {0.0}
    assert "the same model" in model.facts()["warnings"][0]


def test_a_response_of_which_nothing_is_left_is_unscored(pair):
    policy, reference = pair
    (own,) = score(policy, request(["answer"], prompt="more " * 60, truncate=True), ref=reference, max_length=50)
    assert own.reason == "nothing of the response is left within 50 tokens"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "-M ref=... is needed"),
        ({"ref": "./nowhere"}, "ref=./nowhere: no such folder"),
        ({"norm": "median"}, "norm"),
        ({"template": "pair"}, "template=pair"),
    ],
)
def test_bad_input(pair, arguments, match):
    policy, reference = pair
    given = arguments if not arguments or "ref" in arguments else {"ref": reference, **arguments}
    with pytest.raises(Exception, match=match):
        score(policy, **given)


def test_a_classifier_is_no_policy(pair, made):
    with pytest.raises(Exception, match="no causal language model"):
        score(pair[0], ref=made("llama"))


def test_a_reference_with_other_tokens(pair, tmp_path):
    folder = models.causal(tmp_path)
    own = transformers.AutoTokenizer.from_pretrained(folder)
    own.add_tokens(["<new>"])
    own.save_pretrained(folder)
    with pytest.raises(Exception, match="vocabulary"):
        score(pair[0], ref=folder)


def test_through_inspect(pair, tmp_path):
    """Inspect makes a second provider without the -M arguments."""
    data = write_jsonl(tmp_path / "data.jsonl", [ladder(n) for n in range(3)])
    policy, reference = pair
    model = get_model(f"rm-dpo/{policy}", memoize=False, ref=reference, norm="avg")
    log = run(tail_reward(dataset=str(data)), model, tmp_path)
    report = report_log(log.location)
    assert report.unscored.count == 0
    assert report.grader.model_extra["norm"] == "avg"
    assert report.grader.model_extra["reference"] == reference
