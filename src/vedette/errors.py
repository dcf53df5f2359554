"""The one error that is the user's to mend, and what may have been meant."""

from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: one line that names the file, the line or the value, and says what to do.

    The command line prints it and exits with 2.
    """


def likely(given: str, known: Iterable[str]) -> str:
    """The end of a sentence on a name that there is not: "; did you mean …?", or nothing where none is like it.

    Capitals do not count, and names of the same letters are alike however short they are ("dgo", "dog").
    """
    from difflib import get_close_matches

    names, letters = {name.casefold(): name for name in known}, sorted(given.casefold())
    anagrams = [name for name in names if sorted(name) == letters]
    found = anagrams or get_close_matches(given.casefold(), names, n=1, cutoff=0.7)
    return f"; did you mean {names[found[0]]}?" if found else ""
