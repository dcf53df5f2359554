"""A run tried out: one batch through everything, and a picture of it; nothing else is left."""

from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.atomic import write_whole
from vedette.data.loader import Batch
from vedette.pages.boxes import draw_boxes
from vedette.pages.fonts import legible
from vedette.pages.sheet import contact_sheet
from vedette.structures import InputSpec
from vedette.train.around import Around
from vedette.train.epochs import Epochs
from vedette.train.run import check, has_boxes, start
from vedette.train.run_file import Run
from vedette.weights.files import read_weights

PICTURE = "dry-run.jpg"
MOST = 16  # pictures of the sheet


def try_out(run: Run, around: Around, dataset: Dataset) -> Path:
    """Trains one step, saves, measures, on as many images as that takes; the picture of the batch, in the run's folder.

    Raises InputError for whatever a run would stop at in that time.
    """
    check(run, replace(around, say=lambda line: None), dataset)  # of the whole data; what is odd is told of these few
    count = run.recipe.batch_size * run.recipe.accumulate
    having = (index for index in range(len(dataset)) if has_boxes(dataset, index, run.recipe))
    few = dataset.part(list(islice(having, count)))
    if not len(few):
        few = dataset  # which `start` refuses, and says why
    shorter = replace(run, recipe=replace(run.recipe, epochs=1, batch_size=min(run.recipe.batch_size, len(few))))
    with TemporaryDirectory() as folder:
        best = start(shorter, replace(around, folder=Path(folder) / "run", few=count, trackers=(), cache="none"), few)
        spec = read_weights(best).input_spec
    stream = BytesIO()
    _sheet(shorter, few, spec).save(stream, "JPEG", quality=92)
    write_whole(around.folder / PICTURE, lambda file: file.write(stream.getbuffer()))
    return around.folder / PICTURE


def _sheet(run: Run, dataset: Dataset, spec: InputSpec) -> Image.Image:
    """The first batch as the network sees it: changed at random, with the boxes that it is to find."""
    recipe = replace(run.recipe, workers=0, accumulate=1)
    batch: Batch = next(Epochs(dataset, spec, recipe, 0, 1, None).of(0, 0))
    pictures, names = [], legible(run.classes)
    for pixels, target in zip(batch.images[:MOST], batch.targets, strict=False):
        labels = target.labels.tolist()
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        pictures.append(draw_boxes(picture, target.boxes.tolist(), [names[label] for label in labels], labels))
    return contact_sheet(pictures)
