"""Fixtures that several tests need."""

from __future__ import annotations

import pytest

from tests.helpers import ladder, write_jsonl


@pytest.fixture
def four(tmp_path):
    return str(write_jsonl(tmp_path / "four.jsonl", [ladder(n) for n in range(3)]))
