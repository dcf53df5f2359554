"""How each paper trains: its numbers, and which recipe a detector takes unless told otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import torch

from vedette import zoo
from vedette.errors import InputError
from vedette.train.recipe import (
    SHORT_WARMUP,
    Elsewhere,
    FourStep,
    PaperTraining,
    Recipe,
    RecipeKind,
    epochs_for,
    four_steps,
)

FEW_IMAGES = 2000  # below, AdamW learns what SGD at the papers' rates does not come to, and trained weights help more
_SGD = Recipe(
    optimizer="sgd",
    backbone_lr=1.0,
    weight_decay=5e-4,
    schedule="step",
    warmup=0.0,
    clip_norm=0.0,
    ema=0.0,
    freeze_stem=False,
    max_zoom_out=4.0,
    difficult="train",
)
_REGIONS = replace(_SGD, batch_size=2, lr=1e-3, freeze_stem=True)  # the two-stage line, and RetinaNet
# Detectron's for COCO: sixteen images, 500 steps of warm-up, crowds left out
_PYRAMIDS = replace(_REGIONS, batch_size=16, weight_decay=1e-4, warmup=500 / 90_000, difficult="ignore")


def _trained(recipe: Recipe, *steps: int) -> PaperTraining:
    """So many steps at the recipe's rate, so many at a tenth of it, and so on."""
    total = sum(steps)
    drops = tuple(done / total for done in accumulate(steps[:-1]))
    return PaperTraining(images=total * recipe.batch_size, recipe=replace(recipe, drops=drops))


# VOC 07+12, for SSD and RefineDet; COCO's is that of both authors' scripts (SSD's paper: 160k, 40k, 40k)
SSD_TRAINING = _trained(replace(_SGD, lr=1e-3), 80_000, 20_000, 20_000)
SSD_ON_VOC12 = _trained(SSD_TRAINING.recipe, 60_000, 20_000)  # SSD, section 3.3
REFINEDET_ON_VOC12 = _trained(SSD_TRAINING.recipe, 160_000, 40_000, 40_000)
SSD_ON_COCO = _trained(SSD_TRAINING.recipe, 280_000, 80_000, 40_000)
RESNET_512_ON_COCO = _trained(replace(SSD_TRAINING.recipe, batch_size=20), 400_000, 80_000, 60_000)  # RefineDet's code
# 150 epochs of COCO's trainval35k, five of them warm-up to 2e-3; 2e-4 from the 90th, 2e-5 from the 120th
M2DET_TRAINING = PaperTraining(
    images=150 * 117_266,
    recipe=replace(_SGD, lr=2e-3, drops=(90 / 150, 120 / 150), warmup=5 / 150, one_rate=True),
)
# VOC 07: steps of 128 windows, here those of 2 images; fc8 learns at ten times the rate (authors' code)
RCNN_TRAINING = _trained(replace(_REGIONS, freeze_stem=False, head_lr=10.0), 20_000, 20_000, 20_000, 10_000)
# VOC 07 (SPPNet, section 4.1): 1e-4 there, on fully connected layers that ImageNet trained; ours start new
SPPNET_TRAINING = _trained(replace(RCNN_TRAINING.recipe, head_lr=1.0), 250_000, 50_000)
FAST_RCNN_TRAINING = _trained(_REGIONS, 30_000, 10_000)  # VOC 07 (section 3)
# VOC 07, joint training: the solver's iter_size is 2, so that its steps of one image are updates of two
FASTER_RCNN_TRAINING = _trained(replace(_REGIONS, difficult="ignore"), 50_000, 20_000)
# Of each of four steps: the RPN sees 80k images one by one, the detector twice 40k, the last quarter at 1e-4
FASTER_RCNN_STEP = replace(FASTER_RCNN_TRAINING.recipe, drops=(3 / 4,), warmup=SHORT_WARMUP, alternating=True)
FPN_TRAINING = _trained(replace(_PYRAMIDS, lr=0.02), 60_000, 20_000, 10_000)  # COCO, as all code trains it
RETINANET_TRAINING = _trained(replace(_PYRAMIDS, lr=0.01), 60_000, 20_000, 10_000)  # COCO (section 4.1)
# The RPN 30k steps at 0.02 and 10k at 0.002, the detector 60k and 20k (FPN, sections 5.1 and 5.2)
FPN_STEP = replace(FPN_TRAINING.recipe, drops=(3 / 4,), warmup=SHORT_WARMUP, alternating=True)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the detectors of a paper are trained."""

    paper: PaperTraining
    kind: RecipeKind = "scaled"  # unless told otherwise, on more than a few images
    step: Recipe | None = None  # of each of four, where RPN and detector can be trained in turns
    elsewhere: Mapping[str, PaperTraining] = field(default_factory=dict)  # on other data than `paper` is for


SSD_PLAN = Plan(paper=SSD_TRAINING, elsewhere={"paper-voc12": SSD_ON_VOC12, "paper-coco": SSD_ON_COCO})
REFINEDET_PLAN = Plan(
    paper=SSD_TRAINING,
    kind="fine-tuning",
    elsewhere={"paper-voc12": REFINEDET_ON_VOC12, "paper-coco": SSD_ON_COCO},
)
PLANS = {
    zoo.RCNN: Plan(paper=RCNN_TRAINING),
    zoo.SPPNET: Plan(paper=SPPNET_TRAINING),
    zoo.FAST_RCNN: Plan(paper=FAST_RCNN_TRAINING),
    zoo.FASTER_RCNN: Plan(paper=FASTER_RCNN_TRAINING, step=FASTER_RCNN_STEP),
    zoo.FPN: Plan(paper=FPN_TRAINING, step=FPN_STEP),
    zoo.RETINANET: Plan(paper=RETINANET_TRAINING),
    zoo.SSD: SSD_PLAN,
    zoo.REFINEDET: REFINEDET_PLAN,
    zoo.M2DET: Plan(paper=M2DET_TRAINING),
}
OF_NAMES = {  # what a single model's script has of its own
    "refinedet512-resnet101": replace(
        REFINEDET_PLAN, elsewhere={**REFINEDET_PLAN.elsewhere, "paper-coco": RESNET_512_ON_COCO}
    )
}


def recipe_for(name: str, images: int, kind: RecipeKind | Elsewhere | FourStep | None = None) -> Recipe:
    """How the model of that name is trained on so many images; without a kind as `kind_for` has it.

    Raises InputError for a name that does not exist, for four steps where there are no two parts to take turns, and for
    data that the paper has no length of its own for.
    """
    if zoo.known(name).paper is zoo.OWN:
        if kind not in (None, "fine-tuning"):
            raise InputError(f"--recipe {kind}: {name} is of no paper; leave it out, or give --recipe fine-tuning")
        return Recipe(epochs=epochs_for(images))
    plan = _plan_of(name)
    if kind == "four-step":
        if plan.step is None:
            why = "has no RPN and detector that take turns"
            raise InputError(f"--recipe four-step: {name} {why}; these have: {_able(lambda other: other.step)}")
        return four_steps(plan.step, images)
    if kind == "paper-voc12" or kind == "paper-coco":
        if kind not in plan.elsewhere:
            have = _able(lambda other: other.elsewhere.get(kind))
            raise InputError(f"--recipe {kind}: the paper of {name} has no such length; these have: {have}")
        return plan.elsewhere[kind].of("paper", images)
    return plan.paper.of(kind or kind_for(name, images), images)


def kind_for(name: str, images: int) -> RecipeKind:
    """The recipe unless told otherwise: the paper's plan, or for few images what learns something of them."""
    few = images < FEW_IMAGES and not in_stages(name)
    return "fine-tuning" if few or zoo.known(name).paper is zoo.OWN else _plan_of(name).kind


def _plan_of(name: str) -> Plan:
    return OF_NAMES.get(name, PLANS[zoo.known(name).paper])


def _able(part: Callable[[Plan], object]) -> str:
    """The names whose plans have it."""
    return ", ".join(model.name.format("<name>") for model in zoo.ALL if part(PLANS[model.paper]) is not None)


def in_stages(name: str) -> bool:
    """Whether it is trained in stages, and measured at the end of them alone."""
    return zoo.known(name).paper in (zoo.RCNN, zoo.SPPNET)


def start_for(name: str, images: int, classes: tuple[str, ...], config: Mapping[str, Any]) -> str | None:
    """The bundled detector that a run of few images begins with: one of that very name whose layers fit."""
    bundled = zoo.WEIGHTS / f"{name}.safetensors"
    if images >= FEW_IMAGES or not bundled.is_file():
        return None
    with torch.device("meta"):
        zoo.build(name, len(classes), **config)  # a field that there is not is told, not put aside
    try:
        zoo.restore(bundled, name, classes, **(dict(config) | {"num_classes": len(classes)}))
    except InputError:
        return None
    return name


def scratch_config(name: str) -> dict[str, Any]:
    """Fields of the config for training without ImageNet's weights.

    Raises InputError for an unknown name, and for a detector whose backbone does not learn.
    """
    fields = zoo.known(name).paper.from_scratch
    if fields is None:
        raise InputError(f"--scratch: the convolutions of {name} are not trained, so they need weights; leave it out")
    return dict(fields)
