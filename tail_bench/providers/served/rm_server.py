"""`rm-server/MODEL --model-base-url URL[,URL...]`: a served reward model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.to_thread
import httpx
from anyio.lowlevel import current_token
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import GenerateConfig
from inspect_ai.model._model import RetryDecision
from inspect_ai.model._providers.util.util import model_base_url

from tail_bench.errors import InputError, prerequisite_error
from tail_bench.providers.options import options_of
from tail_bench.providers.rendering import Renderer, Unrenderable, load_renderer, source_of
from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest, as_reward
from tail_bench.providers.served import openrlhf
from tail_bench.providers.served.asking import Address, NoConnection, Rejected, ServerError, ask, client
from tail_bench.providers.served.detect import GET_REWARD, detect
from tail_bench.providers.served.forms import FORMS
from tail_bench.providers.served.handshake import Certificate, agree, handshake, match, parity, served_name
from tail_bench.providers.served.options import ServedOptions
from tail_bench.providers.served.wire import MEGABYTE, Conversation, Item, Malformed, Plan, Reply, Server, encode

logger = logging.getLogger(__name__)

BASE_URL, API_KEY = "RM_SERVER_BASE_URL", "RM_SERVER_API_KEY"

LADDERS = 16
"""How many ladders are asked about at once, for each server."""

AT_ONCE = 8
"""How many requests a ladder makes at once where a request holds one conversation."""

CHECKING = 60.0
"""Seconds for the handshake before a run; what takes longer is left to the run."""

LEFT_OUT = 30.0
"""Seconds for which a server that failed is left out, if another is there and it does not say itself."""

OF_THE_TEXT = (400, 413, 422, 424)
"""Statuses by which a server refuses what it was sent: too long, empty, or (424, TEI) NaN."""


class Endpoint:
    """One of the servers that share the load.

    certificate: of its handshake, before which no score is taken; None while it is to be certified (anew). known: the
    last one that it had.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.certificate: Certificate | None = None
        self.known: Certificate | None = None
        self.in_flight = 0
        self.out_until = 0.0

    def leave_out(self, error: ServerError) -> None:
        """Prefer others for a while. One that was down may come back as another: it is to be certified anew."""
        seconds = error.decision.retry_after or (1.0 if error.status_code == 429 else LEFT_OUT)
        self.out_until = time.monotonic() + seconds
        if error.down:
            self.certificate = None


@dataclass(slots=True)
class Run:
    """What lives as long as an event loop: connections, a lock, what was found out and what was refused."""

    token: Any
    http: httpx.AsyncClient
    lock: anyio.Lock
    endpoints: list[Endpoint]
    reference: Certificate | None = None
    refused: Any = None

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Keeps what is refused, so that every later call in the run ends with the same message."""
        try:
            yield
        except InputError as error:
            refusal = prerequisite_error(error)
            self.refused = refusal.args[0]
            raise refusal from error
        except PrerequisiteError as error:
            self.refused = error.message
            raise


class ServedRewardModel(RewardModelAPI):
    """`rm-server/NAME`; -M arguments are those of ServedOptions. Servers are asked when the first ladder comes."""

    repeats: ClassVar[bool] = True

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (Inspect's signature)
        **model_args: Any,
    ) -> None:
        base_url = model_base_url(base_url, BASE_URL)
        super().__init__(model_name, base_url, api_key, [API_KEY], config)
        if not base_url or not base_url.strip(" ,"):
            raise prerequisite_error(
                f"rm-server/{model_name}: where is it served? Give the address, or several with commas between them:"
                f" --model rm-server/{model_name} --model-base-url http://127.0.0.1:8000 (or {BASE_URL} in the"
                " environment)"
            )
        try:
            self.options = options_of(ServedOptions, f"rm-server/{model_name}", model_args)
        except InputError as error:
            raise prerequisite_error(error) from error
        self.addresses = [Address(url) for url in dict.fromkeys(u.strip() for u in base_url.split(",")) if url]
        self.renderer: Renderer | None = None
        self._limit: int | None = None
        self._no_tokenizer: str | None = None
        self._run: Run | None = None
        self._facts: dict[str, Any] = {}

    async def score(self, request: ScoreRequest) -> list[Reward]:
        run = await self._ready()
        rewards: dict[int, Reward] = {}
        conversations: dict[int, Conversation] = {}
        for i in range(len(request.responses)):
            try:
                conversations[i] = self._conversation(request, i)
            except Unrenderable as error:
                rewards[i] = Reward(None, str(error))
        plans = [e.certificate.plan for e in run.endpoints if e.certificate]
        most = 1 if request.again else min((p.batch for p in plans), default=1)
        chunks = _chunks(conversations, most, min((p.size for p in plans), default=MEGABYTE))
        if request.again:  # one after the other, so that the server makes no batch of them
            found = [await self._scored([conversations[i] for i in chunk]) for chunk in chunks]
        else:
            found = await _together([partial(self._scored, [conversations[i] for i in chunk]) for chunk in chunks])
        for chunk, own in zip(chunks, found, strict=True):
            for i, reward in zip(chunk, own, strict=True):
                rendered = conversations[i].rendered
                rewards[i] = reward._replace(truncated=bool(rendered and rendered.truncated))
        return [rewards[i] for i in range(len(request.responses))]

    def _conversation(self, request: ScoreRequest, i: int) -> Conversation:
        response = request.responses[i]
        if self.renderer is None:
            return Conversation(request.prompt, response)
        return Conversation(request.prompt, response, self.renderer.render(request.prompt, response, request.truncate))

    async def _scored(self, conversations: Sequence[Conversation]) -> list[Reward]:
        """The rewards of what goes into one request. What the server refuses is sent again, each by itself, so that one
        response does not cost the others theirs."""
        try:
            return await self._requested(conversations)
        except _Apart as apart:
            if len(conversations) == 1:
                return [Reward(None, str(apart))]
        except ServerError as error:
            # A reward that is NaN makes some servers fail, and would again for ever.
            if error.status_code != 500 or len(conversations) == 1:
                raise
            return await self._one_by_one(conversations, error)
        return [(await self._scored([c]))[0] for c in conversations]

    async def _one_by_one(self, conversations: Sequence[Conversation], failure: ServerError) -> list[Reward]:
        found: list[Reward] = []
        failed = 0
        for conversation in conversations:
            try:
                found += await self._scored([conversation])
            except ServerError as error:
                if error.status_code != 500:
                    raise
                failed += 1
                found.append(Reward(None, f"the server fails on it: {error}"))
        if failed == len(conversations):
            raise failure
        return found

    async def _requested(self, conversations: Sequence[Conversation]) -> list[Reward]:
        """The rewards of one request; _Apart where they are better asked for one by one."""
        certificate, items, reply = await self._sent(conversations)
        if len(reply.vectors) != len(conversations):
            raise _Apart(f"{len(reply.vectors)} scores came back for {len(conversations)} conversations")
        ours = sum(item.tokens or 0 for item in items)
        if certificate.token_counts == "equal" and reply.tokens not in (None, ours):
            raise _Apart(f"the server reads {reply.tokens:,} tokens where there are {ours:,}: it cuts or changes it")
        for rows, item in zip(reply.rows, items, strict=False):
            if rows not in (1, item.tokens) and item.tokens is not None:
                raise _Apart(f"the server gives {rows} scores for {item.tokens:,} tokens")
        rewards = []
        for vector in reply.vectors:
            if certificate.head in vector:
                reward = as_reward(vector[certificate.head])
                reason = reward.reason and f"the server {reward.reason}"
                rewards.append(reward._replace(reason=reason))
            else:
                rewards.append(Reward(None, f"the server gave no {certificate.head}"))
        return rewards

    async def _sent(self, conversations: Sequence[Conversation]) -> tuple[Certificate, list[Item], Reply]:
        """Sent to the server with the least in flight, and to the next where it fails. ServerError if all do."""
        run = await self._ready()
        tried: list[ServerError] = []
        left = list(run.endpoints)
        while left:
            now = time.monotonic()
            endpoint = min(left, key=lambda e: (e.out_until if e.out_until > now else 0.0, e.in_flight))
            left.remove(endpoint)
            endpoint.in_flight += 1
            try:
                certificate = endpoint.certificate or await self._certified(run, endpoint)
                items = [encode(certificate.plan, c, self.renderer) for c in conversations]
                reply = await self._ask(run, endpoint, certificate.server, certificate.plan, items, True)
                return certificate, items, reply
            except ServerError as error:
                endpoint.leave_out(error)
                tried.append(error)
            except Unrenderable as error:
                raise _Apart(str(error)) from error
            except Rejected as error:
                if error.status_code in OF_THE_TEXT:
                    raise _Apart(f"the server refuses it ({error.status_code}): {error}") from error
                raise prerequisite_error(f"{endpoint.address.name}: {error.status_code}: {error}") from error
            except Malformed as error:
                raise prerequisite_error(f"{endpoint.address.name} answered in another form: {error}") from error
            finally:
                endpoint.in_flight -= 1
        waits = [e.decision.retry_after for e in tried if e.decision.retry_after]
        busy = [e for e in tried if e.status_code == 429]
        decision = RetryDecision.rate_limit if busy else RetryDecision.transient
        first = busy[0] if busy else tried[0]
        others = f"; {len(tried) - 1} more servers failed too" if len(tried) > 1 else ""
        raise ServerError(f"{first}{others}", decision(min(waits, default=None)), first.status_code) from first

    async def _ask(
        self, run: Run, endpoint: Endpoint, server: Server, plan: Plan, items: Sequence[Item], raw: bool
    ) -> Reply:
        form = FORMS[server.api]
        path = plan.path or ("" if endpoint.address.path else GET_REWARD)
        body = form.body(plan, items, raw)
        found, headers = await ask(run.http, endpoint.address, path, body, self._key())
        return form.read(plan, found, headers, len(items))

    def _key(self) -> str | None:
        return self.api_key or os.environ.get(API_KEY)

    async def _ready(self) -> Run:
        """The run of this event loop, its servers certified.

        PrerequisiteError where one of them bends scores: always the same in a run, and without asking again.
        """
        token = current_token()
        run = self._run
        if run is None or run.token != token:
            run = self._run = Run(token, client(), anyio.Lock(), [Endpoint(a) for a in self.addresses])
        if run.refused is None and run.reference is not None:
            return run
        async with run.lock:
            if run.refused is None and run.reference is None:
                with run.refusing():
                    await self._meet(run)
            if run.refused is not None:
                raise PrerequisiteError(run.refused)
        return run

    async def _meet(self, run: Run) -> None:
        """The first handshake, with every server."""
        servers = []
        for endpoint in run.endpoints:
            try:
                server = await self._detected(run, endpoint)
            except NoConnection as error:
                raise prerequisite_error(
                    f"rm-server/{self.model_name}: {error}. Is the server running, and is its address"
                    f" {endpoint.address.name} (--model-base-url)?"
                ) from error
            served_name(server, self.model_name, endpoint.address.name)  # before a tokenizer is looked for
            servers.append(server)
        await anyio.to_thread.run_sync(self._load_renderer, servers)
        found: list[Certificate] = []
        for endpoint, server in zip(run.endpoints, servers, strict=True):
            found.append(await self._shaken(run, endpoint, server, found[0] if found else None))
        for endpoint, certificate in zip(run.endpoints, found, strict=True):
            endpoint.certificate = endpoint.known = certificate
        run.reference = found[0]
        self._facts = self._made_facts(run)

    async def _certified(self, run: Run, endpoint: Endpoint) -> Certificate:
        """The certificate of a server that was down: it may have come back as another."""
        async with run.lock:
            if run.refused is not None:
                raise PrerequisiteError(run.refused)
            if endpoint.certificate is None:
                with run.refusing():
                    server = await self._detected(run, endpoint)
                    endpoint.known = await self._shaken(run, endpoint, server, run.reference)
                endpoint.certificate = endpoint.known
                self._facts = self._made_facts(run)
            return endpoint.certificate

    async def _detected(self, run: Run, endpoint: Endpoint) -> Server:
        address = endpoint.address
        get = partial(ask, run.http, address, key=self._key())
        return await detect(get, address.name, bool(address.path), self.options.api)

    async def _shaken(self, run: Run, endpoint: Endpoint, server: Server, reference: Certificate | None) -> Certificate:
        """The server's certificate; PrerequisiteError where its scores are not those of the reference."""
        renderer = None if server.api == "nim" else self.renderer
        asked = partial(self._ask, run, endpoint, server)
        name = endpoint.address.name
        certificate = await handshake(asked, server, self.model_name, renderer, self.options.head, name)
        if reference is not None and not agree(reference.sample, certificate.sample):
            raise prerequisite_error(
                f"rm-server/{self.model_name}: {name} scores the same ladder {_shown(certificate.sample)}, and"
                f" {run.endpoints[0].address.name} scores it {_shown(reference.sample)}: they serve different models,"
                " or with different settings, and cannot share a run"
            )
        return certificate

    def _load_renderer(self, servers: Sequence[Server]) -> None:
        """The renderer, within what every server takes. None where the servers must render."""
        options, apis = self.options, {server.api for server in servers}
        if apis == {"nim"}:
            return
        try:
            if self.renderer is None:
                self.renderer = load_renderer(
                    self._tokenizer(servers),
                    revision=options.revision,
                    template=options.template,
                    max_length=options.max_length,
                    trust_remote_code=options.trust_remote_code,
                )
                self._limit = self.renderer.max_length
        except InputError as error:
            if not apis <= {"vllm", "nim"} or options.tokenizer or options.template:
                raise InputError(
                    f"rm-server/{self.model_name}: conversations are rendered here, which needs the model's tokenizer"
                    f" and template. {error}. Name another with -M tokenizer=HUB_ID_OR_FOLDER, -M template=FILE"
                ) from error
            self._no_tokenizer = str(error)
            return
        limits = [self._limit, *(server.max_length for server in servers)]
        if "openrlhf" in apis and options.max_length is None:
            limits.append(openrlhf.CUT)
        self.renderer.max_length = min((n for n in limits if n), default=None)

    def _tokenizer(self, servers: Sequence[Server]) -> str:
        """The tokenizer's folder or hub id: as given, else the model's name, else what the server calls its model."""
        if self.options.tokenizer:
            return source_of(self.options.tokenizer, "-M tokenizer=")
        names = [self.model_name]
        if not self.options.trust_remote_code:  # a server must not choose whose code runs here
            names += [root for server in servers if (root := match(server, self.model_name)[1])]
        for name in names:
            with contextlib.suppress(InputError):
                return source_of(name)
        raise InputError(f"{self.model_name} is no folder here and no id on the Hugging Face hub (ORGANISATION/NAME)")

    def _made_facts(self, run: Run) -> dict[str, Any]:
        known = [e.known for e in run.endpoints if e.known is not None]
        first = known[0]
        activation = {"confirmed": "off", "by design": "none by design"}.get(first.raw, "not confirmed")
        warnings = [w for certificate in known for w in certificate.warnings]
        warnings += self.renderer.cautions if self.renderer else ()
        if self._no_tokenizer:
            warnings.append(f"no tokenizer: {self._no_tokenizer}")
        if first.server.api == "openrlhf" and self.options.max_length is None:
            warnings.append(
                f"an OpenRLHF server cuts what is longer than its --data.max_len ({openrlhf.CUT} unless set) without"
                " saying: such responses are unscored. -M max_length= says what yours takes"
            )
        found = {
            "engine": first.server.api,
            "engine_version": first.server.version,
            "revision": first.server.revision,
            "dtype": first.server.dtype,
            "template_hash": self.renderer.template_hash if self.renderer else "the server's own",
            "max_length": self.renderer.max_length if self.renderer else first.server.max_length,
            "activation": activation,
            "parity": parity(known),
            "certificate": {
                "token_counts": first.token_counts,
                "raw": first.raw,
                "scores": first.scores,
                "input": first.plan.input,
                "path": first.plan.path or run.endpoints[0].address.path or GET_REWARD,
                "servers": [
                    {
                        "url": e.address.name,
                        "version": e.known.server.version,
                        "model": e.known.plan.model if e.known.server.models else None,
                    }
                    for e in run.endpoints
                    if e.known is not None
                ],
            },
            "warnings": list(dict.fromkeys(warnings)),
        }
        return {name: value for name, value in found.items() if value not in (None, [])}

    # What is asked of every provider.

    def check(self) -> None:
        """The handshake, before a run: what is refused ends it with one message. A server that is not ready yet, or
        busy, is left to the run, which waits for it."""
        with ThreadPoolExecutor(1) as thread:  # a loop of its own: the caller may be in one
            thread.submit(anyio.run, self._checked).result()

    async def _checked(self) -> None:
        try:
            with anyio.move_on_after(CHECKING):
                await self._ready()
        except ServerError as error:
            logger.info(f"rm-server/{self.model_name}: not ready: {error}")
        finally:
            await self.aclose()

    def facts(self) -> dict[str, Any]:
        return self._facts

    def fingerprint(self) -> str:
        """The addresses, the options, and the template where the tokenizer is a folder: what a server loads anew behind
        the same address is not seen."""
        said = [*sorted(a.at("") for a in self.addresses), repr(self.options)]
        folder = Path(self.options.tokenizer or self.model_name)
        if folder.is_dir():
            with contextlib.suppress(InputError):
                said.append(load_renderer(str(folder), template=self.options.template).template_hash)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()

    def should_retry(self, ex: BaseException) -> bool | RetryDecision:
        return ex.decision if isinstance(ex, ServerError) else RetryDecision.no()

    def max_connections(self) -> int:
        return LADDERS * len(self.addresses)

    def connection_key(self) -> str:
        return f"{self.initial_api_key}:{self.base_url}:{self.model_name}"

    async def aclose(self) -> None:
        run, self._run = self._run, None
        if run is not None and run.token == current_token():
            await run.http.aclose()


class _Apart(Exception):
    """Why a request gave no rewards that could be told apart, or none for one response of it."""


def _chunks(conversations: Mapping[int, Conversation], most: int, size: int) -> list[list[int]]:
    """Keys of the conversations, in requests of at most so many of them and about so many bytes."""
    chunks: list[list[int]] = []
    room = 0
    for i, conversation in conversations.items():
        rendered = conversation.rendered
        texts = () if rendered is None else rendered.pair or (rendered.text or "",)
        weight = sum(len(json.dumps(text)) for text in texts)
        if not chunks or len(chunks[-1]) == most or weight > room:
            chunks.append([])
            room = size
        chunks[-1].append(i)
        room -= weight
    return chunks


async def _together(calls: Sequence[Callable[[], Awaitable[list[Reward]]]]) -> list[list[Reward]]:
    """What the calls return, a few at a time. Where some fail, one exception: of those the one that is not retried."""
    if len(calls) == 1:
        return [await calls[0]()]
    found: list[list[Reward]] = [[] for _ in calls]
    errors: list[Exception] = []
    gate = anyio.Semaphore(AT_ONCE)

    async def one(place: int) -> None:
        async with gate:
            if errors:
                return
            try:
                found[place] = await calls[place]()
            except Exception as error:  # a task group would wrap it in an ExceptionGroup
                errors.append(error)

    async with anyio.create_task_group() as tasks:
        for place in range(len(calls)):
            tasks.start_soon(one, place)
    if errors:
        raise next((e for e in errors if not isinstance(e, ServerError)), errors[0])
    return found


def _shown(sample: Sequence[float | None]) -> str:
    return ", ".join("none" if x is None else f"{x:.5g}" for x in sample)
