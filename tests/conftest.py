"""Fixtures that several tests need."""

from __future__ import annotations

import os

# One thread each: two workers with two threads on two cores take several times as long. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

from tests.helpers import ladder, write_jsonl


@pytest.fixture
def four(tmp_path):
    return str(write_jsonl(tmp_path / "four.jsonl", [ladder(n) for n in range(3)]))
