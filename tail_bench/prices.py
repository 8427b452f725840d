"""What a model costs by litellm's price list, read from the file that litellm ships: no import of it, no network."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from inspect_ai.model import Model

FILE = "model_prices_and_context_window_backup.json"

NAMES = {
    "google": "gemini",
    "grok": "xai",
    "together": "together_ai",
    "azureai": "azure_ai",
    "fireworks": "fireworks_ai",
}
"""What litellm calls Inspect's providers where the names differ."""

ELSEWHERE = ("openai-api", "hf", "vllm", "sglang", "ollama", "llama-cpp-python", "builtin", "rm", "rm-server")
"""Providers that serve anything at any price: no listed price holds for them."""

ADDRESS = ("_BASE_URL", "_API_BASE", "_ENDPOINT")
"""How the names of environment variables end that say where a provider is."""


class Price(NamedTuple):
    """US dollars per token (None: not listed), the mode as litellm has it (chat, embedding), tokens of context."""

    input: float | None
    output: float | None
    cache_read: float | None
    cache_write: float | None
    mode: str | None
    context: int | None


def litellm_folder() -> Path:
    """Where litellm is installed, without its import (which takes seconds)."""
    spec = find_spec("litellm")
    return Path((spec.submodule_search_locations or ["."])[0]) if spec else Path()


@cache
def _prices() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads((litellm_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def price_of(model: str) -> Price | None:
    """The price of a model as Inspect names it (provider/name), None where it is not listed."""
    provider, _, name = model.partition("/")
    if provider == "litellm":
        provider, _, name = name.partition("/") if name.count("/") else ("", "", name)
    if provider in ELSEWHERE:
        return None
    provider = NAMES.get(provider, provider)
    for key in (f"{provider}/{name}", name):
        found = _prices().get(key)
        if found is not None and (key != name or not provider or found.get("litellm_provider") in (provider, None)):
            return Price(
                found.get("input_cost_per_token"),
                found.get("output_cost_per_token"),
                found.get("cache_read_input_token_cost"),
                found.get("cache_creation_input_token_cost"),
                found.get("mode"),
                found.get("max_input_tokens"),
            )
    return None


_registered: set[str] = set()


def register(model: Model) -> None:
    """Tell Inspect the listed price, so that it counts cost and --cost-limit works. A price that the user gave stays.

    A model behind an address of one's own has no listed price.
    """
    from inspect_ai.model import ModelCost, ModelInfo, get_model_info, set_model_info

    name = str(model)
    info = get_model_info(model)
    ours = not _registered.isdisjoint((name, model.canonical_name()))  # Inspect looks a price up by either name
    if info is not None and info.cost is not None and not ours:
        return
    price = price_of(name)
    given = any(model.model_args.get(argument) for argument in ("base_url", "api_base"))
    if price is None or price.input is None or given or model.explicit_base_url or elsewhere(name):
        if ours and info is not None:  # the same model was at its own address before
            set_model_info(name, info.model_copy(update={"cost": None}))
        return
    cost = ModelCost(
        input=1e6 * price.input,
        output=1e6 * (price.output or 0.0),
        input_cache_read=1e6 * (price.input if price.cache_read is None else price.cache_read),
        input_cache_write=1e6 * (price.input if price.cache_write is None else price.cache_write),
    )
    set_model_info(name, (info or ModelInfo(context_length=price.context)).model_copy(update={"cost": cost}))
    _registered.add(name)


def elsewhere(model: str) -> bool:
    """Whether the environment says that the model's provider is at an address of one's own."""
    provider = model.removeprefix("litellm/").partition("/")[0].upper().replace("-", "_")
    return any(os.environ.get(f"{provider}{end}") for end in ADDRESS)
