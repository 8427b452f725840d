"""Checks on a corrected text: each planted error is fixed, and nothing else has changed.

The corrected text is found in the response by its likeness to the original, so a list of changes may stand
around it. Bold marks on changes, struck-out old words, typographic quotes and line breaks are not changes.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from tail_bench.ladders.checks import Verdict

MAX_CHARACTERS = 20_000
LIKENESS = 0.6
_QUOTES = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "\u00a0": " ", "\u202f": " "})


def _plain(text: str) -> str:
    text = re.sub(r"~~[^~]*~~", "", text[:MAX_CHARACTERS].translate(_QUOTES))
    text = re.sub(r"^[ \t]*(?:>|#{1,6})[ \t]?", "", text, flags=re.M)
    text = re.sub(r"\*\*|__|`", "", text)
    return re.sub(r"(?<![\w*])[*_](?=[^\s*])|(?<=[^\s*])[*_](?![\w*])", "", text)


def _tokens(text: str) -> list[str]:
    """Words and punctuation marks; "it's", "11.30" and "stair-chair" are one each."""
    return re.findall(r"\w+(?:['.,:-]\w+)*|[^\w\s]", text)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(p.split()) for p in re.split(r"\n[ \t]*\n", _plain(text)) if p.strip()]


def _coverage(passage: list[str], paragraph: list[str]) -> float:
    """The share of the passage's tokens that the paragraph has in the same order."""
    blocks = SequenceMatcher(None, passage, paragraph, autojunk=False).get_matching_blocks()
    return sum(b.size for b in blocks if b.size > 1 or len(passage) == 1) / max(1, len(passage))


def _corrected(text: str, original: str) -> list[str]:
    """The paragraphs of the response from the first to the last that is like one of the original."""
    paragraphs = _paragraphs(text)
    parts = [_tokens(p) for p in _paragraphs(original)]
    alike = [i for i, p in enumerate(paragraphs) if any(_coverage(part, _tokens(p)) >= LIKENESS for part in parts)]
    return paragraphs[alike[0] : alike[-1] + 1] if alike else []


def _has(tokens: list[str], wanted: str) -> bool:
    sought = _tokens(_plain(wanted))
    return any(tokens[i : i + len(sought)] == sought for i in range(len(tokens) - len(sought) + 1))


def fixed(text: str, sentence: str, wrong: str, right: list[str]) -> Verdict:
    """Where the original has `sentence`, the response has one of `right` and no longer has `wrong`."""
    passage = _tokens(_plain(sentence))
    best = max((_tokens(p) for p in _paragraphs(text)), key=lambda p: _coverage(passage, p), default=[])
    if _coverage(passage, best) < LIKENESS:
        return Verdict(False, f"the passage with {wrong!r} is not there")
    if any(_has(best, r) for r in right):
        return Verdict(not _has(best, wrong), f"{wrong!r} corrected")
    return Verdict(False, f"{wrong!r} is still there" if _has(best, wrong) else f"{wrong!r} has no right correction")


def rest_unchanged(text: str, original: str, errors: list[str]) -> Verdict:
    """No word or punctuation mark outside the `errors` (each stands once in the original) was changed."""
    before = _tokens(" ".join(_paragraphs(original)))
    free: set[int] = set()
    for error in errors:
        sought = _tokens(_plain(error))
        at = [i for i in range(len(before)) if before[i : i + len(sought)] == sought]
        if len(at) != 1:
            raise ValueError(f"{error!r} stands {len(at)} times in the original")
        free.update(range(at[0], at[0] + len(sought)))
    after = _tokens(" ".join(_corrected(text, original)))
    if not after:
        return Verdict(False, "the text is not there")
    changes = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        inside = free.issuperset(range(i, j)) if j > i else i in free or i - 1 in free
        if kind != "equal" and not inside:
            changes.append(f"{' '.join(before[i:j])!r} -> {' '.join(after[k:m])!r}")
    return Verdict(not changes, f"changed: {changes}" if changes else "nothing else changed")
