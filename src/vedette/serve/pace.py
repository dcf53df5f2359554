"""How long passes of the network take now, beside how long they take when there is room for everyone."""

from dataclasses import dataclass

USUAL = 0.02  # the weight of the newest pass in the mean of what is usual
LATELY = 0.3  # and in that of late: an overload comes within a few passes
FIRST = 10  # passes that say what is usual, whatever else goes on


@dataclass
class Passes:
    """A model's passes at the start, of one picture and of a whole batch, in seconds."""

    alone: float
    whole: float
    batch: int

    def expected(self, pictures: int) -> float:
        """Seconds of a pass of so many, on the line through the two."""
        share = (pictures - 1) / max(1, self.batch - 1)
        return max(self.alone + (self.whole - self.alone) * share, 1e-6)


class Pace:
    """Means of (seconds of a pass) / (those expected at the start).

    Requests that are refused, and other processes, take time from the network. What is usual is learnt from passes
    during which no one was refused, so that it stays what it was while too many come.
    """

    def __init__(self) -> None:
        self.lately = self.usual = 1.0
        self.passes = 0

    def passed(self, ratio: float, calm: bool) -> None:
        """Tells of a pass; calm: no one was refused since the one before."""
        self.passes += 1
        self.lately += (ratio - self.lately) * max(LATELY, 1 / self.passes)
        if calm or self.passes <= FIRST:
            self.usual += (ratio - self.usual) * max(USUAL, 1 / self.passes)

    @property
    def slowdown(self) -> float:
        """How many times as long as usual passes take lately, 1 or more."""
        return max(1.0, self.lately / self.usual)
