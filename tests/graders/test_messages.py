"""A ladder as messages: nothing of a response is lost, and stripping takes the reasoning only."""

import json

import pytest

from tail_bench.graders.messages import candidate, prompt_messages, text_of
from tail_bench.ladders.schema import Ladder, Response
from tail_bench.providers.rm_python import message_dict
from tests.helpers import ladder

CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"city": "Oslo"}'}}


def response(**fields):
    return Response.model_validate({"id": "secret", "gold": 1, "tier": "great", "text": "It rains."} | fields)


def test_reasoning_and_tool_calls_are_kept():
    message = candidate(response(reasoning="Look outside.", tool_calls=[CALL]), "keep")
    assert message_dict(message) == {
        "role": "assistant",
        "content": "It rains.",
        "reasoning_content": "Look outside.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": {"city": "Oslo"}}}],
    }
    text = text_of(message)
    assert text.startswith("<think>\nLook outside.\n</think>\n\nIt rains.")
    assert json.dumps({"name": "lookup", "arguments": {"city": "Oslo"}}) in text


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": "Look outside."},
        {"text": "<think>Look outside.</think>\n\nIt rains."},
        {"reasoning": "a", "text": "<think>b</think>It rains."},
    ],
)
def test_strip_takes_reasoning_wherever_it_is(fields):
    assert text_of(candidate(response(**fields), "strip")) == "It rains."


@pytest.mark.parametrize(
    "text",
    ["Say </think> to close it.", "The tag <think>x</think> is for reasoning.", "It says <think> and never closes it"],
)
@pytest.mark.parametrize("thinking", ["keep", "strip"])
def test_a_text_that_only_mentions_the_tag_is_whole(text, thinking):
    assert text_of(candidate(response(text=text), thinking)) == text


@pytest.mark.parametrize(
    "text", ["<think>I was cut off</think>", "<think>I was cut off in the", "<think>a</think>\n<think>b"]
)
def test_nothing_left_is_said(text):
    with pytest.raises(ValueError, match="nothing is left"):
        candidate(response(text=text), "strip")
    assert text_of(candidate(response(text=text), "keep")) == text


@pytest.mark.parametrize(
    "call", [{"name": "f", "arguments": {"x": 1}}, {"function": {"name": "f", "arguments": '{"x": 1}'}}]
)
def test_tool_call_forms(call):
    (found,) = candidate(response(text="", tool_calls=[call]), "keep").tool_calls
    assert (found.function, found.arguments) == ("f", {"x": 1})


def test_malformed_tool_arguments_are_kept_as_they_are():
    (found,) = candidate(response(tool_calls=[{"name": "f", "arguments": "{oops"}]), "keep").tool_calls
    assert found.arguments == {"arguments": "{oops"}
    assert found.parse_error


def test_turns_of_a_prompt():
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    record = ladder(1, prompt=turns, source="my set", ground_truth="rain", split="public", canary="no", domain="talk")
    messages = prompt_messages(Ladder.model_validate(record))
    assert [m.role for m in messages] == ["system", "user", "assistant", "tool"]
    assert message_dict(messages[2])["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert message_dict(messages[3]) == {"role": "tool", "content": "rain", "tool_call_id": "c1"}
    assert messages[-1].metadata == {"columns": {"ground_truth": "rain", "source": "my set"}}
