"""What is raised for a detector that a format cannot hold: another try ends in the same."""

from vedette.errors import InputError


class ExportError(InputError):
    """A detector that has no form in a format, or whose file is not its equal."""
