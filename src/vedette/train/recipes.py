"""How each paper trains: its numbers, and which recipe a detector takes unless told otherwise."""

from dataclasses import dataclass, replace
from typing import Any

from vedette import zoo
from vedette.errors import InputError
from vedette.train.recipe import FourStep, PaperTraining, Recipe, RecipeKind, four_steps

_SGD = Recipe(
    optimizer="sgd",
    backbone_lr=1.0,
    weight_decay=5e-4,
    schedule="step",
    clip_norm=0.0,
    ema=0.0,
    freeze_stem=False,
    max_zoom_out=4.0,
    difficult="train",
)
_REGIONS = replace(_SGD, batch_size=2, freeze_stem=True, difficult="ignore")  # the two-stage line, and RetinaNet
# 80k, 20k and 20k steps of 32 images at 1e-3, 1e-4 and 1e-5 on VOC 07+12, for SSD and RefineDet
SSD_TRAINING = PaperTraining(images=120_000 * 32, recipe=replace(_SGD, lr=1e-3, drops=(8 / 12, 10 / 12), warmup=0.004))
# 150 epochs of COCO's trainval35k, five of them warm-up to 2e-3; 2e-4 from the 90th, 2e-5 from the 120th
M2DET_TRAINING = PaperTraining(
    images=150 * 117_266, recipe=replace(_SGD, lr=2e-3, drops=(90 / 150, 120 / 150), warmup=5 / 150)
)
# fine-tuning: 70k steps of 128 windows at 1e-3, a tenth every 20k (authors' code); here the windows of 2 images a step
RCNN_TRAINING = PaperTraining(
    images=70_000 * 2,
    recipe=replace(_SGD, batch_size=2, lr=1e-3, drops=(2 / 7, 4 / 7, 6 / 7), warmup=0.0, difficult="ignore"),
)
# 250k steps of 128 windows and 50k at a tenth of the rate (SPPNet, section 4.1): 1e-4 there, on fully connected layers
# that ImageNet trained; ours start new
SPPNET_TRAINING = PaperTraining(images=300_000 * 2, recipe=replace(RCNN_TRAINING.recipe, drops=(5 / 6,)))
# In images: 40k steps of two at 1e-3, the last 10k at 1e-4 (Fast R-CNN, section 3)
FAST_RCNN_TRAINING = PaperTraining(images=40_000 * 2, recipe=replace(_REGIONS, lr=1e-3, drops=(3 / 4,)))
# 70k steps of one, the last 20k at 1e-4 (Faster R-CNN, authors' joint training on VOC 07)
FASTER_RCNN_TRAINING = PaperTraining(images=70_000, recipe=replace(_REGIONS, lr=1e-3, drops=(5 / 7,)))
# Of each of four steps: the RPN sees 80k images one by one, the detector twice 40k, at 1e-3, the last quarter at 1e-4
FASTER_RCNN_STEP = replace(_REGIONS, lr=1e-3, drops=(3 / 4,), alternating=True)
# 90k steps of sixteen at 0.02, lower from 60k and 80k on, as all code trains it on COCO
FPN_TRAINING = PaperTraining(
    images=90_000 * 16, recipe=replace(_REGIONS, batch_size=16, lr=0.02, weight_decay=1e-4, drops=(6 / 9, 8 / 9))
)
# The same at 0.01 (RetinaNet, section 4.1)
RETINANET_TRAINING = PaperTraining(
    images=90_000 * 16, recipe=replace(_REGIONS, batch_size=16, lr=0.01, weight_decay=1e-4, drops=(6 / 9, 8 / 9))
)
# The RPN 30k steps at 0.02 and 10k at 0.002, the detector 60k and 20k (FPN, sections 5.1 and 5.2)
FPN_STEP = replace(FPN_TRAINING.recipe, drops=(3 / 4,), alternating=True)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the detectors of a paper are trained."""

    paper: PaperTraining
    kind: RecipeKind = "scaled"  # unless told otherwise
    step: Recipe | None = None  # of each of four, where RPN and detector can be trained in turns


PLANS = {
    zoo.RCNN: Plan(paper=RCNN_TRAINING),
    zoo.SPPNET: Plan(paper=SPPNET_TRAINING),
    zoo.FAST_RCNN: Plan(paper=FAST_RCNN_TRAINING),
    zoo.FASTER_RCNN: Plan(paper=FASTER_RCNN_TRAINING, step=FASTER_RCNN_STEP),
    zoo.FPN: Plan(paper=FPN_TRAINING, step=FPN_STEP),
    zoo.RETINANET: Plan(paper=RETINANET_TRAINING),
    zoo.SSD: Plan(paper=SSD_TRAINING),
    zoo.REFINEDET: Plan(paper=SSD_TRAINING, kind="fine-tuning"),
    zoo.M2DET: Plan(paper=M2DET_TRAINING),
}


def recipe_for(name: str, images: int, kind: RecipeKind | FourStep | None = None) -> Recipe:
    """How the model of that name is trained on so many images; without a kind as its paper's models are by default.

    Raises InputError for a name that does not exist, and for four steps where there are no two parts to take turns.
    """
    plan = PLANS[zoo.known(name).paper]
    if kind == "four-step":
        if plan.step is None:
            able = [model.name.format("<name>") for model in zoo.ALL if PLANS[model.paper].step is not None]
            raise InputError(
                f"--recipe four-step: {name} has no RPN and detector that take turns; these have: {', '.join(able)}"
            )
        return four_steps(plan.step, images)
    return plan.paper.of(kind or plan.kind, images)


def scratch_config(name: str) -> dict[str, Any]:
    """Fields of the config for training without ImageNet's weights.

    Raises InputError for an unknown name, and for a detector whose backbone does not learn.
    """
    fields = zoo.known(name).paper.from_scratch
    if fields is None:
        raise InputError(f"--scratch: the convolutions of {name} are not trained, so they need weights; leave it out")
    return dict(fields)
