"""A ladder as chat messages: the prompt, and each response as the assistant message that it would be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentReasoning,
    ContentText,
)
from inspect_ai.tool import ToolCall

from tail_bench.ladders.schema import Ladder, Message, Response

Thinking = Literal["keep", "strip"]
THINKING: tuple[Thinking, ...] = ("keep", "strip")

CANDIDATE = {"candidate": True}
"""Metadata of a response shown to a grader. Providers of ours see a message's metadata; others are never sent it."""

COLUMNS = "columns"
"""Metadata key, on the prompt's last message, of the ladder's extra fields (for reward functions that take columns)."""

# At the start only: further on, a response may speak of the tag. Never closed: it was cut off while it reasoned.
INLINE_THINKING = re.compile(r"\A\s*(?:<think>.*?(?:</think>\s*|\Z))+", re.DOTALL)


def prompt_messages(ladder: Ladder) -> list[ChatMessage]:
    """The prompt's messages; the ladder's own extra fields ride on the last one's metadata."""
    turns = [Message(role="user", content=ladder.prompt)] if isinstance(ladder.prompt, str) else ladder.prompt
    messages = [_message(turn) for turn in turns]
    columns = {**(ladder.model_extra or {}), **({"source": ladder.source} if ladder.source else {})}
    if columns:
        messages[-1].metadata = {COLUMNS: columns}
    return messages


def candidate(response: Response, thinking: Thinking) -> ChatMessageAssistant:
    """A response as an assistant message, its reasoning kept or stripped; its id, tier and gold are not in it.

    ValueError where stripping leaves nothing (a response that was cut off while it reasoned).
    """
    text, reasoning = response.text, response.reasoning
    if thinking == "strip":
        text, reasoning = INLINE_THINKING.sub("", text), None
        if not text.strip() and not response.tool_calls:
            raise ValueError("nothing is left of the response without its reasoning")
    return ChatMessageAssistant(
        content=_content(text, reasoning), tool_calls=_tool_calls(response.tool_calls), metadata=CANDIDATE
    )


def text_of(message: ChatMessage) -> str:
    """A message as one text, as a policy writes it: reasoning in <think>, then the text, then tool calls."""
    parts = []
    for part in message.content_list:
        if part.type == "reasoning":
            parts.append(f"<think>\n{part.reasoning}\n</think>\n\n")
        elif part.type == "text":
            parts.append(part.text)
    for call in (message.tool_calls or []) if isinstance(message, ChatMessageAssistant) else []:
        parts.append(f"\n<tool_call>\n{json.dumps({'name': call.function, 'arguments': call.arguments})}\n</tool_call>")
    return "".join(parts)


def message_dict(message: ChatMessage) -> dict[str, Any]:
    """A message as chat templates take it: role, content, and where it has them reasoning_content and tool_calls."""
    parts = message.content_list
    record: dict[str, Any] = {
        "role": message.role,
        "content": "".join(p.text for p in parts if p.type == "text"),
    }
    reasoning = "".join(p.reasoning for p in parts if p.type == "reasoning")
    if reasoning:
        record["reasoning_content"] = reasoning
    if isinstance(message, ChatMessageAssistant) and message.tool_calls:
        record["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.function, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if isinstance(message, ChatMessageTool) and message.tool_call_id:
        record["tool_call_id"] = message.tool_call_id
    return record


def shown_order(ladder: str, responses: Sequence[Response], seed: int) -> list[Response]:
    """The responses in an order that is random in the seed and the ladder's id, and the same on every machine."""

    def key(response: Response) -> bytes:
        return hashlib.sha256(f"{seed}\0{ladder}\0{response.id}".encode("utf-8", "surrogatepass")).digest()

    return sorted(responses, key=key)


def _message(turn: Message) -> ChatMessage:
    match turn.role:
        case "system":
            return ChatMessageSystem(content=turn.content)
        case "user":
            return ChatMessageUser(content=turn.content)
        case "tool":
            return ChatMessageTool(content=turn.content, tool_call_id=turn.tool_call_id)
        case "assistant":
            return ChatMessageAssistant(
                content=_content(turn.content, turn.reasoning), tool_calls=_tool_calls(turn.tool_calls)
            )


def _content(text: str, reasoning: str | None) -> str | list[Content]:
    return [ContentReasoning(reasoning=reasoning), ContentText(text=text)] if reasoning else text


def _tool_calls(calls: Sequence[Mapping[str, Any]] | None) -> list[ToolCall] | None:
    """Tool calls from OpenAI's form ({"id", "function": {"name", "arguments"}}) or flat ({"name", "arguments"})."""
    if not calls:
        return None
    found = []
    for number, call in enumerate(calls):
        function = call["function"] if isinstance(call.get("function"), Mapping) else call
        arguments, problem = function.get("arguments") or {}, None
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError as error:
                arguments, problem = {"arguments": arguments}, str(error)
        if not isinstance(arguments, dict):
            arguments = {"arguments": arguments}
        found.append(
            ToolCall(
                id=str(call.get("id") or f"call_{number}"),
                function=str(function.get("name") or ""),
                arguments=arguments,
                parse_error=problem,
            )
        )
    return found
