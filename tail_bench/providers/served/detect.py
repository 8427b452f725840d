"""Which server answers at an address, and what it says of itself. No server says "this is a reward model"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tail_bench.errors import prerequisite_error
from tail_bench.providers.served.asking import Answer, Rejected, ServerError
from tail_bench.providers.served.forms import FORMS
from tail_bench.providers.served.wire import APIS, Api, Malformed, Server, count_of, shown

Get = Callable[[str], Awaitable[Answer]]

GET_REWARD = "/get_reward"
"""OpenRLHF's usual path."""

LATER = (408, 429, 502, 503, 504)
"""A server that is not ready yet, or too busy: worth asking again."""


@dataclass(slots=True)
class _Asked:
    """What was asked, and in a few words what came."""

    get: Get
    said: list[str] = field(default_factory=list)

    async def json(self, path: str) -> Any:
        """The JSON there, None where there is none."""
        try:
            found, _ = await self.get(path)
        except Rejected as error:
            self.said.append(f"GET {path}: {error.status_code}")
            return None
        except Malformed as error:
            self.said.append(f"GET {path}: {str(error).partition(': ')[2]}")
            return None
        except ServerError as error:
            if error.down or error.status_code in LATER:
                raise
            self.said.append(f"GET {path}: {error.status_code}")
            return None
        self.said.append(f"GET {path}: {shown(found)[:60]}")
        return found

    async def object(self, path: str) -> Mapping[str, Any]:
        """The object there, empty where there is none."""
        found = await self.json(path)
        return found if isinstance(found, Mapping) else {}

    async def status(self, path: str) -> int:
        """The status of a GET."""
        try:
            await self.get(path)
        except (Rejected, ServerError) as error:
            self.said.append(f"GET {path or '(the address)'}: {error.status_code}")
            return error.status_code or 0
        except Malformed:
            return 200
        return 200


async def detect(get: Get, name: str, has_path: bool, api: Api | None) -> Server:
    """The server at an address.

    get: asks it. name: the address, for messages. has_path: whether the address names more than a host. api: what the
    user says it is; then only what that form tells of itself is asked for.
    """
    asked = _Asked(get)
    finders: dict[Api, Callable[[_Asked, bool], Awaitable[Server | None]]] = {
        "tei": _tei,
        "sglang": _sglang,
        "vllm": _vllm,
        "nim": _nim,
    }
    if api == "openrlhf":
        return Server("openrlhf")
    for kind, find in finders.items():
        if api in (None, kind):
            found = await find(asked, api == kind)
            if found is not None:
                return found
    if api is None and await asked.status("" if has_path else GET_REWARD) in (405, 501):  # it is there, for POST
        return Server("openrlhf")
    models = _models(await asked.object("/v1/models"))
    if models:
        raise prerequisite_error(
            f"{name} is an OpenAI-compatible server of language models ({', '.join(n for n, *_ in models[:5])}), and no"
            " server of reward models that is known here. NVIDIA NIM: -M api=nim. A language model is tested as a"
            " judge: tail_judge --model openai-api/..."
        )
    raise prerequisite_error(
        f"{name}: what answers there is no reward model server that is known ({'; '.join(asked.said[:6])}). Is the"
        f" address right (--model-base-url)? Else say which it is: -M api={'|'.join(APIS)}"
    )


async def _vllm(asked: _Asked, told: bool) -> Server | None:
    about = await asked.object("/version")
    version = about.get("version")
    listed = _models(await asked.object("/v1/models"))
    ours = any(owner == "vllm" for _, _, owner, _ in listed) if listed else _text(version) is not None
    if not told and not ours:
        return None
    return Server(
        "vllm",
        version=_text(version),
        models=tuple((n, root) for n, root, _, _ in listed),
        max_length=min((limit for *_, limit in listed if limit), default=None),
    )


async def _sglang(asked: _Asked, told: bool) -> Server | None:
    about = await asked.object("/model_info") or await asked.object("/get_model_info")
    path = _text(about.get("model_path"))
    if path is None and not told:
        return None
    if about.get("is_generation") is True:
        raise prerequisite_error(
            f"SGLang serves {path} for writing text, not as a reward model: start it with --is-embedding"
        )
    server = await asked.object("/server_info") or await asked.object("/get_server_info")
    listed = _models(await asked.object("/v1/models"))
    return Server(
        "sglang",
        version=_text(about.get("version")) or _text(server.get("version")),
        models=(*([(path, path)] if path else []), *((n, path or root) for n, root, _, _ in listed)),
        max_length=min((limit for *_, limit in listed if limit), default=None),
    )


async def _tei(asked: _Asked, told: bool) -> Server | None:
    about = await asked.object("/info")
    model, kind = _text(about.get("model_id")), about.get("model_type")
    if (model is None or not isinstance(kind, (Mapping, str))) and not told:
        return None
    found = [kind[name] for name in ("reranker", "classifier") if name in kind] if isinstance(kind, Mapping) else []
    if not found and kind is not None:
        raise prerequisite_error(
            f"TEI serves {model} as {shown(kind)}, and no classifier: it cannot score responses with it"
        )
    names = found[0].get("id2label") if found and isinstance(found[0], Mapping) else None
    labels: tuple[str, ...] = ()
    if isinstance(names, Mapping) and all(str(i).isdecimal() and isinstance(n, str) for i, n in names.items()):
        labels = tuple(name for _, name in sorted(names.items(), key=lambda pair: int(pair[0])))
    return Server(
        "tei",
        version=_text(about.get("version")),
        models=((model, model),) if model else (),
        max_length=count_of(about.get("max_input_length")),
        dtype=_text(about.get("model_dtype")),
        revision=_text(about.get("model_sha")),
        labels=labels,
        batch=count_of(about.get("max_client_batch_size")) or None,
    )


async def _nim(asked: _Asked, told: bool) -> Server | None:
    about = await asked.object("/v1/metadata")
    if not about and not told:
        return None
    listed = _models(await asked.object("/v1/models"))
    return Server("nim", version=_text(about.get("version")), models=tuple((n, root) for n, root, _, _ in listed))


def _models(reply: Mapping[str, Any]) -> list[tuple[str, str | None, str | None, int | None]]:
    """Name, root, owner and length limit of the models that /v1/models lists."""
    data = reply.get("data")
    cards = [c for c in data[:100] if isinstance(c, Mapping)] if isinstance(data, list) else []
    return [
        (name, _text(c.get("root")), _text(c.get("owned_by")), count_of(c.get("max_model_len")))
        for c in cards
        if (name := _text(c.get("id"))) is not None
    ]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 300 else None


def title(server: Server) -> str:
    """A server's name and version."""
    return f"{FORMS[server.api].title}{f' {server.version}' if server.version else ''}"
