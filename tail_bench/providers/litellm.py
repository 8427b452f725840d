"""Judges through LiteLLM, in process: `litellm/MODEL`, where MODEL is any name that LiteLLM knows."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from inspect_ai._util.http import is_retryable_http_status, parse_retry_after
from inspect_ai.log._samples import set_active_model_event_call
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelCall, ModelOutput
from inspect_ai.model import messages_to_openai as to_openai
from inspect_ai.model._model import RetryDecision
from inspect_ai.model._openai import (
    chat_choices_from_openai,
    model_output_from_openai,
    openai_chat_tool_choice,
    openai_chat_tools,
    openai_completion_params,
    openai_media_filter,
    openai_refusal_model_output,
)
from inspect_ai.model._providers._litellm_proxy_errors import (
    CONTEXT_WINDOW_MARKERS,
    upstream_message,
    with_upstream_refusals,
)
from inspect_ai.tool import ToolChoice, ToolInfo
from openai.types.chat import ChatCompletion

from tail_bench.errors import prerequisite_error

logger = logging.getLogger(__name__)

OVERFLOW = (*CONTEXT_WINDOW_MARKERS, "exceeds the available context size")
"""How servers say that a prompt is too long; the last is llama.cpp's."""

OTHER_KEYS = {
    "HUGGINGFACE_API_KEY": "HF_TOKEN",
    "OPENROUTER_API_KEY": "OR_API_KEY",
    "REPLICATE_API_KEY": "REPLICATE_API_TOKEN",
}
"""Keys that LiteLLM also takes under another name, of which its validate_environment() knows nothing."""

ORGANISATIONS = {"gemini": "google", "vertex_ai": "google", "xai": "grok"}
"""LiteLLM's names of providers that Inspect's model database calls otherwise."""

DROPPABLE = (
    "temperature top_p n stop max_tokens presence_penalty frequency_penalty logit_bias seed logprobs top_logprobs"
    " reasoning_effort response_format tools tool_choice parallel_tool_calls user"
)
"""What LiteLLM does not send to a provider that does not take it."""

SECRET = re.compile("key|token$|secret|password|credential|header|client")
"""Names of model arguments that a log must not show."""


def load() -> Any:
    """LiteLLM, quiet and offline. Its import takes seconds, so it waits until a model of ours is asked for."""
    # Both are read as it is imported. Else it fetches its price map from GitHub, and loads any .env above the
    # installed package, whose keys nobody chose (Inspect has loaded the .env of the working directory).
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # Else counting tokens for a name with "llama-3" in it asks Hugging Face for a tokenizer.
    litellm.disable_hf_tokenizer_download = True
    return litellm


class ServerError(Exception):
    """What a server, or the way to it, said without LiteLLM's words around it, and whether to ask again."""

    def __init__(self, message: str, status_code: int | None, decision: RetryDecision, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.decision = decision
        self.body = {"status_code": status_code, "message": message, **body}  # Inspect logs it as the response


class LiteLLM(ModelAPI):
    """`litellm/MODEL`, for example litellm/openai/gpt-4o-mini; -M arguments go to litellm.acompletion().

    A parameter that a provider does not take is not sent, with one warning; -M drop_params=false makes it an error.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        **model_args: Any,
    ) -> None:
        litellm = load()
        self.model: str
        self.provider: str
        try:
            self.model, self.provider, found_key, _ = litellm.get_llm_provider(
                model_name, model_args.get("custom_llm_provider"), base_url or model_args.get("api_base"), api_key
            )
        except litellm.BadRequestError as error:
            said = upstream_message(str(error))
            if "Provider NOT provided" in said:
                said = (
                    "LiteLLM knows no such provider or model; write litellm/PROVIDER/MODEL, for example"
                    " litellm/openai/gpt-4o-mini, or litellm/hosted_vllm/MODEL with --model-base-url"
                )
            raise prerequisite_error(f"litellm/{model_name}: {said}") from error
        super().__init__(model_name, base_url, api_key, [f"{self.provider.upper()}_API_KEY"], config)
        self.model_args = model_args
        self.warned: set[str] = set()
        missing = [] if self.api_key or found_key else missing_keys(model_name, self.provider)
        elsewhere = base_url or any(SECRET.search(name) or "base" in name or "mock" in name for name in model_args)
        if missing and not elsewhere:
            raise prerequisite_error(
                f"litellm/{model_name}: set {' or '.join(missing)}, or name a server of your own with --model-base-url"
            )
        # Servers of one's own mostly want no key, but the clients of several providers refuse to go without.
        self.no_key = "none" if missing and base_url else None

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        params = openai_completion_params(self.model_name, config, tools=bool(tools))
        params["messages"] = await to_openai(input)
        if tools:
            params |= {"tools": openai_chat_tools(tools), "tool_choice": openai_chat_tool_choice(tool_choice)}
        params |= {"drop_params": True, "api_base": self.base_url} | self.model_args
        self._warn_of_dropped(params)
        call = set_active_model_event_call(
            {name: value for name, value in params.items() if not SECRET.search(name)}, openai_media_filter
        )
        params |= {"api_key": self.api_key or self.no_key, "num_retries": 0, "max_retries": 0}  # Inspect retries
        if config.extra_headers:
            params["extra_headers"] = config.extra_headers
        outer, start = sys.exception(), time.monotonic()
        try:
            response = await load().acompletion(**params)
        except Exception as error:
            failure = failure_of(error, outer)
            call.set_error(failure.body, time.monotonic() - start)
            if failure.decision.retry:
                raise failure from None  # Inspect renders every traceback of a chain, for each attempt
            return self._refused(error, failure) or failure, call
        reply = response.model_dump()
        call.set_response(reply, time.monotonic() - start)
        return output_of(reply, tools), call

    def _warn_of_dropped(self, params: dict[str, Any]) -> None:
        takes = load().get_supported_openai_params(self.model, self.provider)
        if takes is None or not params["drop_params"]:
            return
        takes = {*takes, *params.get("allowed_openai_params", [])}
        dropped = (params.keys() & DROPPABLE.split()) - takes - self.warned
        self.warned |= dropped
        if dropped:
            logger.warning(f"litellm/{self.model_name} takes no {', '.join(sorted(dropped))}: not sent")

    def _refused(self, error: Exception, failure: ServerError) -> ModelOutput | None:
        """An output where the server refused the text, not the call: it is too long, or against its policy."""
        litellm = load()
        said = str(failure)
        overflow = any(mark in said.lower() for mark in OVERFLOW)
        if overflow or isinstance(error, litellm.ContextWindowExceededError):
            return ModelOutput.from_content(self.model_name, said, "model_length", error=said)
        if isinstance(error, litellm.ContentPolicyViolationError):
            return ModelOutput.from_content(self.model_name, said, "content_filter")
        # LiteLLM looks for the server's error code in the text of OpenAI's exceptions, where it no longer is.
        output = openai_refusal_model_output(self.model_name, failure.body["code"], failure.body["type"], said)
        if output is not None and output.stop_reason == "model_length":
            output.error = said
        return output

    def should_retry(self, ex: BaseException) -> bool | RetryDecision:
        return ex.decision if isinstance(ex, ServerError) else RetryDecision.no()

    def is_auth_failure(self, ex: Exception) -> bool:
        return getattr(ex, "status_code", None) == 401  # a ServerError, or Inspect's ModelGenerateError of one

    def connection_key(self) -> str:
        return f"{self.initial_api_key}:{self.base_url}:{self.model_name}"

    def canonical_name(self) -> str:
        if "/" in self.model:  # a host of others' models: openrouter/anthropic/claude-haiku-4-5
            return self.model
        return f"{ORGANISATIONS.get(self.provider, self.provider)}/{self.model}"

    async def count_text_tokens(self, text: str) -> int:
        # LiteLLM brings its tokenizers along; Inspect's own estimate loads one from the network.
        return int(load().token_counter(self.model_name, text=text))


def missing_keys(model: str, provider: str) -> list[str]:
    """The environment variables of which one should hold the provider's key, where none does."""
    missing = load().validate_environment(model)["missing_keys"]
    # What else it names, LiteLLM finds elsewhere or does without: AWS credentials, Ollama's address, tokens for Azure.
    keys = [key for key in missing if key.endswith("_API_KEY") and provider != "azure"]
    return [] if any(OTHER_KEYS.get(key, "") in os.environ for key in keys) else keys


def failure_of(error: Exception, outer: BaseException | None) -> ServerError:
    """What happened, from the exceptions that LiteLLM raised its own from; `outer`: what the caller was handling.

    LiteLLM's own class and status are guesses from words: a 400 whose text has the number 429 in it comes as a rate
    limit, and a reply that it cannot read, which was paid for, as a connection error. Retries of these never end.
    """
    litellm = load()
    chain = list(_chain(error, outer))
    theirs = (e for e in chain if not isinstance(e, tuple(litellm.LITELLM_EXCEPTION_TYPES)))
    responses = (getattr(e, "response", None) for e in theirs)
    response = next((r for r in responses if r is not None and r.headers), None)  # those made up have no headers
    # An error inside a reply of status 200 has its own status, which LiteLLM puts on the innermost exception.
    status = response.status_code if response is not None else getattr(chain[-1], "status_code", None)
    status = status if isinstance(status, int) else None
    transport = (litellm.Timeout, httpx.TransportError, ConnectionError, TimeoutError)
    again = is_retryable_http_status(status) if status is not None else any(isinstance(e, transport) for e in chain)
    decision = RetryDecision.transient() if again else RetryDecision.no()
    if status == 429:
        decision = RetryDecision.rate_limit(parse_retry_after(response.headers) if response is not None else None)
    found = _error_in(response)
    body = {"code": found.get("code"), "type": found.get("type"), "litellm": str(error)}
    return ServerError(upstream_message(str(error)), status, decision, body)


def _chain(error: BaseException, outer: BaseException | None) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None and link is not outer:
        yield link
        link = link.__cause__ or link.__context__


def _error_in(response: Any) -> dict[str, Any]:
    """The error object in the body of a server's response, empty where there is none."""
    with contextlib.suppress(AttributeError, ValueError, httpx.StreamError):  # no response, no JSON, or not kept
        body = response.json()
        error = body.get("error", body)
        return error if isinstance(error, dict) else {}
    return {}


def output_of(reply: dict[str, Any], tools: list[ToolInfo]) -> ModelOutput:
    """Inspect's output of LiteLLM's reply."""
    usage = reply.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    if details.get("cache_creation_tokens"):  # Anthropic's; Inspect reads OpenAI's name for it
        details["cache_write_tokens"] = details["cache_creation_tokens"]
    # construct() and not model_validate(): servers say things that OpenAI's types do not allow.
    completion = with_upstream_refusals(ChatCompletion.construct(**reply))
    output = model_output_from_openai(completion, chat_choices_from_openai(completion, tools))
    if not usage.get("total_tokens"):  # LiteLLM's zeros, where a server counts nothing
        output.usage = None
    return output
