"""Checks: programs that decide whether a response meets a criterion. One module per domain.

A check is a function `check(text: str, **args) -> Verdict` that reads the response's text as a person would (its last
code block, its stated answer) and says whether it passes and why. A `Check` record names it as "<domain>.<function>".
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from tail_bench.ladders.schema import Check

DOMAINS = ("python", "sql", "math", "regex", "constraints", "grounded", "editing", "planning", "extraction")


class Verdict(NamedTuple):
    """Whether a response passes a check, and why (for a person who wonders)."""

    passed: bool
    why: str


def run_check(check: Check, text: str) -> Verdict:
    """Run a check on a response's text; ValueError where no such check exists."""
    domain, _, function = check.name.partition(".")
    if domain not in DOMAINS or function.startswith("_"):
        raise ValueError(f"unknown check {check.name!r}: a name is DOMAIN.FUNCTION, domains are {', '.join(DOMAINS)}")
    found = getattr(import_module(f"{__name__}.{domain}"), function, None)
    if found is None or found.__module__ != f"{__name__}.{domain}":
        raise ValueError(f"unknown check {check.name!r}: tail_bench/ladders/checks/{domain}.py has no {function}")
    verdict = found(text, **check.args)
    assert isinstance(verdict, Verdict)
    return verdict
