"""Batches across ladders: conversations of like length together, each distinct one once, from one thread."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
from anyio.lowlevel import current_token

from tail_bench.errors import InputError
from tail_bench.providers.rendering import Rendered, first_line
from tail_bench.providers.reward_model import Reward, as_reward

Forward = Callable[[Sequence[Rendered]], Sequence[float]]
"""The rewards of a batch."""

LAST_BATCH = 60.0
"""Seconds that the end of the process waits for a batch under way: torch aborts where its thread is cut off."""


class _Call:
    """Conversations of one ladder, and who waits for their rewards."""

    def __init__(self, items: Sequence[Rendered]) -> None:
        self.missing = set(items)
        self.rewards: dict[Rendered, Reward] = {}
        self.failure: Exception | None = None
        self.given_up = False
        self.done = anyio.Event()
        self._post = _post_to_this_loop()

    def finish(self) -> None:
        """Wake who waits, from another thread, without waiting for their event loop (it may have ended)."""
        if not self.given_up:
            with suppress(RuntimeError):
                self._post(self.done.set)


class Batcher:
    """Scores conversations of all ladders that are in flight, in batches, in one thread.

    A batch is the conversation that waits longest with neighbours of it in length: little is padded, and none starves.
    A batch that fails (out of memory, say) is halved until it works or one conversation is to blame; that one alone is
    unscored. An exception of `prepare`, which runs before the first batch, and an InputError of `forward`, which holds
    for all batches, are raised in all calls. The thread ends when nobody waits, so that it keeps no model alive.
    """

    def __init__(self, forward: Forward, batch_size: int, prepare: Callable[[], None]) -> None:
        self.batch_size = batch_size
        self._forward = forward
        self._prepare = prepare
        self._prepared = False
        self._failure: Exception | None = None
        self._waiting: dict[Rendered, list[_Call]] = {}
        self._lock = threading.Lock()
        self._running = False

    async def score(self, items: Sequence[Rendered]) -> list[Reward]:
        """The rewards of the conversations, in their order."""
        if not items:
            return []
        call = _Call(items)
        with self._lock:
            for item in call.missing:
                self._waiting.setdefault(item, []).append(call)
            if not self._running:
                self._running = True
                thread = threading.Thread(target=self._work, name="tail_bench batches", daemon=True)
                _at_work.add(thread)
                thread.start()
        try:
            await call.done.wait()
        except BaseException:
            call.given_up = True
            raise
        if call.failure is not None:
            raise call.failure
        return [call.rewards[item] for item in items]

    async def score_alone(self, items: Sequence[Rendered]) -> list[Reward]:
        """The same, each conversation apart from the others: in a batch by itself, or with those of other ladders."""
        found = {item: (await self.score([item]))[0] for item in dict.fromkeys(items)}
        return [found[item] for item in items]

    @property
    def idle(self) -> bool:
        """Whether nobody waits."""
        return not self._running

    def reset(self) -> None:
        """Prepare again before the next batch."""
        self._prepared, self._failure = False, None

    def _work(self) -> None:
        try:
            while batch := self._take():
                self._give(batch, self._rewards(batch))
        finally:
            _at_work.discard(threading.current_thread())

    def _take(self) -> list[Rendered]:
        """The next batch, empty where nobody waits: the thread then ends."""
        with self._lock:
            for item in [i for i, calls in self._waiting.items() if all(c.given_up for c in calls)]:
                del self._waiting[item]
            if not self._waiting or _ending.is_set():
                self._running = False
                return []
            oldest = next(iter(self._waiting))
            by_length = sorted(self._waiting, key=lambda item: len(item.ids))
            place = by_length.index(oldest)
            size = min(self.batch_size, len(by_length))
            starts = range(max(0, place - size + 1), min(place, len(by_length) - size) + 1)
            return min((by_length[s : s + size] for s in starts), key=_padding)

    def _give(self, batch: Sequence[Rendered], rewards: Sequence[Reward]) -> None:
        with self._lock:
            waiting = [self._waiting.pop(item) for item in batch]
        for item, reward, calls in zip(batch, rewards, waiting, strict=True):
            for call in calls:
                call.rewards[item] = reward
                call.failure = self._failure
                call.missing.discard(item)
                if not call.missing:
                    call.finish()

    def _rewards(self, batch: Sequence[Rendered]) -> list[Reward]:
        try:
            if not self._prepared:
                self._prepared = True
                self._prepare()
            if self._failure is None:
                return scored_in_halves(self._forward, batch)
        except Exception as error:
            self._failure = error
        except BaseException as error:  # a model's own code may exit: nobody must wait for it for ever
            self._failure = RuntimeError(f"{type(error).__name__}: {error}")
        return [Reward(None)] * len(batch)


def scored_in_halves(forward: Forward, batch: Sequence[Rendered]) -> list[Reward]:
    """The rewards of a batch; one that fails (out of memory, say) is halved until one conversation is to blame.

    An InputError holds for all conversations, and is raised.
    """
    try:
        return [as_reward(value) for value in forward(batch)]
    except InputError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [Reward(None, f"the model failed on it: {first_line(error)}")]
    # Out of the except block: the exception holds the tensors of the pass that failed.
    free_memory()
    half = len(batch) // 2
    return [*scored_in_halves(forward, batch[:half]), *scored_in_halves(forward, batch[half:])]


def _padding(batch: Sequence[Rendered]) -> int:
    """Tokens that a batch in the order of length would be padded by."""
    return len(batch) * len(batch[-1].ids) - sum(len(item.ids) for item in batch)


def free_memory() -> None:
    """Give what torch keeps of freed memory back to the GPU, if torch is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _post_to_this_loop() -> Callable[[Callable[[], Any]], Any]:
    """What runs a function in the event loop of the caller, asyncio's or trio's, from another thread."""
    loop: Any = current_token().native_token
    post: Callable[[Callable[[], Any]], Any] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    return post


_at_work: set[threading.Thread] = set()
_ending = threading.Event()


@atexit.register
def _wait_for_last_batch() -> None:
    _ending.set()
    for thread in list(_at_work):
        thread.join(LAST_BATCH)
