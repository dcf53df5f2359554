"""The page of benchmarks/table.py, from what it measured."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contenders import OURS, THEIRS, Row

INTRO = """# Benchmarks

Written by `python benchmarks/table.py`, all in one run on one machine; numbers of other machines differ, ratios too.

```sh
python benchmarks/table.py --prepare                     # weights, and files of `vedette export`
python benchmarks/table.py --out docs/benchmarks.md      # this page
```

The ways of a detector have the same weights (random, but where it says bundled) and run in turns, once a round; one
picture is looked at twice in a turn and the second look counts, as it would be among many.

- Times are medians of rounds in milliseconds, with quartiles; those of several pictures are per picture.
- *Ratio*: torchvision's time in fp32, as it is shipped, over the way's (ours in fp32 where torchvision has no such
  detector), the median of rounds with quartiles. More than 1 is faster.
- *JPEG to boxes* begins with files on the disk and ends with boxes in their pixels; the *network alone* takes decoded
  and resized pictures (of Faster R-CNN it goes on to the boxes).
- *Same*: how many of our detections in fp32 the way finds too, of the same class and at IoU 0.99 or more, and the
  largest difference of their scores. Scores of random weights lie close together: an order turns at the last digit.
- *Memory* is the most that a process of its own holds that looks at one picture.
- *Plain port*: our network as ports of SSD on the web run it, a picture at a time, classes and NMS in Python loops
  (`benchmarks/plain_port.py`). It takes the 200 best candidates a class, where ours takes as many as the paper's code,
  and its NMS is always hard.
"""
Parts = Mapping[str, Any]


def page(rows: Sequence[Row], parts: Parts, about: Mapping[str, Any]) -> str:
    """Markdown, of the parts that are there."""
    lines = [INTRO]
    if about.get("quick"):
        lines.append("**Made with `--quick`: it shows that everything runs, not how fast.**\n")
    lines += ["## The machine\n", *table(("", ""), [(key, about[key]) for key in about if key != "quick"])]
    for row in rows:
        lines += [f"\n## {row.title}\n", *_of_row(row, parts)]
    lines += ["\n## A training step\n", *_training(rows, parts)]
    lines += ["\n## Share of the processor's peak\n", *_peak(rows, parts)]
    lines += ["\n## Behind the network\n", *_after(parts)]
    lines += ["\n## Processes, from start to end\n", *_starts(parts)]
    return "\n".join(lines) + "\n"


def _of_row(row: Row, parts: Parts) -> Iterator[str]:
    """The ways of a detector, one a line."""
    counts = sorted(int(part.rsplit("/", 1)[1]) for part in parts if part.startswith(f"{row.key}/jpeg/"))
    heads = ["way"]
    for count in counts:
        several = "one picture" if count == 1 else f"of {count} pictures"
        heads += [f"JPEG to boxes, {several}", "ratio", f"network alone, {several}"]
    same, memory = parts[f"{row.key}/same"], parts[f"{row.key}/memory"]
    made = []
    for way in same:
        cells = [way]
        for count in counts:
            jpeg, network = (parts[f"{row.key}/{kind}/{count}"] for kind in ("jpeg", "network"))
            cells += [spread(jpeg[way], count), ratio(jpeg, way), spread(network[way], count) if way in network else ""]
        made.append([*cells, _same(same[way]), f"{memory[way]:.0f} MB" if way in memory else ""])
    side = f"{row.side} pixels" if "resnet50" not in row.model else f"short side {row.side}"
    yield f"`{row.model}`, {side}, score floor {row.floor}.\n"
    yield from table((*heads, "same", "memory"), made)


def _same(values: Mapping[str, Any]) -> str:
    return f"{values['found']} of {values['of']}, {values['score']:.1g}" if values else "other weights"


def _training(rows: Sequence[Row], parts: Parts) -> list[str]:
    made = []
    for row in rows:
        values = parts[f"{row.key}/train"]
        times = values["times"]
        cells = [
            spread(times[name]) if name in times else "" for name in ("ours", "theirs", "ours bf16", "theirs bf16")
        ]
        pairs = [of_rounds(times[f"theirs{k}"], times[f"ours{k}"]) if "theirs" in times else "" for k in ("", " bf16")]
        made.append([row.title, str(values["images"]), *cells, *pairs])
    heads = (
        "",
        "images",
        "ours, fp32",
        "torchvision, fp32",
        "ours, bf16",
        "torchvision, bf16",
        "ratio, fp32",
        "ratio, bf16",
    )
    return ["Forward, losses, backward and SGD on random pictures; milliseconds a step.\n", *table(heads, made)]


def _peak(rows: Sequence[Row], parts: Parts) -> list[str]:
    peak, made = parts["peak"], []
    for row in rows:
        operations, times = parts[f"{row.key}/flops"]["flops"], parts[f"{row.key}/network/1"]
        cells = []
        for kind in ("fp32", "bf16"):
            reached = operations / (statistics.median(times[f"ours, {kind}"]) / 1000)
            cells += [f"{reached / 1e9:.0f}", f"{100 * reached / peak[kind]:.0f} %"]
        made.append([row.title, f"{operations / 1e9:.1f}", *cells])
    told = ", ".join(f"{value / 1e9:.0f} in {kind}" for kind, value in peak.items())
    return [
        f"A product of two matrices of 2048 × 2048 reaches {told} GFLOP/s here. Our network on one picture:\n",
        *table(("", "GFLOP", "GFLOP/s, fp32", "of the peak", "GFLOP/s, bf16", "of the peak"), made),
    ]


def _after(parts: Parts) -> list[str]:
    made = []
    for what, (network, rest, low, share, high) in parts["after the network"].items():
        made.append(
            [what, f"{network:.1f}", f"{rest:.2f}", f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"]
        )
    return [
        "`python benchmarks/after_network.py`: from predictions to detections at a score floor of 0.01, one picture.\n",
        *table(("", "network, ms", "behind it, ms", "share"), made),
    ]


def _starts(parts: Parts) -> list[str]:
    return table(("", "ms"), [(name, spread(times)) for name, times in parts["start"].items()])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def spread(times: Sequence[float], per: int = 1) -> str:
    """Median and quartiles."""
    low, middle, high = quartiles([one / per for one in times])
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(times: Mapping[str, Sequence[float]], way: str) -> str:
    """Of the way that is compared with, over this one."""
    other = THEIRS if THEIRS in times else OURS
    return "1" if way == other else of_rounds(times[other], times[way])


def of_rounds(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The median of the rounds' ratios, with quartiles."""
    low, middle, high = quartiles([a / b for a, b in zip(slow, fast, strict=True)])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third; of one value that alone."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
