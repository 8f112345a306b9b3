"""What a user did that cannot work, in words: found, expected, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Problem(Exception):
    """A fault of input, settings or surroundings. Its text is all the user sees of it."""


def nearest(name: str, valid: Iterable[str], *, most: int = 3) -> str:
    """Return ' (nearest: a, b)' for the valid names most like `name`, '' if none is like it."""
    by_lower = {candidate.lower(): candidate for candidate in valid}
    found = get_close_matches(name.lower(), list(by_lower), n=most, cutoff=0.5)
    return f" (nearest: {', '.join(by_lower[match] for match in found)})" if found else ""
