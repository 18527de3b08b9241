"""Words that were most likely meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def likely(word: str, known: Iterable[str]) -> str:
    """What to add to a message about an unknown word: `; did you mean 'sen12mscr'?`, or nothing where no known word is near.

    Args:
        word: As it was given.
        known: Words that are possible.
    """
    near = get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]!r}?" if near else ""
