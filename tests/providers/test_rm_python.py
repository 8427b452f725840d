"""rm-python: three signatures told apart, and callables that fail in every way on some responses."""

import asyncio
import threading
from pathlib import Path

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import get_model

from tail_bench.graders.messages import candidate, prompt_messages
from tail_bench.ladders.schema import Ladder
from tail_bench.providers.reward_model import rewards_of
from tests.providers import rewards

HERE = "tests.providers.rewards"


@pytest.fixture(autouse=True)
def _no_calls():
    rewards.calls.clear()


def ask(name, texts, model_args=None, **fields):
    record = {
        "id": "x",
        "prompt": "How much?",
        "responses": [{"id": str(i), "text": t, "gold": i} for i, t in enumerate(texts)],
    }
    ladder = Ladder.model_validate(record | fields)
    model = get_model(f"rm-python/{HERE}:{name}", memoize=False, **(model_args or {}))
    messages = [*prompt_messages(ladder), *(candidate(r, "keep") for r in ladder.responses)]
    return rewards_of(asyncio.run(model.generate(messages)), len(texts))


def values(found):
    return [r.value for r in found]


def test_conversations():
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How much?"}]
    assert values(ask("conversations", ["one", "three"], prompt=system)) == [3, 5]
    ((_, said),) = rewards.calls
    assert said == [[*system, {"role": "assistant", "content": t}] for t in ("one", "three")]


def test_trl_gets_strings_and_columns():
    found = ask("trl", ["42!", "42 or 42"], ground_truth="42", level=3, source="my set")
    assert values(found) == [1, 2]
    ((_, prompts, completions, truths, columns),) = rewards.calls
    assert (prompts, completions, truths) == (["How much?"] * 2, ["42!", "42 or 42"], ["42"] * 2)
    assert columns == {"level": [3, 3], "source": ["my set"] * 2}


def test_trl_token_ids_are_not_there_and_that_is_said():
    assert values(ask("trl_lists_ids", ["one", "three"])) == [3, 5]
    found = ask("trl_reads_ids", ["one", "three"])
    assert values(found) == [None, None]
    assert "NoneType" in found[0].reason


def test_trl_async_and_numpy():
    assert values(ask("trl_async", ["one", "three"])) == [3, 5]


def test_trl_conversational_where_the_prompt_is_or_where_asked():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert values(ask("trl_conversational", ["one", "three"], prompt=turns)) == [3, 5]
    assert values(ask("trl_conversational", ["one", "three"], {"format": "conversational"})) == [3, 5]
    assert "string indices" in ask("trl_conversational", ["one", "three"])[0].reason


def test_verl():
    found = ask("compute_score", ["so 42", "so 41"], ground_truth="42", source="gsm8k", extra_info={"index": 1})
    assert values(found) == [1, 0]
    assert rewards.calls[0] == ("verl", "gsm8k", "so 42", "42", {"index": 1})


def test_verl_without_extra_info_and_with_a_bool():
    assert values(ask("verl_plain", ["so 42", "so 41"], ground_truth="42")) == [1, 0]


@pytest.mark.parametrize("name", ["scorer", "scorer.bound"])
def test_objects_methods_and_arrays(name):
    assert values(ask(name, ["one", "three"])) == [6, 10]


def test_one_bad_response_nulls_only_itself():
    found = ask("by_content", ["fine", "raise", "nan", "none", "text", "inf", "list", "good"])
    assert values(found) == [1.5, None, None, None, None, None, None, 1.5]
    assert [r.reason for r in found[1:7]] == [
        "raised RuntimeError: cannot score [bold]this[/bold]",
        "returned nan",
        "returned None",
        "returned str '0.5', not a number",
        "returned inf",
        "returned list [1.0], not a number",
    ]


def test_too_few_rewards_are_asked_for_one_by_one():
    assert values(ask("too_few", ["one", "three"])) == [3, 5]


@pytest.mark.parametrize("name", ["a_number", "nothing"])
def test_a_return_that_is_no_list_leaves_all_unscored(name):
    found = ask(name, ["one", "three"])
    assert values(found) == [None, None]
    assert "not a list of 1 rewards" in found[0].reason


def test_a_function_that_changes_its_input_changes_no_other_reward():
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    assert values(ask("trl_mutates", ["x", "y", "z"], prompt=turns, tags=["t"])) == [5, 5, 5]
    assert values(ask("verl_mutates", ["x", "y", "z"], extra_info={"x": 2})) == [2, 2, 2]


@pytest.mark.parametrize("name", ["no_arguments", "keyword_only", "verl_batched", "verl_positional"])
def test_a_function_that_cannot_be_called_is_refused_before_any_call(name):
    with pytest.raises(PrerequisiteError) as error:
        get_model(f"rm-python/{HERE}:{name}", memoize=False)
    assert "The forms are f(conversations)" in error.value.message


def test_a_function_that_exits_does_not_end_the_run():
    assert ask("exits", ["one", "three"])[0].reason == "raised RuntimeError: SystemExit: no GPU"


def test_all_calls_are_in_one_thread_that_is_not_the_event_loops():
    model = get_model(f"rm-python/{HERE}:same_thread", memoize=False)
    ladder = Ladder.model_validate(
        {"id": "x", "prompt": "p", "responses": [{"id": i, "text": i, "gold": 1} for i in "ab"]}
    )
    messages = [*prompt_messages(ladder), *(candidate(r, "keep") for r in ladder.responses)]

    async def together():
        await asyncio.gather(*(model.generate(messages) for _ in range(20)))

    asyncio.run(together())
    assert len(rewards.calls) == 20
    assert len(set(rewards.calls)) == 1
    assert threading.get_ident() not in rewards.calls


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{HERE}", "write rm-python/MODULE:CALLABLE"),
        (f"{HERE}:", "write rm-python/MODULE:CALLABLE"),
        ("no_such_module:f", "no module 'no_such_module'"),
        ("tests.providers.no_such:f", "no module"),
        (f"{HERE}:no_such", "has no 'no_such'; callables there:"),
        (f"{HERE}:not_callable", "is of type int"),
        (f"{HERE}:Scorer", "is of type type"),
    ],
)
def test_what_is_not_there_is_said_before_any_call(name, said):
    with pytest.raises(PrerequisiteError) as error:
        get_model(f"rm-python/{name}", memoize=False)
    assert said in error.value.message


def test_a_module_that_exits_or_fails_to_import(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("exiting_reward.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(PrerequisiteError) as error:
        get_model("rm-python/exiting_reward:f", memoize=False)
    assert "importing 'exiting_reward' failed: raised SystemExit: 0" in error.value.message
    Path("broken_reward.py").write_text("import no_such_dependency\n")
    with pytest.raises(PrerequisiteError) as error:
        get_model("rm-python/broken_reward:f", memoize=False)
    assert "importing 'broken_reward' failed: No module named 'no_such_dependency'" in error.value.message


@pytest.mark.parametrize("arguments", [{"format": "xml"}, {"batch": 3}])
def test_wrong_arguments(arguments):
    with pytest.raises(PrerequisiteError):
        get_model(f"rm-python/{HERE}:slow", memoize=False, **arguments)


@pytest.mark.parametrize("name", ["builtins:len", "functools:partial.__call__", "operator:neg"])
def test_callables_without_a_source_have_a_fingerprint(name):
    assert get_model(f"rm-python/{name}", memoize=False).api.fingerprint()


def test_fingerprint_follows_the_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prints = []
    for version, arguments in (("1.0", {}), ("1.0", {"format": "standard"}), ("2.0", {})):
        Path(f"reward_{len(prints)}.py").write_text(
            f"def f(conversations):\n    return [{version}] * len(conversations)\n"
        )
        prints.append(get_model(f"rm-python/reward_{len(prints)}:f", memoize=False, **arguments).api.fingerprint())
    assert len(set(prints)) == 3
    Path("kept.py").write_text("class Scorer:\n    def __call__(self, conversations):\n        return []\n")
    for factor in (1, 2):  # an object of a class that is written elsewhere
        Path(f"made_{factor}.py").write_text(f"import kept\nscorer = kept.Scorer()\nscorer.factor = {factor}\n")
        prints.append(get_model(f"rm-python/made_{factor}:scorer", memoize=False).api.fingerprint())
    assert len(set(prints)) == 5
