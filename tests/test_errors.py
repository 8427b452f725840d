"""Messages that Inspect prints say what they were given."""

import io

import pytest
from rich.console import Console

from tail_bench.errors import prerequisite_error


@pytest.mark.parametrize("text", ["rm-python/bad:one: no", "e:fire: [bold]x[/bold] [/nope]", "a: b, c", "path\\[x]"])
def test_a_message_is_printed_as_it_is(text):
    console = Console(file=io.StringIO(), width=100)
    console.print(str(prerequisite_error(text).message))
    assert console.file.getvalue() == text + "\n"
