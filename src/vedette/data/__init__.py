"""Data sets: read, check, convert, part, load; and to and from other libraries."""

from vedette.data.huggingface import from_huggingface, to_huggingface
from vedette.data.supervision import from_supervision, to_supervision

__all__ = ["from_huggingface", "from_supervision", "to_huggingface", "to_supervision"]
