"""Pictures a second of processor time and core, from files to batches: ours by stage, and torchvision's presets.

    python benchmarks/input_speed.py DATA[:SPLIT] [--size 320 --pictures 480 --rounds 3]

One process, one thread; seconds are the processor's, so that a busy machine changes them little. Ours is the training
input of a spec that warps (SSD's augmentation). Theirs are the `ssd` and `ssdlite` presets of torchvision's
detection references, put together here from `torchvision.transforms.v2`, with a resize to the same square at the end,
once on PIL pictures and once on tensors decoded by `torchvision.io`. All read the same files and end in a uint8 batch.
Prints Markdown tables; of the rounds, which go in turns, the median counts.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from vedette.data.annotations import Dataset
from vedette.data.kept import MemoryPictures
from vedette.data.loader import DetectionDataset, collate, eval_loader, train_loader
from vedette.data.read import read_datasets
from vedette.data.sampler import Draw
from vedette.structures import InputSpec

MEAN = (123, 117, 104)
BATCH = 32


def seconds(work: Callable[[], object]) -> float:
    """Processor time of it."""
    start = time.process_time()
    work()
    return time.process_time() - start


def batches(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    """The indices, so many at a time as a batch has."""
    return (indices[at : at + BATCH] for at in range(0, len(indices), BATCH))


def our_stages(samples: DetectionDataset, divisor: int, indices: Sequence[int], epoch: int) -> dict[str, float]:
    """Seconds of each stage of ours; an epoch has its own random numbers."""
    spent = {"decode": 0.0, "decode and augment": 0.0, "collate": 0.0}
    for chosen in batches(indices):
        made: list[Any] = []
        draws = [Draw(index, 1_000_003 * epoch + index) for index in chosen]
        spent["decode"] += seconds(lambda chosen=chosen: [samples.pictures(index).load() for index in chosen])
        spent["decode and augment"] += seconds(lambda made=made, draws=draws: made.extend(samples[d] for d in draws))
        spent["collate"] += seconds(lambda made=made: collate(made, divisor))
    return spent


class Theirs:
    """Files to batches with torchvision's transforms alone."""

    def __init__(self, data: Dataset, changes: list[v2.Transform], size: int, tensors: bool) -> None:
        self.data, self.tensors = data, tensors
        self.augment = v2.Compose([*changes, v2.Resize((size, size), antialias=True), v2.SanitizeBoundingBoxes()])

    def read(self, index: int) -> Any:
        """A tensor, or an RGB picture."""
        file = self.data.file(index)
        if self.tensors:
            return tv_tensors.Image(decode_image(str(file), ImageReadMode.RGB))
        with Image.open(file) as image:
            return image.convert("RGB")

    def sample(self, index: int) -> Tensor:
        """(3, size, size) uint8."""
        width, height = self.data.size(index)
        boxes = tv_tensors.BoundingBoxes(self.data.boxes(index), format="XYXY", canvas_size=(height, width))
        image, _ = self.augment(self.read(index), {"boxes": boxes, "labels": self.data.labels(index)})
        pixels: Tensor = image if self.tensors else v2.functional.pil_to_tensor(image)
        return pixels

    def run(self, indices: Sequence[int]) -> None:
        """All of them, in batches."""
        for chosen in batches(indices):
            torch.stack([self.sample(index) for index in chosen])


def presets(data: Dataset, size: int) -> dict[str, Theirs]:
    """torchvision's, by the name of the preset and of what it works on."""
    cut = [v2.RandomIoUCrop(), v2.RandomHorizontalFlip(0.5)]
    changes: dict[str, list[v2.Transform]] = {
        "ssd": [v2.RandomPhotometricDistort(), v2.RandomZoomOut(fill=MEAN), *cut],
        "ssdlite": cut,
    }
    return {
        f"torchvision {name}, {'tensors' if tensors else 'PIL'}": Theirs(data, steps, size, tensors)
        for name, steps in changes.items()
        for tensors in (False, True)
    }


def crossing(data: Dataset, spec: InputSpec, batch: int = 64, workers: int = 2) -> float:
    """Milliseconds that the process which trains spends on a batch of so many pictures to have it from its workers."""
    loader = train_loader(data, spec, batch, workers, factors=torch.full((len(data),), 16 * batch / len(data)))
    loader.sampler.set_epoch(0)
    given = iter(loader)
    for _ in range(4):
        next(given)
    return 1000 * seconds(lambda: [next(given) for _ in range(10)]) / 10


def rate(count: int, spent: Sequence[float]) -> str:
    """Pictures a second of the median round, with the least and the most."""
    rates = [count / one if one else 0.0 for one in spent]
    return f"{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="PATH[:SPLIT] of COCO, VOC or YOLO data")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--pictures", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = read_datasets([arguments.data])
    step = max(1, len(data) // arguments.pictures)
    data = data.part(list(range(0, len(data), step))[: arguments.pictures])
    indices = range(len(data))
    square = InputSpec(size=arguments.size, mean=(123.0, 117.0, 104.0))
    short = InputSpec(size=800, resize="short side", max_side=1333, divisor=32)
    kept = MemoryPictures(data)
    for index in indices:
        kept(index)
    ours = {
        "training, warp": train_loader(data, square, BATCH, workers=0).dataset,
        "training, zoom-out to 2": train_loader(data, square, BATCH, workers=0, max_zoom_out=2.0).dataset,
        "training, warp, --cache memory": train_loader(data, square, BATCH, workers=0, pictures=kept).dataset,
        "evaluation, warp": eval_loader(data, square, BATCH, workers=0).dataset,
        "training, short side 800": train_loader(data, short, BATCH, workers=0).dataset,
    }
    theirs = presets(data, arguments.size)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in ours}
    beside: dict[str, list[float]] = {name: [] for name in theirs}
    for epoch in range(arguments.rounds):
        for name, samples in ours.items():
            few = indices[: max(BATCH, len(indices) // 8)] if "800" in name else indices
            stages = our_stages(samples, short.divisor if "800" in name else 1, few, epoch)
            spent[name].append({stage: one / len(few) for stage, one in stages.items()})
        for name, their in theirs.items():
            torch.manual_seed(epoch)
            beside[name].append(seconds(lambda their=their: their.run(indices)) / len(indices))
    print(f"{len(indices)} pictures, {arguments.rounds} rounds, {os.cpu_count()} cores, torch {torch.__version__}\n")
    print("| pictures a second and core | decode | augment | collate | all |\n|---|---|---|---|---|")
    for name, rounds in spent.items():
        decode = [one["decode"] for one in rounds]
        augment = [max(1e-9, one["decode and augment"] - one["decode"]) for one in rounds]
        together = [one["decode and augment"] + one["collate"] for one in rounds]
        columns = (decode, augment, [one["collate"] for one in rounds], together)
        print(f"| {name} | {' | '.join(rate(1, column) for column in columns)} |")
    for name, times in beside.items():
        print(f"| {name} | | | | {rate(1, times)} |")
    print(f"\na batch of 64 costs the process that trains {crossing(data, square):.1f} ms of its own")


if __name__ == "__main__":
    main()
