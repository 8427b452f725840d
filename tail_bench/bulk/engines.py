"""What computes rewards in bulk. An engine takes ladders and gives their rewards, in whatever order it gets done.

There are two, `local` (the model runs in this process) and `http` (a server has it). Both ask a provider of ours, so
their rewards are those of an Inspect run; they differ in how many ladders are in flight. Another engine (Ray Data,
vLLM without a server) is a class with these three methods and a line in ENGINES.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from tail_bench.errors import InputError

if TYPE_CHECKING:
    from inspect_ai.model import Model
    from tenacity import RetryCallState

    from tail_bench.providers.reward_model import Reward, RewardModelAPI, ScoreRequest

    Scores = Generator[tuple[str, list[Reward]], None, None]

logger = logging.getLogger(__name__)

SERVED = "rm-server/"
"""How the names of models that a server has begin."""

LADDERS_AHEAD = 64
"""Ladders in flight to a model in this process: enough for its batcher to put texts of like length together."""

MAX_CONNECTIONS = 32
"""Ladders in flight to a server, unless the user says otherwise."""

LONGEST_WAIT = 60
"""Seconds between two attempts, at most."""

OURS = frozenset({"model", "role", "required", "default", "config", "base_url", "memoize"})
"""Parameters of get_model that are no provider's arguments."""


class Engine(Protocol):
    """What computes rewards in bulk."""

    def fingerprint(self) -> str:
        """What rewards depend on beyond the model's name and the texts. Asked for before the first reward."""
        ...

    def score(self, requests: Iterable[tuple[str, ScoreRequest]]) -> Scores:
        """(ladder id, a reward for each of its responses), as they get done.

        Requests are to be taken as they are needed: all at once would not fit in memory. One response that cannot be
        scored nulls only itself; an exception ends the run.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """How scores are computed (as RewardModelAPI.facts), once there are some."""
        ...


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is made from: the model as Inspect names it, where it is, its arguments, and how hard to try."""

    model: str
    base_url: str | None = None
    model_args: Mapping[str, Any] | None = None
    max_connections: int | None = None
    max_retries: int = 8


class ProviderEngine:
    """Rewards from a provider of ours, several ladders in flight.

    It calls the provider's own score() and not Inspect's Model.generate(), which outside of a run costs 2 to 6 ms a
    ladder in copies and keeps every text it was ever given in a transcript. What generate() would do for us, retrying,
    is done here by the same rules.
    """

    def __init__(self, model: Model, in_flight: int, max_retries: int) -> None:
        from tail_bench.graders.reward import require_reward_model

        self.model = model
        self.api: RewardModelAPI = require_reward_model(model)
        self.api.check()
        self.in_flight = in_flight
        self.max_retries = max_retries
        self._told = 0

    def fingerprint(self) -> str:
        """The provider's fingerprint."""
        return self.api.fingerprint()

    def facts(self) -> dict[str, Any]:
        """The provider's facts."""
        return self.api.facts()

    def score(self, requests: Iterable[tuple[str, ScoreRequest]]) -> Scores:
        """Rewards ladder by ladder; the first exception is raised when those that got done with it are given."""
        from anyio.from_thread import start_blocking_portal

        waiting = iter(requests)
        running: dict[Future[list[Reward]], str] = {}
        done: SimpleQueue[Future[list[Reward]]] = SimpleQueue()
        # The event loop is in a thread of its own: calls go on while the caller writes, and Ctrl-C reaches the caller.
        with start_blocking_portal() as portal:
            try:
                while True:
                    for ladder, request in islice(waiting, self.in_flight - len(running)):
                        future = portal.start_task_soon(self._rewards, request)
                        running[future] = ladder
                        future.add_done_callback(done.put)
                    if not running:
                        return
                    finished = [done.get()]
                    while not done.empty():
                        finished.append(done.get())
                    errors = [future.exception() for future in finished]
                    for future, error in zip(finished, errors, strict=True):
                        ladder = running.pop(future)
                        if error is None:
                            yield ladder, future.result()
                    for error in errors:
                        if error is not None:
                            raise error
            finally:
                for future in running:
                    future.cancel()
                portal.call(self.api.aclose)

    async def _rewards(self, request: ScoreRequest) -> list[Reward]:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

        async for attempt in AsyncRetrying(
            retry=retry_if_exception(self.model.should_retry),
            wait=self.api.retry_wait() or wait_exponential_jitter(initial=3, max=LONGEST_WAIT, jitter=3),
            stop=stop_after_attempt(self.max_retries + 1),
            before_sleep=self._before_retry,
            reraise=True,
        ):
            with attempt:
                rewards = await self.api.score(request)
        return _checked(rewards, len(request.responses))

    async def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return
        if state.attempt_number > self._told:  # once for all ladders in flight: a dead server fails every one
            self._told = state.attempt_number
            left = self.max_retries + 1 - state.attempt_number
            logger.warning("%s; asking again in %.0f s (%d times left)", why(error), state.upcoming_sleep, left)
        await self.model.before_retry(error)


def _checked(rewards: list[Reward], k: int) -> list[Reward]:
    """The rewards as an Inspect run would record them: of the right number, and finite or unscored."""
    from tail_bench.providers.reward_model import Reward, as_reward

    if len(rewards) != k:
        return [Reward(None, f"{len(rewards)} rewards came back for {k} responses")] * k
    return [
        own if own.value is None else as_reward(own.value)._replace(alone=own.alone, truncated=own.truncated)
        for own in rewards
    ]


def local(settings: EngineSettings) -> Engine:
    """The model runs in this process."""
    if settings.model.startswith(SERVED):
        raise InputError(f"--engine local runs a model in this process, and {settings.model} is served: use http")
    if settings.max_connections is not None:
        raise InputError(f"--max-connections is for served models ({SERVED}MODEL); {settings.model} batches by itself")
    return _of_provider(settings, LADDERS_AHEAD)


def http(settings: EngineSettings) -> Engine:
    """A server has the model."""
    if not settings.model.startswith(SERVED):
        raise InputError(
            f"--engine http asks a server, which {SERVED}MODEL names; {settings.model} runs in this process: use local"
        )
    return _of_provider(settings, settings.max_connections or MAX_CONNECTIONS)


ENGINES: dict[str, Callable[[EngineSettings], Engine]] = {"local": local, "http": http}


def default_engine(model: str) -> str:
    """The engine that a model is scored with unless the user names one."""
    return "http" if model.startswith(SERVED) else "local"


def make_engine(name: str, settings: EngineSettings) -> Engine:
    """The engine by that name; InputError where there is none, or where it cannot score this model."""
    if name not in ENGINES:
        raise InputError(f"--engine {name}: there is {', '.join(ENGINES)}")
    with prerequisites_as_input_errors():
        return ENGINES[name](settings)


def _of_provider(settings: EngineSettings, in_flight: int) -> Engine:
    from inspect_ai.model import GenerateConfig, get_model

    arguments = dict(settings.model_args or {})
    if ours := sorted(arguments.keys() & OURS):
        raise InputError(f"-M {', '.join(ours)}: not an argument of a model (a server's address is --model-base-url)")
    try:
        model = get_model(
            settings.model,
            config=GenerateConfig(max_connections=in_flight, max_retries=settings.max_retries),
            base_url=settings.base_url,
            memoize=False,
            **arguments,
        )
    except ValueError as error:  # no such provider
        raise InputError(str(error)) from error
    return ProviderEngine(model, in_flight, settings.max_retries)


@contextmanager
def prerequisites_as_input_errors() -> Iterator[None]:
    """Inspect's PrerequisiteError as an InputError with its plain text (Inspect prints it as rich markup)."""
    from inspect_ai._util.error import PrerequisiteError

    try:
        yield
    except PrerequisiteError as error:
        from rich.markup import render

        raise InputError(render(str(error.message), emoji=False).plain) from error


def why(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".removesuffix(": ")
