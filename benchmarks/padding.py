"""How much a picture's maps change when a larger picture in its batch has it padded.

    python benchmarks/padding.py PICTURE…

Each picture, 320 by 448 pixels, goes through the backbone of retinanet-lite0-fpn with ImageNet's weights: alone, and
padded by 64 rows and 128 columns. Printed is the root mean square of the change of a cell over that of the map, as a
mean of all pictures.
"""

import sys

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.functional import resize

import vedette

ROWS, COLUMNS = 64, 128


def change(alone: Tensor, padded: Tensor) -> list[float]:
    """Of the cells of a map (1, C, H, W): the median, the last row's mean, the largest of the quarter farthest off."""
    height, width = alone.shape[2:]
    inside = padded[..., :height, :width]
    cells = (inside - alone).square().mean((0, 1)).sqrt() / alone.square().mean().sqrt()
    return [float(cells.median()), float(cells[-1].mean()), float(cells[: height // 2, : width // 2].max())]


def main() -> None:
    """Prints a line for each map."""
    model = vedette.build("retinanet-lite0-fpn", num_classes=20, weights_backbone="imagenet").eval()
    spec = model.input_spec
    mean, std = (torch.tensor(x)[:, None, None] for x in (spec.mean, spec.std))  # type: ignore[union-attr]
    changes = []
    for path in sys.argv[1:]:
        pixels = resize(decode_image(path, ImageReadMode.RGB), [320, 448])
        picture = ((pixels / 255 * spec.range - mean) / std)[None]  # type: ignore[union-attr, operator]
        with torch.no_grad():
            alone, padded = model.backbone(picture), model.backbone(pad(picture, (0, COLUMNS, 0, ROWS)))  # type: ignore[operator]
        changes.append([change(a, b) for a, b in zip(alone, padded, strict=True)])
    for name, (median, last, far) in zip(("c3", "c4", "c5"), torch.tensor(changes).mean(0).tolist(), strict=True):
        print(f"{name}: median {median:.1%}, last row {last:.0%}, largest in the far quarter {far:.1%}")


if __name__ == "__main__":
    main()
