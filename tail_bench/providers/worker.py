"""A thread that runs a user's functions one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token


class _Call:
    """A function to run, and what came of it: a value, or the exception it raised."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.value: Any = None
        self.error: Exception | None = None
        self.done = anyio.Event()
        self.token = current_token()


class Worker:
    """Runs functions one at a time in one thread, while the event loop goes on.

    One at a time and one thread, because reward code is written for a loop that never calls it twice at once, and may
    hold what is bound to its thread. The thread is a daemon, so that a call that hangs cannot keep the process from
    ending; a call that is given up (a time limit) is left to its thread, and the next call gets a new one.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._calls: SimpleQueue[_Call] | None = None

    async def run(self, function: Callable[[], Any]) -> Any:
        """The function's value, or the exception that it raised."""
        async with self._lock:
            if self._calls is None:
                self._calls = SimpleQueue()
                threading.Thread(target=_work, args=(self._calls,), name="tail_bench worker", daemon=True).start()
            call = _Call(function)
            self._calls.put(call)
            try:
                await call.done.wait()
            except BaseException:
                self._calls = None
                raise
        if call.error is not None:
            raise call.error
        return call.value


def _work(calls: SimpleQueue[_Call]) -> None:
    while True:
        call = calls.get()
        try:
            call.value = call.function()
        except Exception as error:
            call.error = error
        except BaseException as error:  # sys.exit() in a reward function must not end the run
            call.error = RuntimeError(f"{type(error).__name__}: {error}")
        try:
            anyio.from_thread.run_sync(call.done.set, token=call.token)
        except RuntimeError:  # the event loop has ended: nobody waits
            return
