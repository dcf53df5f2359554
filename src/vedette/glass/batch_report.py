"""The page of a batch that a training is shown: batch.html in a folder, with its pictures beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vedette.data.atomic import write_text
from vedette.evaluate.album import Picture, Progress, new_pictures, save_pictures
from vedette.glass.batch import SeenBatch, SeenPicture
from vedette.glass.training import How, Matches, spread
from vedette.pages.fonts import legible
from vedette.pages.marks import COLOURS, Kind, Mark
from vedette.pages.render import render
from vedette.parts.matching import IGNORED

PAGE = "batch.html"
PICTURES = 16  # at most
# Drawn on a picture: who takes an object by threshold; the hardest background, and ignored ones
TAKING, OTHERS = 24, 12


def write_batch_report(
    folder: Path, seen: SeenBatch, facts: Mapping[str, str] | None = None, progress: Progress | None = None
) -> Path:
    """Writes the page and its pictures into `folder`, which is made, and returns the page's path.

    progress: hears of the pictures that are saved. Where it does not come to its end the folder is as it was.
    """
    shown = _Shown(seen.pictures[:PICTURES])
    heads = [head.name for head in shown.pictures[0].heads]
    total, done = len(shown.pictures) * len(heads), 0

    def count(number: int, _: int) -> None:
        if progress is not None:
            progress(done + number, total)

    saved = []
    with new_pictures(folder, [PAGE]) as made:
        for number, name in enumerate(heads):
            saved.append(
                save_pictures(made, shown, range(len(shown.pictures)), _Marks(seen, number), count, f"{name}-")
            )
            done += len(shown.pictures)
    page = render(
        PAGE,
        title="What the network is shown",
        facts=facts or {},
        figures=_figures(seen, shown.pictures, saved),
        colours=COLOURS,
        recipe=asdict(seen.run.recipe),
        taking=TAKING,
        others=OTHERS,
        **batch_numbers(seen),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def _figures(
    seen: SeenBatch, pictures: Sequence[SeenPicture], saved: Sequence[Mapping[int, Picture]]
) -> list[dict[str, Any]]:
    """Each picture as every head learns from it; saved: by head and picture."""
    return [
        {
            "name": Path(one.file).name,
            "heads": [
                {"head": head.name, "picture": saved[n][row], "lines": list(_lines(seen, one, head))}
                for n, head in enumerate(one.heads)
            ],
        }
        for row, one in enumerate(pictures)
    ]


def batch_numbers(seen: SeenBatch) -> dict[str, Any]:
    """As JSON has them: the terms of the loss, the gradient by part, and what each head's anchors or regions learn."""
    return {
        "images": len(seen.pictures),
        "loss": sum(seen.losses.values()),
        "losses": seen.losses,
        "shares": seen.shares,
        "gradient": seen.norm,
        "gradients": seen.gradients,
        "clip_norm": seen.run.recipe.clip_norm,
        "parameters": seen.parameters,
        "frozen": seen.frozen,
        "heads": [_head(seen, number) for number in range(len(seen.pictures[0].heads))],
    }


@dataclass(frozen=True)
class _Shown:
    """The images of the batch as an album asks for them."""

    pictures: Sequence[SeenPicture]

    def file(self, index: int) -> Path:
        return Path(self.pictures[index].file)

    def size(self, index: int) -> tuple[int, int]:
        _, height, width = self.pictures[index].pixels.shape
        return width, height

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(self.pictures[index].pixels.permute(1, 2, 0).numpy())


@dataclass(frozen=True)
class _Marks:
    """What is drawn on an image of the batch for one head."""

    seen: SeenBatch
    head: int

    def __call__(self, index: int) -> list[Mark]:
        picture = self.seen.pictures[index]
        head, names = picture.heads[self.head], legible(self.seen.run.classes)
        marks = [*_boxes(head, _ignored(head), "ignored", dashed=True)]
        marks += _boxes(head, head.hardest(OTHERS), "false", losses=True)
        marks += _boxes(head, spread((head.how == How.BY_THRESHOLD).nonzero().flatten(), TAKING), "hit")
        marks += _boxes(head, head.how == How.AS_BEST, "candidate")
        ignore = picture.target.ignore
        for row, (box, label) in enumerate(
            zip(picture.target.boxes.tolist(), picture.target.labels.tolist(), strict=True)
        ):
            left_out = ignore is not None and bool(ignore[row])
            kind: Kind = "ignored" if left_out else "annotated"
            marks.append(Mark(tuple(box), kind, names[label] + " (ignored)" * left_out, dashed=True))
        return marks


def _boxes(head: Matches, rows: Tensor, kind: Kind, dashed: bool = False, losses: bool = False) -> Iterator[Mark]:
    """rows: bool or indices."""
    for box, loss in zip(head.boxes[rows].tolist(), head.loss[rows].tolist(), strict=True):
        yield Mark(tuple(box), kind, f"{loss:.1f}" if losses and loss else "", dashed)


def _ignored(head: Matches) -> Tensor:
    return spread((head.matched == IGNORED).nonzero().flatten(), OTHERS)


def _lines(seen: SeenBatch, picture: SeenPicture, head: Matches) -> Iterator[str]:
    """Of each object who learns it, then of the background."""
    target = picture.target
    for row, (box, label) in enumerate(zip(target.boxes.tolist(), target.labels.tolist(), strict=True)):
        own = head.matched == row
        name = f"{seen.run.classes[label]}, {box[2] - box[0]:.0f} × {box[3] - box[1]:.0f} px"
        if target.ignore is not None and bool(target.ignore[row]):
            yield f"{name}: ignored"
            continue
        best = int((own & (head.how == How.AS_BEST)).sum())
        yield f"{name}: {int(own.sum()) - best} by threshold" + (f", {best} as its best" if best else "")
    rows = head.background
    losses = f", loss up to {float(head.loss[rows].max()):.1f}" if bool(head.loss[rows].any()) else ""
    yield f"background: {int(rows.sum())}{losses}; ignored: {int((head.matched == IGNORED).sum())}"


def _head(seen: SeenBatch, number: int) -> dict[str, Any]:
    """Sums over the batch."""
    heads = [picture.heads[number] for picture in seen.pictures]
    how, matched, loss, background = (
        torch.cat(parts)
        for parts in (
            [head.how for head in heads],
            [head.matched for head in heads],
            [head.loss for head in heads],
            [head.background for head in heads],
        )
    )
    objects, alone = 0, 0
    for picture, head in zip(seen.pictures, heads, strict=True):
        ignore = picture.target.ignore
        wanted = range(len(picture.target.labels)) if ignore is None else (~ignore).nonzero().flatten().tolist()
        by_threshold = set(head.matched[head.how == How.BY_THRESHOLD].tolist())
        objects, alone = objects + len(wanted), alone + len(set(wanted) - by_threshold)
    learned = matched >= 0
    return {
        "name": heads[0].name,
        "places": len(matched),
        "objects": objects,
        "objects_without_threshold": alone,
        "by_threshold": int((how == How.BY_THRESHOLD).sum()),
        "as_best": int((how == How.AS_BEST).sum()),
        "ignored": int((matched == IGNORED).sum()),
        "background": int(background.sum()),
        "loss_of_objects": _mean(loss[learned]),
        "loss_of_background": _mean(loss[background]),
        "hardest_background": float(loss[background].max()) if bool(background.any()) else None,
    }


def _mean(losses: Tensor) -> float | None:
    """None where the head has no loss of each place to tell."""
    return float(losses.mean()) if bool(losses.any()) else None
