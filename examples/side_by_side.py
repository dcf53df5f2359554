"""Trains the four pyramids of FPN's figure 1 on one data set, with one budget and one seed, and prints one table.

    python examples/side_by_side.py --data PATH [--epochs 5 --only single-map feature-pyramid --picture PHOTO]

Each row is trained and measured in a process of its own, whose peak memory is that row's alone. What is measured is
kept in --out, and a row that is there already is not made again: an interrupted comparison goes on where it was.
Progress goes to stderr, the table in Markdown to stdout and to table.md; with --picture, what each finds in one of the
photographs to be measured on is drawn beside what is annotated there.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from math import ceil, isnan, nan
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch.utils.flop_counter import FlopCounterMode

from pyramids import PYRAMIDS, TITLES
from vedette import __version__
from vedette.cli.progress import Progress
from vedette.data.annotations import Dataset
from vedette.data.read import read_datasets, validation_source
from vedette.errors import InputError
from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.measure import truths_for
from vedette.evaluate.run import evaluate_model
from vedette.evaluate.voc import voc_average_precision
from vedette.infer.detector import Detector, choose_device
from vedette.infer.multiscale import plan_passes
from vedette.infer.precision import fast_precision
from vedette.pages.boxes import draw_boxes
from vedette.papers.retinanet import RetinaNet
from vedette.train.around import Around
from vedette.train.recipe import Recipe
from vedette.train.run_file import Run
from vedette.weights.files import load_into, read_weights
from vedette.weights.imagenet import load_imagenet
from vedette.zoo import RETINANET_LITE

EXTRA = ("accelerate", "hotcoco", "tensorboard")
FIXED = ("data", "val", "epochs", "size", "batch_size", "seed", "device")  # all rows of a table have them in common
LEAST_SIZE = 128  # below it p6 is a single cell
BATCH = 8  # images at once when detecting
TITLE_BAR = 30  # pixels
COLUMNS = {
    "mAP (VOC area)": ".1f",
    "COCO AP": ".1f",
    "small": ".1f",
    "medium": ".1f",
    "large": ".1f",
    "M parameters": ".1f",
    "GFLOPs": ".1f",
    "train, images/s": ".1f",
    "detect, images/s": ".1f",
    "peak memory, GiB": ".1f",
}


def main(words: Sequence[str] | None = None) -> int:
    """The comparison that a command line asks for; its exit code."""
    arguments = _parser().parse_args(words)
    try:
        compare(arguments)
    except (InputError, OSError) as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on")
        return 130
    return 0


def compare(arguments: argparse.Namespace) -> None:
    """Every row, the table and the picture; raises InputError where something is amiss, before anything is trained."""
    check(arguments)
    for number, key in enumerate(arguments.only, start=1):
        _say(f"{TITLES[key]}, {number} of {len(arguments.only)}")
        if not _row_file(key, arguments).is_file():
            in_a_process(key, arguments)
    text = table({key: json.loads(_row_file(key, arguments).read_text()) for key in arguments.only})
    (arguments.out / "table.md").write_text(text)
    print(text, end="")
    if arguments.picture is not None:
        sheet = arguments.out / "picture.jpg"
        side_by_side(arguments).save(sheet, quality=92)
        _say(f"picture: {sheet}")


def check(arguments: argparse.Namespace) -> None:
    """Completes the arguments; raises InputError for what cannot be, or does not go with what --out holds already."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise InputError(f'training needs more packages ({", ".join(missing)}): pip install "vedette[train]"')
    if arguments.size < LEAST_SIZE:
        raise InputError(f"--size {arguments.size}: give {LEAST_SIZE} pixels or more")
    arguments.val = arguments.val or validation_source(arguments.data)
    if arguments.val is None:
        raise InputError(f"{arguments.data}: has no validation split; name one with --val PATH:SPLIT")
    recipe_of(arguments)
    learnt, measured = _train_set(arguments), _val_set(arguments)
    truths_for(measured, learnt.classes)
    if arguments.picture is not None:
        index_of(arguments.picture, measured)
    settings = {name: getattr(arguments, name) for name in FIXED}
    file = arguments.out / "settings.json"
    stored = json.loads(file.read_text()) if file.is_file() else settings
    for name in FIXED:
        if stored[name] != settings[name]:
            raise InputError(f"{file}: begun with {name} {stored[name]}, not {settings[name]}; choose another --out")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))
    _say(f"{len(learnt)} images of {len(learnt.classes)} classes to train, {len(measured)} to measure")


def in_a_process(key: str, arguments: argparse.Namespace) -> None:
    """`make_row` in a process of its own; ends with it where it fails, and raises InputError where it was killed."""
    process = multiprocessing.get_context("spawn").Process(target=make_row, args=(key, arguments))
    process.start()
    process.join()
    if process.exitcode is not None and process.exitcode < 0:
        raise InputError(f"{TITLES[key]}: killed by signal {-process.exitcode}; short of memory? lower --batch-size")
    if process.exitcode:
        sys.exit(process.exitcode)


def make_row(key: str, arguments: argparse.Namespace) -> None:
    """Trains, measures and times one pyramid, and writes its numbers; ends the process where something is amiss."""
    try:
        classes, val = _train_set(arguments).classes, _val_set(arguments)
        model = train(key, arguments)
        cost = costs(model, arguments.size)
        numbers = precision(model, val, classes, arguments) | cost | speeds(model, key, arguments)
    except (InputError, OSError) as error:
        _say(f"error: {TITLES[key]}: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)  # the parent process says so
    _row_file(key, arguments).write_text(json.dumps(numbers))


def train(key: str, arguments: argparse.Namespace) -> RetinaNet:
    """All epochs, or those that are left of them; the averaged weights."""
    from vedette.train.run import start  # needs the extra, whose absence `check` explains

    torch.manual_seed(arguments.seed)
    data, folder = _train_set(arguments), arguments.out / key
    model = build(key, len(data.classes), arguments.size)
    load_imagenet(model.backbone)
    run = Run(
        model=key,
        config={},
        classes=data.classes,
        data=(arguments.data,),
        val=None,  # it is measured once, by `precision`
        metric="voc12",
        recipe=recipe_of(arguments),
        version=__version__,
    )
    resumed, done = (folder / "last.pt").is_file(), len(_epochs(folder))
    around = Around(folder=folder, device=arguments.device, resume=resumed, say=_say)
    best = start(run, around, data, model)
    if done < arguments.epochs:
        (folder / "memory.json").write_text(json.dumps(peak_memory(arguments.device)))
    elif not (folder / "memory.json").is_file():
        (folder / "memory.json").write_text(json.dumps(nan))  # it was ended between its last epoch and this line
    load_into(model, read_weights(best))
    return model.eval()


def build(key: str, classes: int, size: int) -> RetinaNet:
    """A pyramid for pictures whose short side is `size`; the long one is limited as the small RetinaNet's."""
    longest = round(size * RETINANET_LITE["max_side"] / RETINANET_LITE["image_size"])
    return PYRAMIDS[key](num_classes=classes, image_size=size, max_side=longest)


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The library's for fine-tuning, which slows the backbone's layers: here these are ImageNet's and no others."""
    return Recipe(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        workers=arguments.workers,
        precision=fast_precision(torch.device(arguments.device)),
    )


def precision(
    model: RetinaNet, val: Dataset, classes: tuple[str, ...], arguments: argparse.Namespace
) -> dict[str, float]:
    """VOC's mAP and COCO's AP, of all objects and by their size, in percent."""
    truths, passes = truths_for(val, classes), plan_passes(model.input_spec, batch_size=BATCH)
    bf16 = recipe_of(arguments).precision == "bf16"
    with Progress(len(val), "images") as bar:
        found = evaluate_model(model, val, passes, arguments.device, arguments.workers, bf16, progress=bar.reach)
    voc = voc_average_precision(found, truths, len(classes), metric="voc12").mean_ap
    coco = coco_average_precision(found, truths, len(classes))
    shares = (voc, coco.ap, coco.ap_small, coco.ap_medium, coco.ap_large)
    return {name: 100 * float(share) for name, share in zip(COLUMNS, shares, strict=False)}


def costs(model: RetinaNet, size: int) -> dict[str, float]:
    """Parameters, and what one square image costs; a multiplication and an addition are two operations."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 3, size, size, device=next(model.parameters()).device))
    parameters = sum(p.numel() for p in model.parameters())
    return {"M parameters": parameters / 1e6, "GFLOPs": counter.get_total_flops() / 1e9}


def speeds(model: RetinaNet, key: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Images a second, and the most memory that training held."""
    folder = arguments.out / key
    return {
        "train, images/s": statistics.median(epoch["images_per_second"] for epoch in _epochs(folder)),
        "detect, images/s": detect_rate(model, arguments),
        "peak memory, GiB": json.loads((folder / "memory.json").read_text()),
    }


def detect_rate(model: RetinaNet, arguments: argparse.Namespace, repeats: int = 5) -> float:
    """Images a second from the network's input to boxes, in training's precision: the median of several batches."""
    device, bf16 = torch.device(arguments.device), recipe_of(arguments).precision == "bf16"
    images = torch.randn(BATCH, 3, arguments.size, arguments.size, device=device)
    images, times = images.contiguous(memory_format=torch.channels_last), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            model.detect(model(images), score=0.05)
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[1:])


def peak_memory(device: str) -> float:
    """GiB that this process has held at most, on a GPU that its tensors have."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


def table(rows: dict[str, dict[str, float]]) -> str:
    """The rows in Markdown; what there is nothing of, small objects perhaps, is a dash."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for key, numbers in rows.items():
        cells = ["–" if isnan(numbers[name]) else format(numbers[name], form) for name, form in COLUMNS.items()]
        lines.append(f"| {TITLES[key]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def index_of(picture: str, val: Dataset) -> int:
    """Which of the images to be measured on a file is; raises InputError where it is none of them."""
    names = [val.file(index).name for index in range(len(val))]
    if Path(picture).name not in names:
        raise InputError(f"--picture {picture}: none of the {len(val)} images to measure on; one of them is {names[0]}")
    return names.index(Path(picture).name)


def side_by_side(arguments: argparse.Namespace) -> Image.Image:
    """One photograph: what is annotated there, and as many boxes as that, the best, of each pyramid."""
    val, classes = _val_set(arguments), _train_set(arguments).classes
    index = index_of(arguments.picture, val)
    picture, boxes, labels = val.image(index), val.boxes(index), val.labels(index).tolist()
    scale = torch.tensor([one / other for one, other in zip(picture.size, val.size(index), strict=True)]).repeat(2)
    names = [val.classes[label] for label in labels]
    own = [classes.index(name) for name in names]  # a colour stands for the same class in all panels
    panels = [titled("annotated", draw_boxes(picture, (boxes * scale).tolist(), names, own))]
    for key in arguments.only:
        model = build(key, len(classes), arguments.size)
        load_into(model, read_weights(arguments.out / key / "last.safetensors"))
        found = Detector(model, model.input_spec, classes, arguments.device).detect(picture, score=0.01)
        panels.append(titled(TITLES[key], found[: len(labels)].draw()))
    return sheet_of(panels)


def titled(title: str, picture: Image.Image) -> Image.Image:
    """The picture under a bar with its title."""
    panel = Image.new("RGB", (picture.width, picture.height + TITLE_BAR), "white")
    panel.paste(picture, (0, TITLE_BAR))
    ImageDraw.Draw(panel).text((8, 5), title, fill="black", font=ImageFont.load_default(size=17))
    return panel


def sheet_of(panels: Sequence[Image.Image], columns: int = 3) -> Image.Image:
    """Panels of one size, row by row."""
    width, height = panels[0].size
    columns = min(columns, len(panels))
    sheet = Image.new("RGB", (columns * width, ceil(len(panels) / columns) * height), "white")
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number % columns * width, number // columns * height))
    return sheet


def _train_set(arguments: argparse.Namespace) -> Dataset:
    return read_datasets([arguments.data], "train")


def _val_set(arguments: argparse.Namespace) -> Dataset:
    return read_datasets([arguments.val], "evaluate")


def _epochs(folder: Path) -> list[dict[str, float]]:
    """What a training has written of each epoch so far."""
    log = folder / "log.jsonl"
    return [json.loads(entry) for entry in log.read_text().splitlines()] if log.is_file() else []


def _row_file(key: str, arguments: argparse.Namespace) -> Path:
    file: Path = arguments.out / key / "row.json"
    return file


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="PATH[:SPLIT] to train on: COCO, VOC or YOLO")
    parser.add_argument("--val", help="PATH[:SPLIT] to measure on; default: the data's own val")
    parser.add_argument("--out", type=Path, default=Path("runs/pyramids"))
    parser.add_argument("--only", nargs="+", choices=list(PYRAMIDS), default=list(PYRAMIDS), metavar="PYRAMID")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=320, help="short side of the input, pixels")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", type=lambda name: str(choose_device(name)), default=str(choose_device()))
    parser.add_argument("--picture", metavar="PHOTO", help="the name of an image to be measured on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
