"""The one error that is the user's to mend, and what may have been meant."""

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: one line that names the file, the line or the value, and says what to do.

    The command line prints it and exits with 2.
    """


def likely(given: str, known: Iterable[str]) -> str:
    """The end of a sentence on a name that there is not: "; did you mean …?", or nothing where none is like it."""
    from difflib import get_close_matches

    found = get_close_matches(given, list(known), n=1, cutoff=0.7)
    return f"; did you mean {found[0]}?" if found else ""
