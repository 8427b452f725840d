"""Whether a server's scores can be taken as they are: asked once, of a small ladder of its own, before any other.

What would bend a score is corrected or refused; what cannot be confirmed is a warning. The result is a certificate.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

from tail_bench.errors import prerequisite_error
from tail_bench.providers.rendering import Renderer, Unrenderable
from tail_bench.providers.reward_model import as_reward
from tail_bench.providers.served.asking import Rejected
from tail_bench.providers.served.detect import title
from tail_bench.providers.served.forms import FORMS
from tail_bench.providers.served.wire import (
    Conversation,
    Form,
    Item,
    Malformed,
    Plan,
    Reply,
    Server,
    encode,
    inputs_of,
    shown,
)

Ask = Callable[[Plan, Sequence[Item], bool], Awaitable[Reply]]
"""Items in a plan's form, raw or activated -> the reply."""

Raw = Literal["confirmed", "by design", "not confirmed"]

PROMPT = "Which city is the capital of France, and what is it known for?"
RESPONSES = (
    "The capital of France is Paris. It is known for the Eiffel Tower, the Louvre and its cafés on the river Seine.",
    "Paris is the capital. It is known for its food.",
    "It is Lyon, I think, and it is known for nothing much.",
    "no no no no no",
)
"""A ladder of the handshake's own, so that the certificate does not depend on which ladder comes first."""

CLOSE = 1e-3
"""How near an activated score must be to the activation of the raw one."""

AGREE = 1e-2
"""How far servers that share a load may differ, as a share of the largest score: arithmetic, not another model."""

TOO_MANY = 64
"""More scores than this for a conversation look like an embedding."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the handshake found.

    head: the name of the score that is the reward. scores: how many there are. sample: those of the handshake's ladder.
    """

    server: Server
    plan: Plan
    head: str
    scores: int
    token_counts: Literal["equal", "not comparable"]
    raw: Raw
    sample: tuple[float | None, ...]
    warnings: tuple[str, ...]


def conversations(renderer: Renderer | None) -> list[Conversation]:
    """The handshake's ladder; Unrenderable where the template refuses it."""
    prompt = [ChatMessageUser(content=PROMPT)]
    responses = [ChatMessageAssistant(content=text) for text in RESPONSES]
    return [Conversation(prompt, r, renderer.render(prompt, r) if renderer else None) for r in responses]


async def handshake(
    ask: Ask, server: Server, wanted: str, renderer: Renderer | None, head: int | str | None, name: str
) -> Certificate:
    """The certificate of a server; PrerequisiteError where it would bend the scores.

    wanted: the model that was asked for. renderer: None where the server renders. name: the address, for messages.
    """
    form = FORMS[server.api]
    who = f"{name} ({title(server)})"
    model = served_name(server, wanted, who)
    doubts = []
    if model is not None and "/" in wanted and "/" in model and not model.startswith("/") and model != wanted:
        doubts.append(f"the server calls the model {model}: that it is {wanted} is taken on trust")
    plans = form.plans(server, inputs_of(renderer))
    if not plans:
        raise prerequisite_error(_no_plan(server, renderer, who))
    said: list[str] = []
    for plan in plans:
        plan = replace(plan, model=model)
        try:
            return await _Check(ask, server, form, plan, renderer, head, who, doubts).run()
        except Rejected as error:
            path = plan.path or "the address"
            said.append(f"{path} with {plan.input}: {error.status_code} {error}")
        except Malformed as error:
            raise prerequisite_error(f"{who}: {plan.path} answered in another form: {error}") from error
        except Unrenderable as error:
            raise prerequisite_error(f"{who}: the handshake's own conversation cannot be sent: {error}") from error
    raise prerequisite_error(f"{who} does not score: {'; '.join(said)}. A reward model is served with: {form.start}")


def _no_plan(server: Server, renderer: Renderer | None, who: str) -> str:
    if renderer is None:
        return f"{who} takes no messages: they must be rendered here, with a tokenizer: -M tokenizer=HUB_ID_OR_FOLDER"
    return f"{who} takes no pairs of texts (-M template=pair)"


def served_name(server: Server, wanted: str, who: str) -> str | None:
    """The name by which the server calls the model asked for; PrerequisiteError where it serves another."""
    if not server.models:
        return wanted
    found, _ = match(server, wanted)
    if found is not None:
        return found
    there = ", ".join(f"{n} ({root})" if root not in (None, n) else n for n, root in server.models[:5])
    raise prerequisite_error(
        f"{who} serves {there}, and not {wanted}. Ask for --model rm-server/{server.models[0][0]}, or give the address"
        " of the server that you mean (--model-base-url)"
    )


def match(server: Server, wanted: str) -> tuple[str | None, str | None]:
    """Name and root of the model asked for, None where the server has none such: equal, or equal without folders."""
    for same in (str, _tail):
        for name, root in server.models:
            if same(wanted) in (same(name), same(root or name)):
                return name, root
    return None, None


def _tail(name: str) -> str:
    """A model's name without organisation or folders, also of a hub's cache (models--ORG--NAME/snapshots/...)."""
    parts = name.rstrip("/").split("/")
    cached = [part.split("--")[-1] for part in parts if part.startswith("models--")]
    return cached[-1] if cached else parts[-1]


class _Check:
    """The checks of one way to ask."""

    def __init__(
        self,
        ask: Ask,
        server: Server,
        form: Form,
        plan: Plan,
        renderer: Renderer | None,
        head: int | str | None,
        who: str,
        doubts: Sequence[str],
    ) -> None:
        self.ask, self.server, self.form, self.plan, self.renderer = ask, server, form, plan, renderer
        self.head, self.who = head, who
        self.ladder = conversations(renderer if plan.input != "messages" else None)
        self.moved = False  # whether asking for an activation changed the scores, into none that is known
        self.warnings: list[str] = [*form.cautions, *doubts]

    def _items(self) -> list[Item]:
        return [encode(self.plan, c, self.renderer) for c in self.ladder]

    async def _scores(self, raw: bool) -> list[dict[str, Any]]:
        """The vectors of the whole ladder, in requests as large as the plan allows."""
        items = self._items()
        found: list[dict[str, Any]] = []
        for i in range(0, len(items), self.plan.batch):
            reply = await self.ask(self.plan, items[i : i + self.plan.batch], raw)
            found += reply.vectors
        return found

    async def run(self) -> Certificate:
        """The certificate. Rejected where the server does not take this way to ask."""
        counts = await self._count()
        try:
            vectors, raw = await self._raw()
        except Rejected as error:  # it took the first request: this is about the batch, or the activation
            raise prerequisite_error(
                f"{self.who} refuses {len(self.ladder)} conversations ({error.status_code}): {error}"
            ) from error
        head = head_of(vectors[0], self.head, self.who)
        sample = tuple(as_reward(v.get(head)).value for v in vectors)
        self._judge(vectors, [x for x in sample if x is not None], raw)
        return Certificate(self.server, self.plan, head, len(vectors[0]), counts, raw, sample, tuple(self.warnings))

    async def _count(self) -> Literal["equal", "not comparable"]:
        """Whether the server reads as many tokens as were rendered here."""
        try:
            first = self._items()[0]
        except Unrenderable:
            # No text becomes the same tokens in a server that adds special tokens: see whether it does.
            self.plan = replace(self.plan, adds_special=not self.plan.adds_special)
            first = self._items()[0]
        reply = await self.ask(self.plan, [first], True)
        self._rows(reply, first.tokens)
        if self.plan.input == "messages":
            if self.server.api != "nim":
                self.warnings.append(
                    "the server renders the conversations (messages), because no tokenizer could be loaded here: its"
                    " chat template was used, and token counts cannot be compared"
                )
            return "not comparable"
        ours, theirs = first.tokens or 0, reply.tokens
        if theirs is None:
            if self.server.api != "openrlhf":
                self.warnings.append(f"{self.form.title} did not say how many tokens it read: they were not compared")
            return "not comparable"
        if theirs != ours and self.plan.input == "text":
            turned = replace(self.plan, adds_special=not self.plan.adds_special)
            with contextlib.suppress(Unrenderable):
                other = encode(turned, self.ladder[0], self.renderer)
                if (await self.ask(turned, [other], True)).tokens == ours:
                    self.plan, theirs = turned, ours
        if theirs != ours:
            raise prerequisite_error(self._mismatch(ours, theirs))
        return "equal"

    def _rows(self, reply: Reply, tokens: int | None) -> None:
        """Whether a model that gives more than one vector gives one for each token."""
        if not reply.rows or reply.rows[0] == 1:
            return
        if reply.rows[0] not in (tokens, reply.tokens):
            raise prerequisite_error(
                f"{self.who} gives {reply.rows[0]} scores for a conversation of {tokens} tokens, neither one nor one"
                " for each token: a process reward model, whose scores of steps are no reward of the response. rm/"
                " takes such models, with -M step_token="
            )
        self.warnings.append("the model scores every token: the last token's score is the reward")

    def _mismatch(self, ours: int, theirs: int) -> str:
        if theirs == ours + 1:
            why = "it adds a token, such as a second BOS in front or a generation prompt"
        elif theirs < ours and self.server.max_length and theirs >= self.server.max_length:
            why = "it cuts what is longer"
        elif theirs < ours:
            why = "it cuts the conversation, or has another tokenizer"
        elif self.plan.input in ("text", "pair"):
            why = "it adds special tokens that the model's template does not write, or has another tokenizer"
        else:
            why = "it renders with another template, or has another tokenizer"
        return (
            f"{self.who} reads {theirs} tokens where the model's own template makes {ours}: {why}. Scores of it would"
            " be those of another text. Is the tokenizer the model's (-M tokenizer=, -M template=)?"
        )

    async def _raw(self) -> tuple[list[dict[str, Any]], Raw]:
        """The ladder's vectors, and whether they are raw: the activation of each is what comes when it is asked for."""
        vectors = await self._scores(True)
        for n, switch in enumerate(self.plan.switches):
            self.plan = replace(self.plan, switches=(switch,))  # one name alone: see vllm.py
            if n:
                vectors = await self._scores(True)
            activated = await self._scores(False)
            for asked in range(2):
                if all(_is_activated(r, a) for r, a in zip(vectors, activated, strict=True)):
                    return vectors, "confirmed"
                if not asked:  # a prompt whose prefix was cached meanwhile is computed a little otherwise
                    vectors = await self._scores(True)
            self.moved = not agree(*(_flat(found) for found in (vectors, activated)))
        return vectors, "by design" if self.form.by_design else "not confirmed"

    def _judge(self, vectors: Sequence[Mapping[str, Any]], known: Sequence[float], raw: Raw) -> None:
        """PrerequisiteError where the scores are not raw, warnings of what could not be confirmed."""
        api, unit = self.server.api, all(0.0 <= x <= 1.0 for x in known)
        if not known:
            raise prerequisite_error(f"{self.who} scores nothing: {shown(vectors[0])} for a plain conversation")
        if all(x == 1.0 for x in known):
            raise prerequisite_error(
                f"{self.who} answers 1.0 to everything, as a softmax over a single score does: that says nothing of a"
                f" response. {self._advice()}"
            )
        if raw == "not confirmed" and unit and api in ("vllm", "tei"):
            if not self.plan.switches:
                asked = f"has no way to ask for raw scores at {self.plan.path}"
            elif self.moved:
                asked = (
                    f"gives with `{self.plan.switches[0]}` neither the sigmoid nor the softmax of what it gives without"
                )
            else:
                asked = f"gives the same scores with `{self.plan.switches[0]}` and without"
            raise prerequisite_error(
                f"{self.who} {asked}, and those of a test ladder all lie in [0, 1]"
                f" ({', '.join(f'{x:.4g}' for x in known)}): it seems that an activation is on, which ties the best"
                f" responses. {self._advice()}"
            )
        if api == "vllm" and self.server.version is None:
            self.warnings.append("vLLM did not say its version: it was asked as the newest one")
        if not self.server.models and api != "openrlhf":
            self.warnings.append(f"{self.form.title} did not say which model it serves")
        if raw == "not confirmed" and not self.form.cautions:
            why = "asking for an activation made no difference" if self.plan.switches else "this version has no switch"
            why = "what comes with an activation is neither sigmoid nor softmax" if self.moved else why
            self.warnings.append(f"that rewards are raw was not confirmed ({why}); not all lie in [0, 1]")
        if raw != "confirmed" and unit:
            self.warnings.append(
                "the scores of the handshake's ladder all lie in [0, 1], and that they are raw was not confirmed: an"
                " activation that was left on ties the best responses"
            )
        if len(known) > 1 and len(set(known)) == 1:
            self.warnings.append("the server gave every response of the handshake's ladder the same score")

    def _advice(self) -> str:
        """What to do about scores that are not raw."""
        if self.server.api == "vllm":
            return (
                "Serve it with vLLM 0.20 or newer and nothing in between that drops fields; or, if these are its own"
                " rewards, score it with rm/."
            )
        if self.server.api == "sglang":
            return "Is it a reward model, started with --is-embedding?"
        return "Is -M api= right, and the address that of the server itself?"


def head_of(vector: Mapping[str, Any], head: int | str | None, who: str) -> str:
    """The name of the score that is the reward."""
    names = list(vector)
    if head is None:
        if len(names) == 1:
            return names[0]
        many = f"{len(names)} scores for a response"
        if len(names) > TOO_MANY:
            raise prerequisite_error(
                f"{who} gives {many}: an embedding, it seems, and not a reward. Is the model served as a classifier?"
            )
        raise prerequisite_error(
            f"{who} gives {many} ({', '.join(names[:20])}): say which is the reward, -M head={names[0]}"
        )
    if str(head) in names:
        return str(head)
    if str(head).isdecimal() and int(head) < len(names):
        return names[int(head)]
    raise prerequisite_error(f"-M head={head}: {who} gives {', '.join(names[:20])}")


def agree(a: Sequence[float | None], b: Sequence[float | None]) -> bool:
    """Whether two servers give the same conversations the same scores, but for arithmetic."""
    known = [x for x in (*a, *b) if x is not None]
    room = AGREE * max((abs(x) for x in known), default=0.0)
    return all(x == y or (x is not None and y is not None and abs(x - y) <= room) for x, y in zip(a, b, strict=True))


def parity(certificates: Sequence[Certificate]) -> str:
    """What was found, in a sentence."""
    first = certificates[0]
    counts = "token counts equal" if first.token_counts == "equal" else "token counts not comparable"
    n = first.scores
    chosen = "one score" if n == 1 else f"{n} scores of which {first.head} is the reward"
    shared = f" ({len(certificates)} servers agree)" if len(certificates) > 1 else ""
    return f"{counts}, raw {first.raw}, {chosen}{shared}"


def _flat(vectors: Sequence[Mapping[str, Any]]) -> list[float | None]:
    return [as_reward(value).value for vector in vectors for value in vector.values()]


def _is_activated(raw: Mapping[str, Any], activated: Mapping[str, Any]) -> bool:
    """Whether the second is the sigmoid of the first, or of several its softmax."""
    x = [as_reward(v).value for v in raw.values()]
    y = [as_reward(v).value for v in activated.values()]
    a, b = [v for v in x if v is not None], [v for v in y if v is not None]
    if len(a) != len(raw) or len(b) != len(raw):
        return len(a) != len(raw) and len(a) == len(b)  # NaN either way says nothing
    top = max(a)
    exponents = [math.exp(v - top) for v in a]
    softmax = [e / sum(exponents) for e in exponents]
    sigmoid = [1 / (1 + math.exp(-v)) if v > -700 else 0.0 for v in a]
    fits = [all(abs(p - q) <= CLOSE for p, q in zip(made, b, strict=True)) for made in (sigmoid, softmax)]
    return fits[0] or (len(a) > 1 and fits[1])
