"""Four-step training on a tiny detector: what learns and what stays in each step, what a step begins with, and that a
run cut anywhere ends as an unbroken one does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from papers.shared import TinyRegions, some_targets
from train.painted import Painted, PaintedImages
from vedette.backbones.regions import RegionBackbone, ResNetC4, TimmRegions, VGG16Regions
from vedette.backbones.resnet import ResNet
from vedette.errors import InputError
from vedette.evaluate.measure import measure
from vedette.evaluate.run import evaluate_model
from vedette.evaluate.truth import Truth
from vedette.infer.multiscale import plan_passes
from vedette.ops.images import Normalize, stack_padded, to_input
from vedette.papers.fast_rcnn import FastRCNN, FastRCNNConfig, RegionPool
from vedette.papers.faster_rcnn import FasterRCNN, FasterRCNNConfig
from vedette.papers.fpn import FPNBackbone, PyramidPool
from vedette.train.around import Around
from vedette.train.four_step import (
    PROPOSALS,
    START,
    DetectorPart,
    FourStepTraining,
    Part,
    RPNPart,
    Unshared,
    shared_parameters,
)
from vedette.train.loop import Training
from vedette.train.recipe import Recipe
from vedette.train.recipes import FASTER_RCNN_STEP
from vedette.train.rpn_proposals import read_proposals, rpn_proposals, write_proposals

RECIPE = Recipe(
    epochs=2,
    batch_size=2,
    workers=0,
    precision="fp32",
    optimizer="sgd",
    lr=0.02,
    backbone_lr=1.0,
    ema=0.0,
    freeze_stem=False,
    alternating=True,
)
State = dict[str, Tensor]


class NormedRegions(TinyRegions):
    """With batch norm that learns below and above the maps, and dropout above."""

    def __init__(self, levels: int = 1) -> None:
        super().__init__(levels)
        self.first = nn.Sequential(self.first, nn.BatchNorm2d(8))  # type: ignore[assignment]
        self.layer = nn.Sequential(self.layer, nn.BatchNorm1d(24), nn.Dropout(0.2))  # type: ignore[assignment]


PAINTED = PaintedImages(  # wide or high
    [
        Painted(
            size=(96, 64) if i % 2 else (64, 80),
            box=(4 + 2 * i, 8, 36 + 2 * i, 40),
            label=i % 2,
            colour=(255, 40, 0) if i % 2 else (0, 60, 255),
        )
        for i in range(6)
    ],
    frame=2,
)


def a_detector(levels: int = 1, seed: int = 0, **more: Any) -> FasterRCNN:
    torch.manual_seed(seed)
    sizes = ((16.0, 32.0),) if levels == 1 else tuple((8.0 * 2**level,) for level in range(levels))
    settings: dict[str, Any] = {
        "num_classes": 2,
        "image_size": 64,
        "max_side": 96,
        "anchor_sizes": sizes,
        "rpn_channels": 8,
        "least_side": 2.0,
        "regions": 16,
        "proposals": (40, 10),
        "cross_border": True,
    }
    pool = RegionPool(16, 3, "max") if levels == 1 else PyramidPool((4, 8, 16, 32), 3, 2, False)
    return FasterRCNN(FasterRCNNConfig(**(settings | more)), NormedRegions(levels), pool)


def propose(model: FasterRCNN, data: PaintedImages, batch_size: int) -> list[Tensor]:
    how = {"batch_size": batch_size, "workers": 0, "bf16": False}
    return rpn_proposals(model, data, model.input_spec, **how, progress=lambda done, total: None)


class Silent:
    def reach(self, done: int, total: int) -> None:
        assert total == 6


@contextmanager
def watch(total: int, unit: str) -> Iterator[Silent]:
    assert (total, unit) == (6, "images")
    yield Silent()


def save(path: Path, model: nn.Module) -> None:
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


class Watched(FourStepTraining):
    """Remembers what each step began with, the proposals it was given and what it left."""

    before: dict[int, State]
    after: dict[int, State]
    given: dict[int, Any]
    lines: list[str]

    def _train(self, number: int, part: Part, proposals: Any = None, whole: Any = None) -> FasterRCNN:
        self.before[number] = state_of(part.detector)
        self.given[number] = proposals
        left = super()._train(number, part, proposals, whole)
        self.after[number] = state_of(left)
        return left


def a_run(
    folder: Path, recipe: Recipe = RECIPE, model: FasterRCNN | None = None, validate: Callable[..., Any] | None = None
) -> Watched:
    lines: list[str] = []
    model = model or a_detector()
    run = Watched(
        model,
        PAINTED,
        model.input_spec,
        recipe,
        Around(folder=folder, device="cpu", say=lines.append, watch=watch),
        validate=validate,
        save_weights=save,
    )
    run.before, run.after, run.given, run.lines = {}, {}, {}, lines
    return run


def gone_on_with(folder: Path, recipe: Recipe = RECIPE) -> Watched:
    """Another process: a new model with the stored start weights."""
    model = a_detector(seed=5)
    model.load_state_dict(load_file(folder / START))
    torch.manual_seed(77)
    run = a_run(folder, recipe, model)
    run.resume()
    return run


def state_of(model: nn.Module) -> State:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def parts_of(state: State) -> dict[str, State]:
    """The maps' layers, those above them, the head and the RPN."""
    found: dict[str, State] = {"maps": {}, "top": {}, "head": {}, "rpn": {}}
    for name, tensor in state.items():
        first = name.split(".")[0]
        where = ("top" if name.startswith("backbone.layer.") else "maps") if first == "backbone" else first
        found[where][name] = tensor
    return found


def same(first: State, second: State) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def changed(first: State, second: State) -> set[str]:
    """The parts in which something differs; each of them has learnt, it did not just count statistics."""
    one, other = parts_of(first), parts_of(second)
    parts = {name for name in one if not same(one[name], other[name])}
    assert parts == {name for name in one if not same(learnt(one[name]), learnt(other[name]))}
    return parts


def learnt(state: State) -> State:
    """Without the statistics of batch norm."""
    return {name: tensor for name, tensor in state.items() if name.endswith(("weight", "bias"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched]:
    """A run that nothing cut."""
    folder = tmp_path_factory.mktemp("four") / "run"
    run = a_run(folder)
    run.run()
    return folder, run


def fpn_backbone() -> FPNBackbone:
    return FPNBackbone(ResNet(50, with_c2=True), width=8, norm=True, head_convs=2, head_layers=2)


@pytest.mark.parametrize(
    "build", [VGG16Regions, lambda: ResNetC4(50), lambda: TimmRegions("resnet10t"), fpn_backbone, NormedRegions]
)
def test_a_backbones_layers_are_those_of_the_maps_and_those_above(build: Callable[[], RegionBackbone]) -> None:
    with torch.device("meta"):
        backbone = build()
        learning = {p for p in backbone.parameters() if p.requires_grad}
        maps = backbone(torch.zeros(1, 3, 128, 128))
        torch.stack([x.sum() for x in maps]).sum().backward()  # type: ignore[no-untyped-call]
        below = {p for p in learning if p.grad is not None}
        backbone.zero_grad()
        pieces = torch.zeros(4, backbone.channels[-1], backbone.pooled, backbone.pooled)
        backbone.top(pieces).sum().backward()
        above = {p for p in learning if p.grad is not None}
    assert below == learning & set(shared_parameters(backbone))
    assert above == learning - below
    assert above


def test_dropout_is_among_the_layers_above() -> None:
    with torch.device("meta"):
        backbone = VGG16Regions()
    assert backbone.dropout in set(backbone.top_layers())


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_each_step_learns_its_part_and_leaves_the_rest(tmp_path: Path, levels: int, ema: float) -> None:
    model = a_detector(levels)
    start = state_of(model)
    run = a_run(tmp_path / "run", replace(RECIPE, ema=ema), model)
    run.run()
    before, after = run.before, run.after
    assert same(before[1], start)
    assert changed(before[1], after[1]) == {"maps", "rpn"}
    assert same(before[2], start)  # a backbone of its own, not step 1's
    assert changed(before[2], after[2]) == {"maps", "top", "head"}
    assert same(before[3], after[2])
    assert changed(before[3], after[3]) == {"rpn"}
    assert same(parts_of(before[3])["rpn"], parts_of(start)["rpn"])  # anew
    assert same(before[4], after[3])
    assert changed(before[4], after[4]) == {"top", "head"}
    merged, parts = (
        parts_of(load_file(tmp_path / "run" / "last.safetensors")),
        {n: parts_of(s) for n, s in after.items()},
    )
    assert same(merged["maps"], parts[2]["maps"])
    assert same(merged["rpn"], parts[3]["rpn"])
    assert same(merged["top"], parts[4]["top"])
    assert same(merged["head"], parts[4]["head"])
    assert same(state_of(model), start)


def test_each_step_has_its_folder_and_the_last_ones_weights_are_the_runs(whole: tuple[Path, Watched]) -> None:
    folder, run = whole
    assert {file.name for file in folder.iterdir()} == {
        START, "last.safetensors", "best.safetensors", "step1", "step2", "step3", "step4"
    }  # fmt: skip
    files = {"last.pt", "previous.pt", "log.jsonl", "log.csv", "tensorboard"}
    for number in (1, 2, 3, 4):
        more = {PROPOSALS} if number in (1, 3) else set()
        assert {file.name for file in (folder / f"step{number}").iterdir()} == files | more
    assert same(load_file(folder / "best.safetensors"), run.after[4])
    assert all(line.startswith("step ") for line in run.lines)
    losses = [line for line in run.lines if "images/s" in line]
    assert ["rpn_class" in line for line in losses] == [True, True, False, False] * 2
    assert [" class " in line for line in losses] == [False, False, True, True] * 2
    assert sum("proposals an image, recall of the best 10" in line for line in run.lines) == 2


def test_layers_that_the_recipe_freezes_stay_in_every_step(tmp_path: Path) -> None:
    model = a_detector()
    start = state_of(model)
    run = a_run(tmp_path / "run", replace(RECIPE, freeze_stem=True, epochs=1), model)
    run.run()
    frozen = {name for name in start if name.startswith("backbone.first.") and name.endswith(("weight", "bias"))}
    assert frozen
    assert all(torch.equal(run.after[4][name], start[name]) for name in frozen)


def test_fixed_layers_are_in_no_optimizer_and_compute_as_in_detection() -> None:
    part = DetectorPart(a_detector(), fixed=True).train()
    assert not part.backbone.first[1].training  # type: ignore[index]
    assert all(layer.training for layer in part.backbone.layer.modules())  # type: ignore[union-attr]
    assert not any(parameter.requires_grad for parameter in shared_parameters(part.backbone))
    assert not any(module.training for module in part.eval().modules())
    assert all(module.training for module in DetectorPart(a_detector(), fixed=False).train().modules())


def test_the_backbones_layers_learn_at_the_backbones_rate(tmp_path: Path) -> None:
    model = a_detector()
    more: Any = {"validate": None, "save_weights": save}
    recipe = replace(RECIPE, backbone_lr=0.25, optimizer="adamw")
    around = Around(folder=tmp_path, device="cpu")
    training = Training(RPNPart(model, fixed=False), PAINTED, model.input_spec, recipe, around, **more)
    rates = {p: group["initial_lr"] for group in training.optimizer.param_groups for p in group["params"]}
    assert {rates[p] for p in shared_parameters(model.backbone)} == {0.25 * 0.02}
    assert {rates[p] for p in model.rpn.parameters()} == {0.02}


def test_each_part_loses_what_it_loses_in_the_whole() -> None:
    model = a_detector(num_classes=3).eval()
    fast = FastRCNN(FastRCNNConfig(num_classes=3, regions=16, background_iou=0.0), model.backbone).eval()
    fast.head = model.head
    torch.manual_seed(3)
    images, targets, sizes = torch.rand(3, 3, 64, 96), some_targets(), torch.tensor([[64, 90], [64, 70], [60, 96]])
    with torch.no_grad():
        whole = model(images, sizes)
        for seed in range(3):
            torch.manual_seed(seed)
            joint = model.loss(whole, targets)
            part = RPNPart(model, fixed=False)
            torch.manual_seed(seed)
            alone = part.loss(part(images, sizes), targets)
            assert alone.keys() == {"rpn_class", "rpn_box"}
            assert all(torch.equal(value, joint[name]) for name, value in alone.items())
            proposals = [boxes[scores > 0] for boxes, scores in zip(whole.proposals, whole.scores, strict=True)]
            found = DetectorPart(model, fixed=False)
            losses = []
            for one in (found, fast):
                torch.manual_seed(seed)
                losses.append(one.loss(one(images, sizes, proposals), targets))
            assert losses[0].keys() == {"class", "box"}
            assert all(torch.equal(value, losses[1][name]) for name, value in losses[0].items())


def test_proposals_are_the_rpns_in_the_annotated_frame() -> None:
    model, data = a_detector(), PAINTED
    model.eval()
    found = propose(model, data, batch_size=1)
    assert len(found) == 6
    for index, boxes in enumerate(found):
        image = to_input(data.image(index), model.input_spec)
        (height, width), (true_width, true_height) = image.shape[1:], data.size(index)
        padded = stack_padded([image], model.input_spec.divisor)
        pixels = Normalize(model.input_spec)(padded)
        pixels[..., height:, :], pixels[..., width:] = 0.0, 0.0
        with torch.no_grad():
            model.training = True  # as many as in training, from layers as in detection
            whole = model(pixels, torch.tensor([[height, width]]))
            model.training = False
        wanted = whole.proposals[0][whole.scores[0] > 0]
        wanted = wanted * torch.tensor([true_width / width, true_height / height] * 2)
        torch.testing.assert_close(boxes, wanted)
        assert len(boxes) > model.config.proposals[1]
        assert float(boxes[:, 2].max()) > width + 1  # the annotated frame is larger than the input
    assert model.config.proposals == (40, 10)


def test_the_detector_learns_on_the_proposals_of_the_step_before(whole: tuple[Path, Watched]) -> None:
    _, run = whole
    assert run.given[1] is None
    assert run.given[3] is None
    for step in (2, 4):
        model = a_detector()
        model.load_state_dict(run.after[step - 1])
        wanted = propose(model, PAINTED, batch_size=RECIPE.batch_size)
        assert all(torch.equal(own, other) for own, other in zip(run.given[step], wanted, strict=True))
    assert not any(torch.equal(own, other) for own, other in zip(run.given[2], run.given[4], strict=True))


def test_the_loader_gets_those_proposals(whole: tuple[Path, Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once stopped at the first batch, mirrored or not: each of the batch's proposals is the image's own."""
    folder, run = whole
    seen: list[Any] = []

    def stop(training: Training, batches: Any) -> None:
        seen.extend(batches)
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "train_step", stop)
    for step in (2, 4):
        again = a_run(folder.parent / f"again{step}")
        with pytest.raises(KeyboardInterrupt):
            again._train(step, DetectorPart(a_detector(), fixed=step == 4), run.given[step])
    for step, batch in zip((2, 4), seen, strict=True):
        assert len(batch.proposals) == 2
        for index, boxes, shape in zip(batch.indices, batch.proposals, batch.shapes.tolist(), strict=True):
            width, height = PAINTED.size(index)
            own = run.given[step][index] * torch.tensor([shape[1] / width, shape[0] / height] * 2)
            flipped = torch.stack([shape[1] - own[:, 2], own[:, 1], shape[1] - own[:, 0], own[:, 3]], 1)
            ways = [torch.allclose(boxes, one, atol=1e-3) for one in (own, flipped)]
            truth, place = batch.targets[batch.indices.index(index)].boxes, PAINTED.boxes(index)[0]
            mirrored = not torch.allclose(truth[0, 0], place[0] * shape[1] / width, atol=1e-3)
            assert ways[mirrored]


@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1)])
def test_a_run_cut_anywhere_ends_as_an_unbroken_one(
    whole: tuple[Path, Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, epoch: int
) -> None:
    """In the second batch of an epoch, or (epoch 2) while the proposals are written."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        if epoch == 2:

            def crash(file: Path, found: Any) -> None:
                if file.parent.name == f"step{step}":
                    raise KeyboardInterrupt
                write_proposals(file, found)

            patch.setattr("vedette.train.four_step.write_proposals", crash)
        else:
            train_step = Training.train_step

            def cut(training: Training, batches: Any) -> None:
                if training.folder.name == f"step{step}" and training.epoch == epoch:
                    cut.batches += 1  # type: ignore[attr-defined]
                    if cut.batches == 2:  # type: ignore[attr-defined]
                        raise KeyboardInterrupt
                train_step(training, batches)

            cut.batches = 0  # type: ignore[attr-defined]
            patch.setattr(Training, "train_step", cut)
        with pytest.raises(KeyboardInterrupt):
            a_run(folder).run()
    resumed = gone_on_with(folder)
    resumed.run()
    assert same(load_file(folder / "last.safetensors"), load_file(whole[0] / "last.safetensors"))
    for number in (1, 2, 3, 4):
        assert same(resumed.after[number], whole[1].after[number])
    starts = [line for line in resumed.lines if "of 2 epochs" in line]
    lefts = [0 if number < step else 2 - epoch if number == step else 2 for number in (1, 2, 3, 4)]
    assert [int(line.split(", ")[-1][0]) for line in starts] == lefts


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_loss_that_is_not_finite_says_whether_the_run_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    part = RPNPart if step in (1, 3) else DetectorPart
    losses = part.loss

    def broken(self: Part, *given: Any) -> dict[str, Tensor]:
        found = losses(self, *given)  # type: ignore[arg-type]
        return {name: loss * torch.nan for name, loss in found.items()} if self.fixed == (step > 2) else found

    monkeypatch.setattr(part, "loss", broken)
    with pytest.raises(InputError, match=r"lower --lr; .*--resume$" if step > 1 else r"lower --lr$"):
        a_run(tmp_path / "run", replace(RECIPE, epochs=1)).run()


def test_a_finished_run_goes_on_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    a_run(folder, replace(RECIPE, epochs=1)).run()
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
    monkeypatch.setattr("vedette.train.four_step.rpn_proposals", None)  # nothing is computed again
    gone_on_with(folder, replace(RECIPE, epochs=1)).run()
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()} == files


def test_a_new_run_takes_nothing_of_an_old_one(tmp_path: Path, whole: tuple[Path, Watched]) -> None:
    folder = tmp_path / "run"
    first = a_run(folder, replace(RECIPE, lr=0.05))
    first.run()
    again = a_run(folder)
    again.run()
    assert all(same(again.after[number], whole[1].after[number]) for number in (1, 2, 3, 4))


def test_damaged_and_foreign_proposals_are_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / PROPOSALS
    boxes = [torch.rand(3, 4), torch.zeros(0, 4), torch.rand(1, 4)]
    write_proposals(file, boxes)
    assert all(torch.equal(own, other) for own, other in zip(read_proposals(file, 3), boxes, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == [PROPOSALS]
    with pytest.raises(InputError, match=r"has proposals of 3 images, --data has 4; give the run's own data$"):
        read_proposals(file, 4)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"proposals\.safetensors: is damaged .* go on with --resume$"):
        read_proposals(file, 3)
    assert not file.exists()
    for stored in (
        {"boxes": torch.zeros(10, 4), "counts": torch.tensor([3, 3, 3])},
        {"boxes": torch.zeros(6), "counts": torch.tensor([1, 1, 1])},
        {"boxes": torch.zeros(3, 4), "counts": torch.ones(3)},
    ):
        save_file(stored, file)
        with pytest.raises(InputError, match=r"is damaged \([^\n]*\) and was removed; go on with --resume$"):
            read_proposals(file, 3)


def test_what_can_detect_is_measured(tmp_path: Path) -> None:
    seen: list[Any] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append((model, state_of(model)))
        return {"mAP": 0.1 * len(seen)}

    run = a_run(tmp_path / "run", replace(RECIPE, ema=0.9), validate=validate)
    run.run()
    assert [type(model) for model, _ in seen] == [Unshared] * 2 + [FasterRCNN] * 2  # epochs of steps 2 and 4
    whole = {f"proposer.{name}": x for name, x in run.after[1].items()}
    assert same(seen[1][1], whole | {f"detector.{name}": x for name, x in run.after[2].items()})
    assert same(seen[3][1], run.after[4])
    assert same(load_file(tmp_path / "run" / "best.safetensors"), run.after[4])


def test_unshared_networks_propose_with_one_and_look_with_the_other() -> None:
    first, second = a_detector().eval(), a_detector(seed=1).eval()
    images, sizes = torch.rand(2, 3, 64, 96), torch.tensor([[64, 90], [64, 96]])
    with torch.no_grad():
        found = Unshared(first, second)(images, sizes)
        assert torch.equal(found.proposals, first(images, sizes).proposals)
        assert all(torch.equal(x, y) for x, y in zip(found.features, second.backbone(images), strict=True))
        same_twice = Unshared(first, first)
        one, other = same_twice.detect(same_twice(images, sizes), 0.01), first.detect(first(images, sizes), 0.01)
        step = second.look_at(found.features, found.proposals)
        boxes = Unshared(first, second).detect(found, 0.01)
    assert all(len(a) and torch.equal(a.boxes, b.boxes) for a, b in zip(one, other, strict=True))
    assert all(float(image.scores[0]) <= float(step.logits.softmax(-1)[..., 1:].max()) for image in boxes)


@pytest.mark.parametrize("levels", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_losses_fall_and_the_rectangles_are_found(tmp_path: Path, levels: int) -> None:
    """On five levels nothing is asked of what is found: the maps there are the pixels of a corner of each cell."""
    torch.manual_seed(0)
    model, data = a_detector(levels, proposals=(40, 20)), PAINTED
    model.backbone = TinyRegions(levels)
    recipe = replace(RECIPE, epochs=20, schedule="cosine", optimizer="adamw", lr=1e-2)
    run = a_run(tmp_path / "run", recipe, model)
    run.run()
    for step, names in ((1, ("rpn_class", "rpn_box")), (2, ("class", "box")), (3, ("rpn_class",)), (4, ("class",))):
        lines = [line for line in run.lines if line.startswith(f"step {step}: epoch")]
        assert len(lines) == 20
        first, last = (sum(float(line.split(f" {name} ")[1].split()[0]) for name in names) for line in lines[::19])
        assert last < first
    if levels == 1:
        recalls = [float(line.split("best 20 ")[1].split()[0]) for line in run.lines if "recall" in line]
        assert min(recalls) > 0.5
        model.load_state_dict(load_file(tmp_path / "run" / "last.safetensors"))
        truths = [Truth.of(data.boxes(index), data.labels(index)) for index in range(len(data))]
        found = evaluate_model(model, data, plan_passes(model.input_spec, batch_size=2), workers=0)
        assert measure(found, truths, 2)["mAP"] > 0.5  # untrained: 0.1


def test_the_papers_rates_and_length() -> None:
    from vedette.train.recipes import recipe_for

    recipe = recipe_for("faster-rcnn-vgg16", 5011, "four-step")
    assert (recipe.optimizer, recipe.lr, recipe.drops, recipe.alternating) == ("sgd", 1e-3, (3 / 4,), True)
    assert recipe.epochs == 8  # a quarter of the 30 that a run on as many images has
    assert recipe_for("faster-rcnn-resnet50-fpn", 10**6, "four-step").epochs == 3
    assert recipe_for("faster-rcnn-timm/resnet18-fpn", 1000, "four-step").lr == 0.02
    assert FASTER_RCNN_STEP.batch_size == 2
    assert not recipe_for("faster-rcnn-vgg16", 5011).alternating
