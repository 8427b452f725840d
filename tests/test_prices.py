"""Prices come from the list that litellm ships, without its import."""

from __future__ import annotations

import subprocess
import sys

import pytest
from inspect_ai.model import get_model, get_model_info

from tail_bench import prices
from tail_bench.prices import price_of


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("litellm/gpt-4o-mini", "gpt-4o-mini"),
        ("litellm/openai/gpt-4o-mini", "gpt-4o-mini"),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("litellm/anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("google/gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("grok/grok-3", "xai/grok-3"),
        ("openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o"),
    ],
)
def test_a_price_is_found_by_inspects_name(model, listed):
    from tail_bench.prices import _prices

    price = price_of(model)
    assert price.input == _prices()[listed]["input_cost_per_token"] > 0
    assert price.output == _prices()[listed]["output_cost_per_token"] > price.input
    assert price.mode == "chat"


@pytest.mark.parametrize(
    "model", ["openai-api/local/gpt-4o", "ollama/gpt-4o", "anthropic/gpt-4o", "builtin/longest", "litellm/foo/bar", "x"]
)
def test_who_serves_elsewhere_or_is_unknown_has_none(model):
    assert price_of(model) is None


def test_reading_prices_imports_neither_litellm_nor_inspect():
    code = (
        "import sys; from tail_bench.prices import price_of; assert price_of('openai/gpt-4o').context > 0;"
        " print([m for m in ('litellm', 'inspect_ai', 'openai') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_inspect_is_told_the_price_unless_the_model_is_behind_an_address_of_ones_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    from inspect_ai.model._model_info import clear_model_info_cache

    elsewhere = get_model("openai/gpt-4o-mini", base_url="http://127.0.0.1:9/v1", memoize=False)
    prices.register(elsewhere)
    info = get_model_info(elsewhere)
    assert info is None or info.cost is None
    model = get_model("openai/gpt-4o-mini", memoize=False)
    prices.register(model)
    assert get_model_info(model).cost.input == pytest.approx(1e6 * price_of("openai/gpt-4o-mini").input)
    clear_model_info_cache()


def test_an_address_in_the_environment_or_an_argument_is_ones_own_too(monkeypatch):
    from inspect_ai.model._model_info import clear_model_info_cache

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    known = get_model("openai/gpt-4o-mini", memoize=False)
    prices.register(known)
    assert get_model_info(known).cost is not None
    for model, name in ((known, "OPENAI_BASE_URL"), (known, "OPENAI_API_BASE")):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
        prices.register(model)
        assert get_model_info(model).cost is None  # the price that was listed for its own address is taken back
        monkeypatch.delenv(name)
        prices.register(model)
        assert get_model_info(model).cost is not None
    given = get_model("litellm/openai/gpt-4o-mini", memoize=False, api_base="http://127.0.0.1:9/v1")
    prices.register(given)
    info = get_model_info(given)
    assert info is None or info.cost is None
    clear_model_info_cache()
