"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: one line that names the file, the line or the value, and says what to do.

    The command line prints it and exits with 2.
    """
