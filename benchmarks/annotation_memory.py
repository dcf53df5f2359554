"""What the annotations of a data set of COCO's size cost in memory, alone and in the worker processes of a loader.

    python benchmarks/annotation_memory.py [--images 118000 --boxes 860000]

Writes a synthetic COCO JSON whose images need not exist, reads it, and iterates two shuffled epochs over the
annotations alone: files, sizes, boxes and labels of every image, nothing decoded. Prints Markdown tables, in megabytes.
"Own" is what a worker shares with no other process (its private pages), "share" adds its part of what several use
(PSS); with 0 workers both are this process's. The first rows are what a loader costs without annotations, the last ones
have a Python object an image, the form that grows. Needs Linux (/proc).
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from vedette.data.annotations import Dataset
from vedette.data.draft import settle
from vedette.data.files import release_memory
from vedette.data.read_coco import parse_coco

CLASSES = 80
BATCH = 64
EPOCHS = 2
MB = 1e6


def memory(pid: int | str = "self") -> dict[str, float]:
    """Megabytes of a process, from its page tables: resident, share (PSS), own (private)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / MB for line in lines}
    own = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"resident": sizes["Rss"], "share": sizes["Pss"], "own": own}


def write_coco(file: Path, images: int, boxes: int) -> None:
    """A JSON with so many images and boxes, the boxes spread at random."""
    numbers = random.Random(0)

    def records() -> Iterator[str]:
        for key in range(boxes):
            x, y, width, height = (round(numbers.uniform(1, 300), 2) for _ in range(4))
            box = {"id": key, "image_id": numbers.randrange(images), "category_id": numbers.randrange(CLASSES)}
            yield json.dumps(
                box | {"bbox": [x, y, width, height], "area": round(0.6 * width * height, 4), "iscrowd": 0}
            )

    with file.open("w") as stream:
        stream.write('{"categories": ' + json.dumps([{"id": key, "name": f"class {key}"} for key in range(CLASSES)]))
        stream.write(', "images": [')
        for key in range(images):
            record = {"id": key, "file_name": f"{key:012}.jpg", "width": 640, "height": 640}
            stream.write((", " if key else "") + json.dumps(record))
        stream.write('], "annotations": [')
        for place, record in enumerate(records()):
            stream.write((", " if place else "") + record)
        stream.write("]}")


class Touched(TorchDataset[int]):
    """The number of boxes of an image, after all that a training reads of it was read."""

    def __init__(self, images: int, read: Callable[[int], int]) -> None:
        self.images, self.read = images, read

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> int:
        return self.read(index)


def from_tensors(dataset: Dataset) -> Touched:
    """The data set as it is."""

    def read(index: int) -> int:
        found = dataset.file(index), dataset.size(index), dataset.labels(index), dataset.crowd(index)
        return len(dataset.boxes(index)) + 0 * len(found)

    return Touched(len(dataset), read)


def from_objects(dataset: Dataset) -> Touched:
    """The same as a list of Python objects, one an image."""
    rows = [
        (str(dataset.file(index)), dataset.size(index), dataset.boxes(index).tolist(), dataset.labels(index).tolist())
        for index in range(len(dataset))
    ]

    def read(index: int) -> int:
        _, _, boxes, labels = rows[index]
        return sum(len(box) for box in boxes) // 4 + 0 * sum(labels)

    return Touched(len(rows), read)


def nothing(dataset: Dataset) -> Touched:
    """As many images without annotations: what a worker costs in any case."""
    return Touched(len(dataset), lambda index: 0)


def measure(samples: Touched, workers: int) -> Iterator[list[dict[str, float]]]:
    """The memory of each worker (of this process without any): after its first batches, and after each epoch."""
    loader = DataLoader(
        samples, batch_size=BATCH, shuffle=True, num_workers=workers, collate_fn=sum, persistent_workers=workers > 0
    )
    for epoch in range(EPOCHS):
        for number, _ in enumerate(loader):
            if epoch == 0 and number == 2 * workers:  # each has had one or two batches
                yield memory_of_workers()
        yield memory_of_workers()


def memory_of_workers() -> list[dict[str, float]]:
    """Of the processes that this one has started, or of itself where there are none."""
    return [memory(pid) for pid in [child.pid for child in multiprocessing.active_children()] or ["self"]]


def row_of(name: str, samples: Touched, workers: int) -> str:
    """A line of the table: the largest worker's memory, and what all workers cost together."""
    start = time.perf_counter()
    moments = list(measure(samples, workers))
    own = [f"{max(one['own'] for one in moment):.1f}" for moment in moments]
    share = f"{max(one['share'] for one in moments[-1]):.0f}"
    total = f"{sum(one['own'] for one in moments[-1]):.0f}"
    return f"| {name} | {workers} | {' | '.join([*own, share, total])} | {time.perf_counter() - start:.0f} |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--boxes", type=int, default=860_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # more workers than cores
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.json"
        write_coco(file, arguments.images, arguments.boxes)
        size = file.stat().st_size / MB
        release_memory()
        empty, start = memory()["resident"], time.perf_counter()
        dataset = settle(parse_coco(file))[0]  # not read_dataset, which refuses images that do not exist
        release_memory()
        seconds, resident = time.perf_counter() - start, memory()["resident"] - empty
    print("| images | boxes | JSON, MB | tensors, MB | resident after reading, MB | read in, s |")
    print("|---|---|---|---|---|---|")
    tensors = dataset.nbytes / MB
    print(
        f"| {len(dataset)} | {len(dataset.all_boxes)} | {size:.0f} | {tensors:.1f} | {resident:.1f} | {seconds:.0f} |\n"
    )
    print("| annotations as | workers | own, first batches | 1 epoch | 2 epochs | share | own, all workers | s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, make in (("none", nothing), ("tensors", from_tensors), ("a list of objects", from_objects)):
        samples = make(dataset)
        for workers in arguments.workers:
            print(row_of(name, samples, workers), flush=True)


if __name__ == "__main__":
    main()
