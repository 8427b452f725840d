"""Rendering: the tokens are the template's, and nothing that was said is lost on the way."""

import pytest
from inspect_ai.model import ChatMessageAssistant, ChatMessageTool, ChatMessageUser
from inspect_ai.tool import ToolCall

from tail_bench.providers.rendering import Renderer, Unrenderable
from tests.providers.local.models import LLAMA_TEMPLATE, tokenizer

ALL = "{% for m in messages %}<|start|>{{ m.role }}<|end|>{{ m.content }}<|eot|>{% endfor %}"


def renderer(own=ALL, **how):
    return Renderer(tokenizer(own), **how)


def rendered(template, response, prompt=None, **how):
    asked = prompt or [ChatMessageUser(content="Tell me a story.")]
    return renderer(template).render(asked, ChatMessageAssistant(content=response), **how)


def test_a_response_that_the_template_drops_is_missed_though_its_words_are_there():
    dropping = "{% for m in messages %}{{ m.role }}: {{ m.content if m.role == 'user' }}\n{% endfor %}"
    for response in ("assistant", "user", ":", "Tell me a story."):
        with pytest.raises(Unrenderable, match="changes or loses the response"):
            rendered(dropping, response)
        assert rendered(ALL, response).text.count(response) >= 1


@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
def test_earlier_turns_must_be_there(role):
    call = ToolCall(id="1", function="look_up", arguments={"q": "x"})
    prompt = [
        ChatMessageUser(content="First question."),
        ChatMessageAssistant(content="<think>Hm.</think>First answer.", tool_calls=[call]),
        ChatMessageTool(content='A "found" text', tool_call_id="1"),
        ChatMessageUser(content="Second question."),
    ]
    kept = f"m.content if m.role != '{role}' or loop.last"
    dropping = f"{{% for m in messages %}}{{{{ {kept} }}}}<|eot|>{{% endfor %}}"
    with pytest.raises(Unrenderable, match=f"leaves out a message of the {role}"):
        rendered(dropping, "Done.", prompt)
    as_json = "{% for m in messages %}{{ m.content | tojson if m.role == 'tool' else m.content }}<|eot|>{% endfor %}"
    without_thoughts = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}<|eot|>{% endfor %}"
    for template in (ALL, as_json, without_thoughts):
        assert rendered(template, "Done.", prompt).text.rstrip().endswith("Done.<|eot|>")


def test_the_response_begins_in_the_token_that_holds_some_of_it():
    """The prompt ends in a space, which one token joins to the response's first word."""
    template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{% if m.role == 'user' %} {% endif %}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    own = renderer(template)
    asked = [ChatMessageUser(content="Q")]
    found = own.render(asked, ChatMessageAssistant(content="the answer"), start=True)
    assert own.tokenizer.decode(found.ids[found.start :]).strip() == "the answer"
    assert "the" not in own.tokenizer.decode(found.ids[: found.start])


def test_odd_templates_are_said():
    assert renderer(LLAMA_TEMPLATE).cautions == ()
    (said,) = renderer("{% for m in messages %}{{ m.content }}{% endfor %}").cautions
    assert "writes no BOS" in said
    dated = "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    (said,) = renderer(dated).cautions
    assert "day's date" in said


def test_half_a_character_is_one_unrenderable_response():
    with pytest.raises(Unrenderable):
        rendered(ALL, "half \ud83d of it")


def test_the_fingerprint_holds_what_tokens_depend_on():
    prints = {
        renderer().fingerprint,
        renderer(LLAMA_TEMPLATE).fingerprint,
        renderer(max_length=10).fingerprint,
        renderer(step_token="<extra_0>").fingerprint,
        renderer(template="pair").fingerprint,
    }
    assert len(prints) == 5
