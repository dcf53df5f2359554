"""What a process learns from its share of a batch, for tests/train/test_together.py."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from papers import tiny
from vedette.structures import Target, TargetBatch
from vedette.train.shared_norm import share_norms
from vedette.train.together import WholeStep, summed

IMAGES, SIDE = 4, 64
DETECTORS = {
    "R-CNN": partial(tiny.rcnn, warp_size=32, positives=2, negatives=9),  # fewer than there are
    "SPPNet": partial(tiny.sppnet, positives=2, negatives=9),
    "Fast R-CNN": partial(tiny.fast_rcnn, regions=6),  # fewer than there are, of proposals that differ in number
    "Faster R-CNN": tiny.faster_rcnn,
    "FPN": partial(tiny.fpn, regions=12),
    "RetinaNet": tiny.retinanet,
    "SSD": tiny.ssd,
    "RefineDet": tiny.refinedet,
    "M2Det": tiny.m2det,
}
COUNTS = (5, 1, 0, 2)  # objects of the images: shares that differ


class Learnt(NamedTuple):
    """What comes of a step, of the whole batch."""

    losses: dict[str, Tensor]
    gradient: dict[str, Tensor]
    statistics: dict[str, Tensor]


def a_batch(start: int = 0) -> tuple[Tensor, list[Target], Tensor, list[Tensor]]:
    """Images in float64, targets, seeds and proposals, the same whenever asked for."""
    generator = torch.Generator().manual_seed(start)

    def boxes(number: int) -> Tensor:
        low = torch.rand(number, 2, generator=generator) * 40
        return torch.cat([low, low + 6 + torch.rand(number, 2, generator=generator) * 18], 1)

    images = torch.randn(IMAGES, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    targets = [Target(boxes(n), torch.randint(3, (n,), generator=generator)) for n in COUNTS]
    proposals = [torch.cat([t.boxes + 2.0, boxes(12)]) for t in targets]
    return images, targets, torch.randint(1 << 32, (IMAGES,), generator=generator), proposals


def a_detector(name: str) -> Any:
    """In float64, in training, without dropout."""
    torch.manual_seed(0)
    model = DETECTORS[name]().double().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def learn(model: Any, rows: Any, together: WholeStep | None, *, count: bool = False) -> dict[str, Tensor]:
    """The losses of these images of the batch; their gradients are added to the model's."""
    images, targets, seeds, proposals = a_batch()
    given = {"proposals": [proposals[row] for row in rows]} if getattr(model, "needs_proposals", False) else {}
    truth = TargetBatch.of([targets[row] for row in rows], seeds[list(rows)])
    if together is None or count:
        losses: dict[str, Tensor] = model.loss(model(images[list(rows)], **given), truth)
    else:
        with together.learning():
            losses = model.loss(model(images[list(rows)], **given), truth)
    if not count:
        torch.stack(list(losses.values())).sum().backward()
    return {name: value.detach() for name, value in losses.items()}


def learnt(model: Any, losses: dict[str, Tensor], parts: int = 1, processes: int = 1) -> Learnt:
    """The mean over the processes, as their gradients are averaged."""
    gradient = {
        name: summed(p.grad if p.grad is not None else torch.zeros_like(p), processes) / (processes * parts)
        for name, p in model.named_parameters()
    }
    mean = {name: summed(value, processes) / (processes * parts) for name, value in losses.items()}
    return Learnt(mean, gradient, {name: b.clone() for name, b in model.named_buffers() if "running" in name})


def share(rank: int, processes: int, folder: str) -> None:
    """A process's part of a step of every detector; the first keeps what all come to."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=processes)
    found = {}
    for name in DETECTORS:
        model = a_detector(name)
        share_norms(model, processes)
        losses = learn(model, range(rank, IMAGES, processes), WholeStep(processes, 1))
        found[name] = tuple(learnt(model, losses, processes=processes))
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.destroy_process_group()
