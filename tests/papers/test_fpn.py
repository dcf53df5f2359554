"""FPN: the pyramid by hand, levels at their borders, pooling from each region's own level, and that it learns."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import FeaturePyramidNetwork

from papers.shared import an_image
from papers.tiny import fpn as model
from vedette.ops.roi import numbered, roi_align
from vedette.papers.faster_rcnn import FasterRCNN
from vedette.papers.fpn import FeaturePyramid, PyramidPool, level_of


def test_the_pyramid_is_torchvisions() -> None:
    torch.manual_seed(0)
    ours, theirs = FeaturePyramid((3, 5, 7), width=4), FeaturePyramidNetwork([3, 5, 7], 4)
    for level in range(3):
        theirs.inner_blocks[level][0].load_state_dict(ours.laterals[level].state_dict())
        theirs.layer_blocks[level][0].load_state_dict(ours.outputs[level].state_dict())
    maps = [torch.randn(2, c, s, s + 3) for c, s in ((3, 13), (5, 7), (7, 4))]  # odd sizes: not twice one another
    wanted = theirs({str(level): x for level, x in enumerate(maps)})
    for got, right in zip(ours(maps), wanted.values(), strict=True):
        torch.testing.assert_close(got, right)


def test_what_is_coarse_reaches_the_fine_and_not_the_other_way() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid((3, 3, 3), width=4)
    maps = [torch.randn(1, 3, side, side, requires_grad=True) for side in (8, 4, 2)]
    fine, _, coarse = pyramid(maps)
    assert all(bool(g.any()) for g in torch.autograd.grad(fine.sum(), maps, retain_graph=True))
    assert [g is None for g in torch.autograd.grad(coarse.sum(), maps, allow_unused=True)] == [True, True, False]


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (224, 224, 4),
        (223.9, 223.9, 3),
        (112, 112, 3),
        (111.9, 112, 2),
        (448, 448, 5),
        (447.9, 448, 4),
        (112, 448, 4),  # the root of w h is 224
        (1, 1, 2),
        (2000, 2000, 5),
        (0, 0, 2),
    ],
)
def test_levels_at_their_borders(width: float, height: float, level: int) -> None:
    assert level_of(torch.tensor([[10.0, 20.0, 10 + width, 20 + height]])).item() == level - 2


def test_regions_are_pooled_from_their_own_level() -> None:
    torch.manual_seed(0)
    features = [torch.randn(2, 3, 512 // stride, 512 // stride) for stride in (4, 8, 16, 32, 64)]
    boxes = torch.tensor(
        [
            [[0.0, 0, 50, 50], [0, 0, 130, 130], [10, 0, 300, 300]],
            [[0.0, 0, 500, 500], [9, 9, 9, 9], [0, 0, 120, 110]],
        ]
    )
    pieces = PyramidPool((4, 8, 16, 32), 7, 2, half_cell=False)(features, boxes)
    rois, levels = numbered(boxes), [0, 1, 2, 3, 0, 1]
    for row, level in enumerate(levels):
        wanted = roi_align(features[level], rois[row : row + 1], 7, 1 / (4 * 2**level))
        torch.testing.assert_close(pieces[row : row + 1], wanted)


@pytest.mark.parametrize("half_cell", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_pooling_as_a_gpu_does_it_is_exactly_the_same(samples: int, half_cell: bool) -> None:
    """Also at the borders, without area, and in the gradient."""
    features = [torch.randn(2, 3, 512 // stride, 512 // stride, requires_grad=True) for stride in (4, 8, 16, 32)]
    center, half = torch.rand(2, 99, 2) * 512, 400 * 2 ** (-7 * torch.rand(2, 99, 1))
    boxes = torch.cat([center - half, center + half], -1).clamp(0, 512)
    boxes[:, 0], boxes[:, 1], boxes[:, 2] = 512.0, 0.0, torch.tensor([511.5, 511.5, 512.0, 512.0])
    pool = PyramidPool((4, 8, 16, 32), 7, samples, half_cell)
    rois, level = numbered(boxes), level_of(boxes.flatten(0, 1))
    assert level.bincount().min() > 5
    each, everything = pool.from_own_level(features, rois, level), pool.from_all_levels(features, rois, level)
    assert torch.equal(each, everything)
    weights = torch.randn_like(each)
    for one, other in zip(
        *(torch.autograd.grad((x * weights).sum(), features) for x in (each, everything)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_levels_of_the_detector() -> None:
    detector = model()
    maps = detector.backbone(torch.randn(1, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(1, 64, 64 // s, 96 // s) for s in (4, 8, 16, 32)] + [(1, 64, 1, 2)]
    assert torch.equal(maps[4], F.max_pool2d(maps[3], 1, 2))
    predictions = detector(torch.randn(1, 3, 64, 96))
    assert predictions.anchors.shape == ((16 * 24 + 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2) * 3, 4)


def losses_of_steps(detector: FasterRCNN, steps: int) -> list[float]:
    image, gt = an_image()
    optimizer = torch.optim.Adam(detector.parameters(), 3e-4)
    totals = []
    for _ in range(steps):
        total = torch.stack(list(detector.loss(detector(image), [gt]).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    return totals


def test_the_second_versions_head_learns() -> None:
    detector = model(norm=True, head_convs=2, head_layers=1, rpn_layers=2)
    totals = losses_of_steps(detector, 12)
    assert min(totals[-3:]) < 0.7 * totals[0], totals
    new = [p for name, p in detector.named_parameters() if not name.startswith("backbone.body.")]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in new)
