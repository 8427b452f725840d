"""Where strangers' code runs: a child process with limits, for the checks of python, sql and regex.

What it does. The child is a fresh isolated interpreter (`-I -S`: no environment, no user or site packages)
in an empty scratch folder and a process group of its own. Limits on CPU time, address space, file size and
open files are set before any strange code runs; a wall clock kills the whole group. An audit hook, which
Python code cannot remove, refuses to start processes (and threads are off), to reach the network, to load
ctypes, and to open any file but the standard library's, for reading. Where the system lets an ordinary user
have them, the child also gets namespaces of its own: no network device but a dead loopback, and no process
outlives the child. Printed text goes nowhere; the answer comes back as JSON behind a random marker, so that
nothing a response prints passes for an answer.

What it does not protect against. This is a fence, not a wall. Code written to break out of CPython (memory
corrupted by crafted bytecode, a bug in a C module) gets past the hook; the limits and, if there are any,
the namespaces still hold it, but it runs as the same user and could read that user's files. macOS may
refuse the limit on address space and has no namespaces. Code in the child can find the marker by searching
the interpreter and so answer for itself: therefore expected values stay in the parent, and the child only
reports what came out. For code from people who would attack you, use a virtual machine. POSIX only.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

_FUTURE = "from __future__ import annotations"


class Block(NamedTuple):
    """A fenced code block: the language that its fence names (lower case, may be empty) and its code."""

    language: str
    code: str


class Outcome(NamedTuple):
    """What the child reported, or why there is nothing (then `error` says so)."""

    result: Any
    error: str | None


def code_blocks(text: str) -> list[Block]:
    """The fenced code blocks of a response in order; one that is never closed runs to the end."""
    blocks: list[Block] = []
    fence, language = "", ""
    lines: list[str] = []
    for line in [*text.replace("\r\n", "\n").split("\n"), None]:
        if fence and (line is None or re.fullmatch(rf"\s*{fence[0]}{{{len(fence)},}}\s*", line)):
            blocks.append(Block(language, textwrap.dedent("\n".join(lines))))
            fence = ""
        elif fence and line is not None:
            lines.append(line)
        elif line is not None and (opened := re.match(r"\s*(`{3,}+|~{3,}+)([^`]*+)$", line)):
            fence, language, lines = opened[1], "".join(opened[2].lower().split()[:1]), []
    return blocks


def run(
    main: Callable[[Any], Any],
    payload: Any,
    *,
    helpers: tuple[Callable[..., Any], ...] = (),
    cpu_seconds: int = 5,
    wall_seconds: float = 20.0,
    memory_mb: int = 512,
    output_bytes: int = 1_000_000,
) -> Outcome:
    """Run `main(payload)` in a limited child; payload and result are JSON data.

    The source of `main` and `helpers` is what travels: they import what they need themselves.
    """
    if os.name != "posix":
        raise RuntimeError("strangers' code runs on POSIX systems only")
    limits = {"CPU": cpu_seconds, "AS": memory_mb * 2**20, "FSIZE": output_bytes}
    marker = secrets.token_hex(16)
    request = {
        "program": "\n".join([_FUTURE, *map(inspect.getsource, (*helpers, main))]),
        "main": main.__name__,
        "payload": payload,
        "limits": limits | {"NOFILE": 32, "NPROC": 0, "CORE": 0},
        "marker": marker,
    }
    boot = f"{_FUTURE}\n{inspect.getsource(_boot)}\n_boot()"
    command = [*_namespaces(), sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", boot]
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
    ):
        stdin.write(json.dumps(request).encode())
        stdin.seek(0)
        child = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env={},
            start_new_session=True,
        )
        timed_out = False
        try:
            child.wait(wall_seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        stdout.seek(0)
        said = stdout.read(output_bytes).decode(errors="replace")
    if timed_out:
        return Outcome(None, f"timed out after {wall_seconds:g} s")
    _, found, answer = said.partition(f"\n{marker}")
    if not found:
        return Outcome(None, "no result: out of time or memory, crashed or left early")
    try:
        report = json.loads(answer.partition("\n")[0])
    except (ValueError, RecursionError):
        return Outcome(None, "the result is too large")
    if not isinstance(report, dict):
        return Outcome(None, "not a report")
    return Outcome(report.get("result"), report.get("error"))


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """The command that gives a child namespaces of its own; () where that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    command = (unshare, "--user", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--")
    try:
        tried = subprocess.run([*command, sys.executable, "-ISc", ""], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if tried.returncode == 0 else ()


def _boot() -> None:
    """Runs in the child, where its source is sent: the first steps, then the program, then the answer."""
    import _thread
    import json
    import os
    import resource
    import sys
    import types

    request = json.loads(sys.stdin.buffer.read())
    answer_to = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name, limit in request["limits"].items():
        try:
            kind = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(kind)[1]
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(kind, (limit, limit))
        except (AttributeError, ValueError, OSError):  # not every system has or takes every limit
            pass

    readable = (*(p for p in sys.path if p.startswith("/")), "/usr/share/zoneinfo")
    families = "os shutil subprocess socket ctypes signal resource fcntl mmap pty tempfile syslog gc _thread"
    refused = (*(f"{family}." for family in families.split()), "sqlite3.enable_load", "sqlite3.load")
    unloadable = ("ctypes", "_ctypes", "_posixsubprocess", "_xxsubinterpreters", "_interpreters", "_testcapi")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def guard(event: str, args: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir"):
            path = args[0]
            inside = type(path) is str and path.startswith(readable) and ".." not in path
            fine = type(path) is int or (inside and "-packages" not in path)
            fine = fine and not (event == "open" and args[2] & writing)
        elif event == "import":
            fine = args[0] not in unloadable
        elif event == "sqlite3.connect":
            fine = args[0] == ":memory:"
        elif event == "socket.__new__":
            fine = args[1] == 1  # AF_UNIX: asyncio's loop wakes itself through a pair; connecting is refused
        else:
            fine = not event.startswith(refused)
        if not fine:
            raise PermissionError(f"not allowed here: {event}")

    def no_thread(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("not allowed here: threads")

    for name in ("start_new_thread", "start_new", "start_joinable_thread"):  # the hook sees them from 3.12 on only
        _thread.__dict__[name] = no_thread
    no_fork = types.ModuleType("_posixsubprocess")
    no_fork.__dict__["fork_exec"] = None  # so that modules which import subprocess still load
    sys.modules["_posixsubprocess"] = no_fork
    scope: dict[str, Any] = {"__name__": "program"}
    sys.addaudithook(guard)
    try:
        exec(request["program"], scope)
        answer = {"result": scope[request["main"]](request["payload"])}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    os.write(answer_to, f"\n{request['marker']}{json.dumps(answer)}\n".encode())
    os._exit(0)
