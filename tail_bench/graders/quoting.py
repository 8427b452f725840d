"""Responses inside a prompt: strangers' texts that must not pass for the prompt's own words.

A quoted text stands between two tags that carry a mark which is in none of the texts, so that no text can close its
quotation or open another. Where a published prompt leaves no room for tags, lines of a text that repeat a line of
that prompt are set off instead.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple


def mark_of(texts: Sequence[str]) -> str:
    """A mark that occurs in none of the texts; the same for the same texts, so that equal questions stay equal.

    It is a hash of the texts it must not be in: a text that contained its own mark would be a fixed point of sha256.
    """
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(8, len(digest) + 1):
        if not any(digest[:length] in text for text in texts):
            return digest[:length]
    raise ValueError("the texts contain the hash of themselves")


def quoted(name: str, text: str, mark: str) -> str:
    """The text between tags that carry the mark."""
    return f"<{name} {mark}>\n{text}\n</{name} {mark}>"


class OwnLines(NamedTuple):
    """A prompt's own lines as they are compared: whole ones, and what stands in front of a text on its line."""

    whole: frozenset[str]
    starts: tuple[str, ...]


def own_lines(prompt: str, hole: str) -> OwnLines:
    """The own lines of a prompt that has the hole where the texts will stand; only those with letters."""
    lines = prompt.splitlines()
    whole = {plain(line) for line in lines if hole not in line}
    starts = {plain(line.partition(hole)[0]) for line in lines if hole in line}
    return OwnLines(
        frozenset(line for line in whole if _has_letters(line)),
        # "Response B:" is a start; a bare word in front of a text would set off half of what people write
        tuple(sorted(start for start in starts if _has_letters(start) and not start[-1].isalnum())),
    )


def _has_letters(line: str) -> bool:
    return any(c.isalpha() for c in line)


def set_off(text: str, own: OwnLines) -> str:
    """The text with "> " before each line that could pass for one of the prompt's own."""
    lines = [(line, plain(line)) for line in text.splitlines(keepends=True)]
    return "".join(f"> {line}" if p in own.whole or p.startswith(own.starts) else line for line, p in lines)


def plain(line: str) -> str:
    """A line as it is compared: without case, invisible characters and differences of width, with single spaces."""
    if not line.isascii():
        line = "".join(c for c in unicodedata.normalize("NFKC", line) if unicodedata.category(c) != "Cf")
    return " ".join(line.casefold().split())
