"""Paths as the user means them."""

from __future__ import annotations

import os
from pathlib import Path

LAUNCH_FOLDER = Path.cwd()
"""Where Inspect was started, if our entry point was loaded before it went to the task file's folder."""


def here(path: str | None) -> str | None:
    """A path as the user means it, from where they are: Inspect runs a task file in the file's own folder."""
    folder = Path.cwd()
    if path is None or not (folder / "tail_reward.py").is_file():  # no task file's folder: the user is here
        return path
    for start in (LAUNCH_FOLDER, Path(os.environ.get("PWD", folder))):
        if start != folder and (start / path).exists():
            return str(start / path)
    return path
