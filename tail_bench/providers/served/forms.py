"""The forms of server that there are."""

from __future__ import annotations

from collections.abc import Mapping

from tail_bench.providers.served import nim, openrlhf, sglang, tei, vllm
from tail_bench.providers.served.wire import Api, Form

FORMS: Mapping[Api, Form] = {
    "vllm": vllm.FORM,
    "sglang": sglang.FORM,
    "tei": tei.FORM,
    "openrlhf": openrlhf.FORM,
    "nim": nim.FORM,
}
