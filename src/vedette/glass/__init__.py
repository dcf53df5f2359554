"""The glass box: how a detector reached each box, and which step lost each object that it did not find."""
