"""From a conversation to the token ids that a reward model reads: chat template or text pair, and what may go wrong.

Whatever scores (transformers here, a server elsewhere), rendering is done here, so that no score depends on it: the
special tokens are those that the template writes, none is added, none is lost, and the response must still be there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageAssistant

from tail_bench.errors import InputError, printable
from tail_bench.graders.messages import INLINE_THINKING, message_dict

logger = logging.getLogger(__name__)

PAIR = "pair"
"""The template of a cross-encoder: prompt and response as a pair of texts."""

UNLIMITED = 1_000_000
"""Tokenizers without a limit of their own state a number as large as 1e30."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as a model reads it.

    text: what the chat template made of it (None for a pair; where it was cut, what its ids decode to). pair: prompt
    and response of a pair. ids: its tokens. type_ids: which of a pair each token is of, where the tokenizer says so.
    start: the index of the first token that holds some of the response, where it was asked for.
    """

    text: str | None
    pair: tuple[str, str] | None
    ids: tuple[int, ...]
    type_ids: tuple[int, ...] | None = None
    truncated: bool = False
    start: int | None = None


class Unrenderable(Exception):
    """Why a response cannot be scored: it is too long, or the template refuses it or loses some of it."""


class Renderer:
    """Renders conversations with a tokenizer.

    Args:
        tokenizer: of transformers.
        template: a chat template's text, or `pair`; by default the tokenizer's own.
        max_length: in tokens; None for no limit.
        step_token: put after each step (paragraph) of a response, as process reward models want it.
        name: of the model, for messages.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: str | None = None,
        max_length: int | None = None,
        step_token: str | None = None,
        name: str = "the model",
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.step_token = step_token
        self.pair = template == PAIR
        if not self.pair and template is None:
            try:
                template = tokenizer.get_chat_template()
            except ValueError as error:
                raise InputError(
                    f"{name}: its tokenizer has no chat template. Say how it was trained: -M template=FILE.jinja (a"
                    " chat template), or -M template=pair (prompt and response as a pair of texts, as OpenAssistant's"
                    " DeBERTa reward model)"
                ) from error
        self.template = None if self.pair else template
        self.template_hash = PAIR if template is None or self.pair else _hash(template)
        self.step_id: int | None = None
        if step_token is not None:
            self.step_id = tokenizer.convert_tokens_to_ids(step_token)
            if self.step_id is None or self.step_id == tokenizer.unk_token_id:
                raise InputError(f"{name}: -M step_token={step_token}: is no token of its tokenizer")
        self.cautions: tuple[str, ...] = ()
        sample = "" if self.pair else self._sample(name)
        self.fingerprint = f"{self.template_hash} {_hash(sample)} {self.max_length} {step_token}"
        self._kept: dict[str, tuple[str, str]] = {}

    def _sample(self, name: str) -> str:
        """A conversation as the template writes it; what is odd about the template goes into `cautions`."""
        import jinja2

        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
        try:
            text = str(self.tokenizer.apply_chat_template(turns, chat_template=self.template, tokenize=False))
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"{name}: its chat template cannot be read: {printable(str(error))[:200]}") from error
        except Exception:  # a template may want more turns than this
            return ""
        bos = self.tokenizer.bos_token_id
        plain = self.tokenizer("Hello", verbose=False)["input_ids"]
        if bos is not None and plain[:1] == [bos] and self.tokenizer.bos_token not in text:
            self.cautions += (
                "the chat template writes no BOS, which the tokenizer puts before plain text: none is added",
            )
        if "strftime_now" in (self.template or ""):
            self.cautions += ("the chat template writes the day's date: on another day it makes another text",)
        return text

    def render(
        self,
        prompt: Sequence[ChatMessage],
        response: ChatMessageAssistant,
        truncate: bool = False,
        start: bool = False,
    ) -> Rendered:
        """The conversation's tokens. `truncate`: cut on the right what is too long, as trainers do. `start`: also where
        the response begins.

        Unrenderable where it is too long, or the template refuses or loses some of it.
        """
        turns = [message_dict(m) for m in prompt]
        own = message_dict(response)
        if self.step_token is not None:
            if any(self.step_token in turn["content"] for turn in (*turns, own)):
                raise Unrenderable(f"it contains {self.step_token} itself, which marks the steps")
            steps = [s.strip() for s in re.split(r"\n\s*\n", own["content"]) if s.strip()]
            own["content"] = self.step_token.join(steps) + self.step_token
        if self.pair:
            return self._pair(turns, own, truncate)
        text = self._apply([*turns, own])
        _check_whole(text, turns, own, _common(text, self._without_response(turns)))
        encoded = self._encode(text, offsets=start)
        ids = tuple(encoded["input_ids"])
        begin = self._start(text, turns, encoded["offset_mapping"]) if start else None
        doubled = len(ids) > 1 and ids[0] == ids[1] == self.tokenizer.bos_token_id  # the template's, then another
        if doubled:
            ids, begin = ids[1:], begin - 1 if begin else begin
        if self._fits(len(ids), truncate):
            return Rendered(text, None, ids, start=begin)
        ids = ids[: self.max_length]
        if begin is None and self.tokenizer.is_fast:
            begin = self._start(text, turns, self._encode(text, offsets=True)["offset_mapping"]) - doubled
        if begin is not None and begin >= len(ids):
            raise Unrenderable(f"nothing of the response is left within {self.max_length:,} tokens")
        return Rendered(self.tokenizer.decode(ids), None, ids, truncated=True, start=begin if start else None)

    def _encode(self, text: str, offsets: bool) -> Any:
        try:
            return self.tokenizer(text, add_special_tokens=False, verbose=False, return_offsets_mapping=offsets)
        except (TypeError, UnicodeError) as error:  # half a character
            raise Unrenderable(f"the tokenizer refuses it: {first_line(error)}") from error

    def _apply(self, turns: Sequence[dict[str, Any]], **arguments: Any) -> str:
        import jinja2

        try:
            text = self.tokenizer.apply_chat_template(
                list(turns), chat_template=self.template, tokenize=False, **arguments
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            raise Unrenderable(f"the chat template refuses it: {printable(str(error))[:200]}") from error
        return str(text)

    def _without_response(self, turns: Sequence[dict[str, Any]]) -> str:
        """The conversation with a response like no other: where a text differs from it, its response begins."""
        return self._once_a_prompt("\ue000", [*turns, {"role": "assistant", "content": "\ue000"}])

    def _waiting_for_response(self, turns: Sequence[dict[str, Any]]) -> str:
        """The prompt as a policy is given it."""
        return self._once_a_prompt("", turns, add_generation_prompt=True)

    def _once_a_prompt(self, what: str, turns: Sequence[dict[str, Any]], **arguments: Any) -> str:
        """`_apply`, whose last text is kept: the responses to a prompt come one after the other."""
        key = json.dumps(turns, default=str)
        if self._kept.get(what, ("", ""))[0] != key:
            self._kept[what] = (key, self._apply(turns, **arguments))
        return self._kept[what][1]

    def _start(self, text: str, turns: Sequence[dict[str, Any]], offsets: Sequence[tuple[int, int]]) -> int:
        """The first token that holds some of the response: of what follows a prompt that waits for one."""
        common = _common(text, self._waiting_for_response(turns))
        return next((i for i, (begin, end) in enumerate(offsets) if end > common and end > begin), len(offsets))

    def _pair(self, turns: Sequence[dict[str, Any]], own: dict[str, Any], truncate: bool) -> Rendered:
        if len(turns) != 1 or turns[0]["role"] != "user":
            raise Unrenderable("template=pair takes prompts of one user message, and this one has more")
        if "reasoning_content" in own or "tool_calls" in own:
            raise Unrenderable(
                "template=pair takes plain text: this response has reasoning (-T thinking=strip leaves it out) or tool"
                " calls"
            )
        pair = (turns[0]["content"], own["content"])
        whole = self.tokenizer(*pair, verbose=False)
        truncated = not self._fits(len(whole["input_ids"]), truncate)
        if truncated:
            whole = self.tokenizer(*pair, truncation=True, max_length=self.max_length)
        types = whole.get("token_type_ids")
        return Rendered(None, pair, tuple(whole["input_ids"]), tuple(types) if types else None, truncated)

    def _fits(self, n: int, truncate: bool) -> bool:
        if self.max_length is None or n <= self.max_length:
            return True
        if not truncate:
            # Without its own length: a report counts equal reasons.
            raise Unrenderable(f"longer than the model takes (more than {self.max_length:,} tokens)")
        return False


def _check_whole(text: str, turns: Sequence[dict[str, Any]], own: dict[str, Any], response: int) -> None:
    """Unrenderable where something that was said is not in the rendered text. response: where its response begins."""
    place = 0
    for turn in turns:
        role, said = turn["role"], turn["content"].strip()
        if role == "system":  # may be put into the first user message
            if said not in text:
                raise Unrenderable("the chat template leaves out the system message")
            continue
        if role == "assistant":  # earlier reasoning may go, as it does while a policy writes
            said = INLINE_THINKING.sub("", said).strip()
        forms = [said]
        if role == "tool":  # templates may write it as JSON
            forms += [json.dumps(said, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
        found = next((at + len(form) for form in forms if (at := text.find(form, place)) >= 0), -1)
        if found < 0:
            raise Unrenderable(f"the chat template changes or leaves out a message of the {role}")
        place = found
    place = response
    for what, said in _parts(own):
        found = text.find(said, place)
        if found < 0:
            raise Unrenderable(f"the chat template changes or loses {what}")
        place = found + len(said)


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _parts(own: dict[str, Any]) -> list[tuple[str, str]]:
    """What of a response must come out of the template, in its order."""
    parts = []
    if "reasoning_content" in own:
        parts.append(("the response's reasoning (-T thinking=strip leaves it out)", own["reasoning_content"].strip()))
    text = own["content"]
    inline = INLINE_THINKING.match(text)
    if inline:  # templates that know reasoning may set it anew, with other white space around it
        thoughts = re.sub(r"</?think>", "", inline[0]).strip()
        parts.append(("the response's reasoning (-T thinking=strip leaves it out)", thoughts))
        text = text[inline.end() :]
    parts.append(("the response", text.strip()))
    parts += [("the response's tool calls", call["function"]["name"]) for call in own.get("tool_calls", [])]
    return parts


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def source_of(name: str, option: str = "--model rm/") -> str:
    """A model's folder as an absolute path, or its id on the Hugging Face hub; InputError where it is neither."""
    from tail_bench.paths import here

    folder = Path(here(name) or name).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        return name
    raise InputError(f"{option}{name}: no such folder (and a model on the Hugging Face hub is named ORGANISATION/NAME)")


def commit_of(source: str, revision: str | None) -> str | None:
    """The commit that a revision of a hub id is now; of a folder, or where it cannot be told, the revision as given."""
    if Path(source).is_dir():
        return revision
    import_transformers()
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        return extract_commit_hash(cached_file(source, "config.json", revision=revision), None) or revision
    except (OSError, ValueError):  # what is wrong is said where the configuration is loaded
        return revision


def load_tokenizer(source: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a folder or a hub id; InputError where there is none."""
    transformers = import_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=trust_remote_code
        )
    except Exception as error:  # a folder of a stranger, and its code where that was asked for
        raise InputError(f"{source}: its tokenizer cannot be loaded: {first_line(error)}") from error
    if len(tokenizer) == 0:
        raise InputError(f"{source}: has no tokenizer (tokenizer.json or a vocabulary)")
    return tokenizer


def load_renderer(
    source: str,
    *,
    revision: str | None = None,
    template: str | None = None,
    max_length: int | None = None,
    trust_remote_code: bool = False,
    step_token: str | None = None,
) -> Renderer:
    """The renderer of a model, from its folder or its hub id; InputError where it has no tokenizer or template.

    template: `pair`, or a file with a chat template; by default the tokenizer's. max_length: by default the least
    of what tokenizer and configuration state.
    """
    tokenizer = load_tokenizer(source, revision, trust_remote_code)
    chosen = template if template in (None, PAIR) else _read_template(str(template))
    stated = stated_length(source, tokenizer, revision, trust_remote_code)
    renderer = Renderer(tokenizer, chosen, max_length or stated, step_token, name=source)
    if max_length and stated and max_length > stated:
        renderer.cautions += (f"max_length={max_length} is more than the {stated:,} tokens that the model states",)
    return renderer


def stated_length(source: str, tokenizer: Any, revision: str | None, trust_remote_code: bool) -> int | None:
    """The most tokens that a model's tokenizer and configuration allow; None where neither says."""
    config = None
    try:
        config = import_transformers().AutoConfig.from_pretrained(
            source, revision=revision, trust_remote_code=trust_remote_code
        )
    except Exception:  # a folder with a tokenizer alone
        logger.debug("no configuration of %s", source, exc_info=True)
    return least_stated(tokenizer, config)


def least_stated(tokenizer: Any, config: Any) -> int | None:
    """The lesser of the lengths that a tokenizer and a configuration (None: there is none) state; None without any."""
    settings = config.get_text_config() if config is not None else None
    stated = (tokenizer.model_max_length, getattr(settings, "max_position_embeddings", None))
    known = [int(n) for n in stated if n and 0 < n < UNLIMITED]
    return min(known, default=None)


def _read_template(path: str) -> str:
    from tail_bench.paths import here

    try:
        return Path(here(path) or path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"-M template={path}: must be `pair` or a file with a chat template: {error}") from error


def import_transformers() -> Any:
    """transformers; InputError that names the extra where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "transformers is not installed: pip install 'tail-bench[hf]' for local models, 'tail-bench[server]' for"
            " the tokenizers of served ones"
        ) from error
    return transformers


def first_line(error: BaseException) -> str:
    """The first line of what a library says."""
    said = printable((str(error).strip() or type(error).__name__).splitlines()[0])[:300].rstrip(".")
    if "couldn't connect to" in said:
        said += " (a folder is named rm/./FOLDER; HF_HUB_OFFLINE=1 spares the tries)"
    return said
