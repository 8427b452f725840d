import time

import pytest

from tail_bench.ladders.checks import sandbox

OUT = "no result: out of time or memory, crashed or left early"


def run_code(code):
    """Runs in the child: what `answer` is after the code."""
    scope = {}
    exec(code, scope)
    return scope.get("answer")


def outcome(code, **limits):
    return sandbox.run(run_code, code, **limits)


def test_result_comes_back_as_data():
    assert outcome("answer = {'a': [1, None, 'é\\n']}") == ({"a": [1, None, "é\n"]}, None)


def test_error_is_reported_not_raised():
    assert outcome("1 / 0") == (None, "ZeroDivisionError: division by zero")
    assert outcome("import sys; sys.exit(3)").error == "SystemExit: 3"


def test_printed_text_is_no_answer():
    fake = (
        "import os, sys\nfor fd in range(9):\n  try: os.write(fd, b'\\n{\"result\": 1}\\n')\n  except OSError: pass\n"
    )
    assert outcome(fake + "print('{\"result\": 1}', file=sys.__stdout__)\nanswer = 2") == (2, None)
    assert outcome(fake + "os._exit(0)") == (None, OUT)


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import threading; threading.Thread(target=print).start()",
        "import socket; socket.socket(socket.AF_INET).connect(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.socket(socket.AF_UNIX).connect('/var/run/x')",
        "import urllib.request as u; u.urlopen('http://example.org')",
        "open('/etc/passwd').read()",
        f"open({__file__!r}).read()",
        "open('note.txt', 'w')",
        "import os; os.open('note.txt', os.O_CREAT | os.O_WRONLY)",
        "import os; os.listdir('/')",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.remove('/tmp/x')",
        "import ctypes",
        "import sqlite3; sqlite3.connect('file.db')",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    ],
)
def test_the_outside_is_out_of_reach(code):
    assert outcome(code).error is not None


def test_no_environment_and_no_site_packages(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    assert outcome("import os; answer = os.environ.get('SECRET')") == (None, None)
    assert outcome("import pydantic").error == "ModuleNotFoundError: No module named 'pydantic'"


@pytest.mark.parametrize("module", ["asyncio", "decimal", "dataclasses", "statistics", "zoneinfo", "unittest"])
def test_the_standard_library_is_there(module):
    assert outcome(f"import {module} as m\nanswer = m.__name__").result == module


def test_asyncio_runs():
    code = "import asyncio\nasync def f():\n  await asyncio.sleep(0)\n  return 7\nanswer = asyncio.run(f())"
    assert outcome(code) == (7, None)


def test_time_is_limited():
    started = time.monotonic()
    assert outcome("while True: pass", cpu_seconds=1).error == OUT
    assert "timed out" in str(outcome("import time; time.sleep(60)", wall_seconds=0.5).error)
    assert time.monotonic() - started < 15


def test_memory_and_output_are_limited():
    assert "MemoryError" in str(outcome("answer = len(bytearray(10**9))", memory_mb=256).error)
    assert outcome("answer = 'x' * 10**6", output_bytes=10_000).error == "the result is too large"


def test_a_crash_is_an_error():
    deep = "import sys; sys.setrecursionlimit(10**9)\nclass A:\n  def __repr__(s): return repr([s])\nrepr(A())"
    assert outcome(deep).error is not None


def test_works_where_namespaces_are_not_allowed(monkeypatch):
    monkeypatch.setattr(sandbox, "_namespaces", tuple)
    assert outcome("answer = 1") == (1, None)
    assert outcome("while True: pass", cpu_seconds=1).error == OUT
    assert outcome("import os; os.fork()").error is not None


def test_code_blocks():
    text = "a\n```SQL\nx `y`\n```\n- b\n\n  ~~~ python title=1\n  def f():\n    pass\n  ```\n  ~~~\n"
    text += "````\n```\n````\n```\nend"
    assert sandbox.code_blocks(text) == [
        ("sql", "x `y`"),
        ("python", "def f():\n  pass\n```"),
        ("", "```"),
        ("", "end"),
    ]
    assert sandbox.code_blocks("`a` and ```b``` inline") == []


def test_code_blocks_is_fast_on_hostile_text():
    started = time.monotonic()
    sandbox.code_blocks("~" * 200_000 + "`")
    sandbox.code_blocks(" " * 200_000 + "`")
    assert time.monotonic() - started < 2
