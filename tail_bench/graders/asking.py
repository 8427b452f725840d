"""Ask a language model a question, once or with several votes, and find out on the way what it does not give."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from inspect_ai.model import (
    CachePolicy,
    ChatCompletionChoice,
    ChatMessage,
    GenerateConfig,
    Model,
)
from inspect_ai.util import collect

from tail_bench.errors import printable
from tail_bench.graders.verdicts import Reply
from tail_bench.prices import ADDRESS

logger = logging.getLogger(__name__)

TOP_LOGPROBS = 20
"""As many rivals of each token as OpenAI's interface gives; --top-logprobs for a server that gives fewer."""

ATTEMPT_TIMEOUT = 600
"""Seconds after which an attempt counts as hung and is made again; --attempt-timeout sets another."""

REFUSED = (400, 403, 413, 422)
"""What a server answers to a request that it will not serve, though it may serve another; 401 and 404 hold for all."""

HOPELESS = 10
"""After so many failed questions, of several ladders, and not one answer, the run stops: it is not the question."""

UNREADABLE = (TypeError, AttributeError, LookupError, ValueError)
"""What a provider's library raises on a reply that is not as it should be (ValueError: also pydantic's and JSON's)."""


@dataclass
class Asked:
    """What came of a question: its replies, and how many calls they took (attempts of one call are not counted)."""

    replies: list[Reply] = field(default_factory=list)
    calls: int = 0


@dataclass
class Asker:
    """Asks a model; one for a run and model, since it remembers what the model was found not to give.

    votes: how many replies a question gets. logprobs: whether the replies' log-probabilities are of use. max_tokens and
    temperature: the preset's; the user's own settings come first.
    """

    model: Model
    votes: int = 1
    logprobs: bool = True
    max_tokens: int | None = None
    temperature: float | None = None
    gives_logprobs: bool | None = None
    one_choice: bool = False
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    async def ask(self, messages: Sequence[ChatMessage], ladder: str) -> Asked:
        """The replies to a question about a ladder, as many as votes. One that could not be had is a Reply with an
        error."""
        asked = Asked()
        if self.votes > 1 and not self.one_choice:
            asked.replies = await self._call(messages, ladder, self.votes, "all", asked)
            if asked.replies[0].refused:  # some servers refuse to give several
                asked.replies = await self._one_by_one(messages, ladder, range(self.votes), asked)
                self.one_choice = self.one_choice or any(r.error is None for r in asked.replies)
            elif asked.replies[0].error is not None:
                asked.replies *= self.votes
            elif len(asked.replies) == 1:  # and some give one, whatever they are asked for
                self.one_choice = True
        missing = range(len(asked.replies), self.votes)
        asked.replies += await self._one_by_one(messages, ladder, missing, asked)
        return asked

    async def _one_by_one(
        self, messages: Sequence[ChatMessage], ladder: str, votes: range, asked: Asked
    ) -> list[Reply]:
        if len(votes) == 1:
            return await self._call(messages, ladder, 1, str(votes[0]), asked)
        found = await collect(*(self._call(messages, ladder, 1, str(vote), asked) for vote in votes))
        return [reply for replies in found for reply in replies]

    async def _call(
        self, messages: Sequence[ChatMessage], ladder: str, n: int, vote: str, asked: Asked, logprobs: bool = True
    ) -> list[Reply]:
        """n replies or fewer; a single one with an error where there are none."""
        from inspect_ai.model._model import ModelGenerateError
        from tenacity import RetryError

        logprobs = logprobs and self.logprobs and self.gives_logprobs is not False
        asked.calls += 1
        try:
            output = await self.model.generate(
                list(messages),
                config=self._config(n, logprobs),
                cache=cache_policy(self.model, lambda: {"vote": vote}),
            )
        except RetryError as error:
            last = error.last_attempt.exception()
            attempts = error.last_attempt.attempt_number
            tried = f"{attempts} attempts" if attempts > 1 else "1 attempt"
            return self._failure(ladder, f"no answer after {tried}: {said(last)}")
        except Exception as error:
            status, message = _status(error), said(error)
            if status in REFUSED and logprobs and not self.gives_logprobs and _speaks_of_logprobs(message):
                asked.calls -= 1  # a refusal costs nothing
                replies = await self._call(messages, ladder, n, vote, asked, logprobs=False)
                if replies[0].error is None:
                    self._without_logprobs(message)
                return replies
            if status in REFUSED and n > 1:
                asked.calls -= 1
                return [Reply(error=message, refused=True)]
            if status in REFUSED and _speaks_of_context(message):
                return [Reply(error=f"longer than the model's context: {message}")]
            if status in REFUSED:
                return self._failure(ladder, f"the server refused it ({status}): {message}")
            if status is None and isinstance(error, (*UNREADABLE, ModelGenerateError)):
                return self._failure(ladder, f"a reply that cannot be read ({type(error).__name__}: {message})")
            raise
        if not output.empty and output.stop_reason == "model_length":
            return [Reply(error=f"longer than the model's context: {' '.join(output.completion.split())[:300]}")]
        if output.empty or output.error:
            why = " ".join((output.error or "nothing came back").split())
            return self._failure(ladder, f"no answer: {why[:300]}")
        self.answered += 1
        replies = [_reply(choice) for choice in output.choices]
        if any(r.logprobs for r in replies):
            self.gives_logprobs = True
        elif logprobs and self.gives_logprobs is None and any(r.text.strip() and not r.cut_off for r in replies):
            self._without_logprobs("its replies come without them")
        return replies

    def _config(self, n: int, logprobs: bool) -> GenerateConfig:
        """What this question needs beyond what the user set."""
        theirs = user_config(self.model)
        mine = GenerateConfig()
        if theirs.max_tokens is None:
            mine.max_tokens = self.max_tokens
        if theirs.temperature is None:
            # A single vote should be the model's most likely; several are drawn as it draws, or they would be copies.
            mine.temperature = self.temperature or (0.0 if self.votes == 1 else None)
        if theirs.attempt_timeout is None:
            mine.attempt_timeout = ATTEMPT_TIMEOUT
        if logprobs and theirs.logprobs is not False:
            mine.logprobs = True
            mine.top_logprobs = theirs.top_logprobs or TOP_LOGPROBS
        if n > 1:
            mine.num_choices = n
        return mine

    def _without_logprobs(self, why: str) -> None:
        if self.gives_logprobs is None:
            self.gives_logprobs = False
            logger.warning(
                f"{self.model} gives no log-probabilities ({printable(why)}): verdicts are taken as written."
            )

    def _failure(self, ladder: str, why: str) -> list[Reply]:
        self.failed.append(ladder)
        if self.answered == 0 and len(self.failed) >= HOPELESS and len(set(self.failed)) > 2:
            raise RuntimeError(f"the first {len(self.failed)} questions got no answer; the last: {why}")
        return [Reply(error=why)]


def user_config(model: Model) -> GenerateConfig:
    """What the user set for the model: on the command line, in eval() or in get_model()."""
    from inspect_ai.model._generate_config import active_generate_config

    return active_generate_config().merge(model.config)


def cache_policy(model: Model, scopes: Callable[[], Mapping[str, str]]) -> bool | CachePolicy:
    """The user's cache policy, told apart by what Inspect's cache key leaves out: provider arguments, addresses that
    come from the environment, and `scopes` (asked for only with a cache: a model's fingerprint reads files)."""
    config = user_config(model)
    if not config.cache:
        return False
    policy = config.cache if isinstance(config.cache, CachePolicy) else CachePolicy()
    addresses = {name: value for name, value in os.environ.items() if name.endswith(ADDRESS)}
    left_out = repr((sorted(model.model_args.items()), sorted(addresses.items())))
    provider = {"provider": hashlib.sha256(left_out.encode()).hexdigest()}
    return policy.model_copy(update={"scopes": {**policy.scopes, **provider, **scopes()}})


def _reply(choice: ChatCompletionChoice) -> Reply:
    text = choice.message.text
    if choice.stop_reason == "content_filter":
        return Reply(error=f"the provider's filter stopped it: {text[:200]}")
    tokens = choice.logprobs.content if choice.logprobs else None
    return Reply(text, choice.stop_reason in ("max_tokens", "model_length"), tokens or None)


def _status(error: BaseException) -> int | None:
    """The HTTP status that a provider's exception carries, wherever its library puts it."""
    for attribute in ("status_code", "code", "status", "http_status"):
        value = getattr(error, attribute, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        value = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return value if isinstance(value, int) else None
    return _status(error.__cause__) if error.__cause__ is not None else None


def said(error: BaseException | None) -> str:
    """The server's own message in a provider's exception, on one line."""
    if error is None:
        return "unknown error"
    body = getattr(error.__cause__ or error, "body", None)
    message = body.get("message") if isinstance(body, Mapping) else None
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        message = body["error"].get("message", message)
    text = message or getattr(error, "provider_message", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:300]


def _speaks_of_context(message: str) -> bool:
    plain = message.casefold()
    return "context" in plain and any(word in plain for word in ("exceed", "maximum", "too long", "longer"))


def _speaks_of_logprobs(message: str) -> bool:
    plain = message.casefold().replace("_", "").replace(" ", "").replace("-", "")
    return "logprob" in plain
