"""`builtin/reference` in Inspect."""

import asyncio

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import get_model

from tail_bench import tasks
from tail_bench.graders.messages import candidate, prompt_messages
from tail_bench.graders.questions import require_judge
from tail_bench.ladders.schema import Ladder
from tail_bench.providers.builtin import NULL_GRADERS
from tail_bench.providers.reward_model import FACTS, rewards_of
from tail_bench.reference.model import load
from tests.helpers import run

TEXTS = ["The sky is blue because air scatters blue light more than red light.", "No.", "The sky is blue because the"]


def ask(prompt, texts=TEXTS):
    responses = [{"id": str(i), "text": t, "gold": i} for i, t in enumerate(texts)]
    ladder = Ladder.model_validate({"id": "x", "prompt": prompt, "responses": responses})
    messages = [*prompt_messages(ladder), *(candidate(r, "keep") for r in ladder.responses)]
    return asyncio.run(get_model("builtin/reference", memoize=False).generate(messages))


def values(output):
    return [r.value for r in rewards_of(output, len(output.choices))]


def test_rewards_are_the_model_s():
    assert values(ask("Why is the sky blue?")) == load().score("Why is the sky blue?", TEXTS).tolist()


def test_all_turns_of_a_prompt_are_read():
    turns = [
        {"role": "user", "content": 'Never use the word "air".'},
        {"role": "assistant", "content": "All right."},
        {"role": "user", "content": "Why is the sky blue?"},
    ]
    assert values(ask(turns)) == load().score("\n\n".join(t["content"] for t in turns), TEXTS).tolist()
    assert values(ask(turns))[0] < values(ask("Why is the sky blue?"))[0]


def test_facts_and_fingerprint_name_the_weights():
    sha256 = load().sha256
    facts = {"engine": "numpy", "dtype": "float32", "revision": sha256[:12], "activation": "none"}
    assert ask("Why?").metadata[FACTS] == facts
    assert sha256 in get_model("builtin/reference").api.fingerprint()


def test_it_is_no_null_grader_and_takes_no_arguments():
    assert sorted(NULL_GRADERS) == ["constant", "first", "longest", "random", "shortest"]
    with pytest.raises(PrerequisiteError, match="takes no -M arguments, got device"):
        get_model("builtin/reference", memoize=False, device="cpu")
    with pytest.raises(PrerequisiteError, match="builtin/reference"):
        get_model("builtin/refrence", memoize=False)


@pytest.mark.parametrize(
    ("task", "mode"), [("tail_judge", "pairwise"), ("tail_judge", "pointwise"), ("tail_rubric", "verify-each")]
)
def test_it_is_refused_as_judge_and_verifier(task, mode):
    with pytest.raises(PrerequisiteError, match="reward model: use it with tail_reward"):
        require_judge(get_model("builtin/reference"), task, mode)


def test_a_run_on_the_embedded_ladders(tmp_path):
    log = run(tasks.tail_reward(), "builtin/reference", tmp_path)
    assert log.status == "success", log.error
    metrics = {name: m.value for s in log.results.scores for name, m in s.metrics.items()}
    assert metrics["n_ladders"] == 9
    assert metrics["unscored_rate"] == 0
    # What the card says: below the tail it ranks well, in the tail it is a coin.
    assert metrics["body_accuracy"] > 0.8
    assert metrics["cross_accuracy"] > 0.6
    assert metrics["tail_accuracy_ci_low"] < 0.5 < metrics["tail_accuracy_ci_high"]
