"""The null graders."""

import asyncio

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import get_model

from tail_bench.graders.messages import candidate, prompt_messages
from tail_bench.ladders.schema import Ladder
from tail_bench.providers.builtin import NULL_GRADERS
from tail_bench.providers.reward_model import rewards_of


def ask(name, texts, prompt="Why?"):
    record = {
        "id": "x",
        "prompt": prompt,
        "responses": [{"id": str(i), "text": t, "gold": i} for i, t in enumerate(texts)],
    }
    ladder = Ladder.model_validate(record)
    messages = [*prompt_messages(ladder), *(candidate(r, "keep") for r in ladder.responses)]
    output = asyncio.run(get_model(f"builtin/{name}", memoize=False).generate(messages))
    return [r.value for r in rewards_of(output, len(texts))]


def test_lengths_and_places():
    texts = ["aa", "a", "aaa"]
    assert ask("longest", texts) == [2, 1, 3]
    assert ask("shortest", texts) == [-2, -1, -3]
    assert ask("first", texts) == [0, -1, -2]
    assert ask("constant", texts) == [0, 0, 0]


def test_random_is_seeded_by_content():
    one = ask("random", ["a", "b", "c"])
    assert ask("random", ["c", "b", "a"]) == one[::-1]
    assert ask("random", ["a", "b", "c"], prompt="How?") != one
    assert all(0 <= value < 1 for value in one)


def test_random_is_fair():
    values = ask("random", [f"text {n}" for n in range(2000)])
    assert sum(values) / 2000 == pytest.approx(0.5, abs=0.03)


def test_unknown_names_and_arguments_are_refused():
    with pytest.raises(PrerequisiteError) as error:
        get_model("builtin/best", memoize=False)
    assert all(f"builtin/{name}" in error.value.message for name in NULL_GRADERS)
    with pytest.raises(PrerequisiteError):
        get_model("builtin/longest", memoize=False, tokens=True)


def test_a_null_grader_writes_no_text():
    with pytest.raises(ValueError, match="writes no text"):
        asyncio.run(get_model("builtin/longest", memoize=False).generate("Hello"))
