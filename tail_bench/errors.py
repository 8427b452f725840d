"""Errors of bad input: one exception for the library and the command line, and its form for Inspect."""

from __future__ import annotations

import re
from collections.abc import Sequence


class InputError(ValueError):
    """What a user gave cannot be used: the message says what, where, and what would be right."""


SHOWN = 5
"""How many of several problems are shown."""


def listed(title: str, problems: Sequence[str]) -> str:
    """A message of several problems: the first few, and how many more there are."""
    more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return f"{title}\n  " + "\n  ".join(problems[:SHOWN]) + more


def prerequisite_error(message: object) -> Exception:
    """The message as Inspect's PrerequisiteError: it ends a run before any call with one clean message and exit 1."""
    from inspect_ai._util.error import PrerequisiteError
    from rich.emoji import Emoji
    from rich.markup import escape

    # Inspect prints it as rich markup: what a user's file says must not be read as tags, nor `:one:` as an emoji (a tag
    # without effect behind the colon keeps the two apart).
    text = escape(printable(str(message)))
    return PrerequisiteError(text if Emoji.replace(text) == text else text.replace(":", ":[none][/none]"))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text of a stranger's file without what could steer a terminal: control characters, changes of direction, half
    characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
