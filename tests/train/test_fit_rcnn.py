"""R-CNN's SVMs and box regression."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from vedette.errors import InputError
from vedette.train import fit_rcnn
from vedette.train.fit_rcnn import NEVER, ImageFeatures, fit_box_regression, fit_ridge, fit_svm, fit_svms

CENTERS = torch.tensor([[3.0, 0.0, 0.0, 1.0], [0.0, 3.0, 0.0, 1.0], [0.0, 0.0, 3.0, 1.0]])  # two classes and none


def scene(images: int = 12, seed: int = 0, scale: float = 1.0) -> list[ImageFeatures]:
    """Each image: a gt box of each of two classes, and proposals of no class or on the first box."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(images):
        labels = torch.tensor([0, 1, *[-1] * 20])
        kind = torch.tensor([0, 1, *[2] * 17, *[0] * 3])
        features = (CENTERS[kind] + 0.4 * torch.randn(22, 4, generator=generator)) * scale
        overlap = torch.stack([(kind == 0).float() * 0.6, (kind == 1).float()], 1)
        overlap[labels == 0, 0] = 1
        made.append(ImageFeatures(features, labels, overlap))
    return made


def both(images: list[ImageFeatures]) -> tuple[Tensor, Tensor, Tensor]:
    features, labels, overlap = (torch.cat(rows) for rows in zip(*images, strict=True))
    return features, labels, overlap


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_the_svms_tell_the_classes_apart(scale: float) -> None:
    images = scene(scale=scale)
    seen: list[int] = []
    weight, bias = fit_svms(lambda: iter(images), 2, retrain=60, progress=seen.append)
    assert seen == list(range(1, 13))
    features, labels, overlap = both(scene(seed=1, scale=scale))
    margins = features @ weight.T + bias
    for label in range(2):
        assert margins[labels == label, label].min() > margins[overlap[:, label] == 0, label].max()
        assert margins[overlap[:, label] == 0, label].max() < 0


def test_features_of_any_length_give_the_same_margins() -> None:
    small, large = (fit_svms(lambda s=s: iter(scene(scale=s)), 2) for s in (1.0, 50.0))  # type: ignore[misc]
    assert torch.allclose(small.weight, large.weight * 50, atol=1e-3)
    assert torch.allclose(small.bias, large.bias, atol=1e-3)


def test_mining_finds_what_all_negatives_at_once_would_give() -> None:
    images = scene(30)
    mined = fit_svms(lambda: iter(images), 2, retrain=50)
    features, labels, overlap = both(images)
    scale = 20 / features.norm(dim=1).mean()
    for label in range(2):
        positive, negative = labels == label, overlap[:, label] < 0.3
        weight, bias = fit_svm(features[positive] * scale, features[negative] * scale, 1e-3)
        assert torch.allclose(mined.weight[label], weight * scale, atol=0.02)
        assert mined.bias[label] == pytest.approx(bias, abs=0.05)


def fitted_with(monkeypatch: pytest.MonkeyPatch, retrain: int = 10**9) -> list[tuple[Tensor, Tensor]]:
    calls: list[tuple[Tensor, Tensor]] = []

    def fake(positives: Tensor, negatives: Tensor, cost: float) -> tuple[Tensor, float]:
        calls.append((positives, negatives))
        return torch.zeros(positives.shape[1]), -1.1  # below HARD, above EASY

    monkeypatch.setattr(fit_rcnn, "fit_svm", fake)
    fit_svms(lambda: iter(scene(3)), 2, retrain=retrain)
    return calls


def test_gt_boxes_alone_are_positive_and_boxes_between_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (first, second) = fitted_with(monkeypatch)
    assert [len(rows) for rows in first] == [3, 3 * 18]  # not the proposals at IoU 0.6; the other class's gt boxes too
    assert [len(rows) for rows in second] == [3, 3 * 21]


def test_known_negatives_are_not_mined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fitted_with(monkeypatch, retrain=15)
    assert [len(negatives) for _, negatives in calls] == [18, 21]  # the first image's: then all are told, at -1.1


def test_easy_negatives_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_rcnn, "fit_svm", lambda positives, negatives, cost: (torch.tensor([1.0]), 0.0))
    miner = fit_rcnn._Miner(torch.ones(1, 1), 1e-3)
    features = torch.tensor([[-3.0], [-1.21], [-1.19], [0.5]])
    miner.mine(features, torch.zeros(4), torch.tensor([True] * 4), retrain=4)
    assert torch.cat(miner.negatives).flatten().tolist() == pytest.approx([-1.19, 0.5])
    miner.mine(features[3:], torch.zeros(1), torch.tensor([True]), retrain=2)
    assert torch.cat(miner.negatives).flatten().tolist() == pytest.approx([-1.19, 0.5, 0.5])  # not yet fitted anew
    miner.fit()
    assert miner.new == 0


def test_a_class_without_boxes_is_never_found() -> None:
    images = scene()
    weight, bias = fit_svms(lambda: iter([one._replace(overlap=torch.zeros(22, 3)) for one in images]), 3)
    assert bias[2] == NEVER
    assert not bool(weight[2].any())


def test_images_without_anything_are_ordinary() -> None:
    nothing = ImageFeatures(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2))
    weight, bias = fit_svms(lambda: iter([nothing]), 2)
    assert weight.shape == (2, 4)
    assert bias.tolist() == [NEVER] * 2
    one = scene()[0]
    only_objects = ImageFeatures(one.features[:1], one.labels[:1], one.overlap[:1])
    weight, bias = fit_svms(lambda: iter([only_objects]), 2)  # no negatives: nothing to tell it from
    assert bias.tolist() == [NEVER, NEVER]  # a score of 0.5 everywhere would be a detection of everything


def test_images_are_read_twice_and_not_held() -> None:
    rounds = 0

    def images() -> Iterator[ImageFeatures]:
        nonlocal rounds
        rounds += 1
        yield from scene()

    fit_svms(images, 2)
    assert rounds == 2


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_rcnn, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "vedette\[rcnn\]"'):
        fit_svms(lambda: iter([]), 1)


@pytest.mark.parametrize(("examples", "features"), [(50, 7), (7, 50), (1, 3)])
def test_the_closed_form_is_scikit_learns_ridge(examples: int, features: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(examples, features, generator=generator, dtype=torch.float64) * 3 + 1
    y = torch.randn(examples, 4, generator=generator, dtype=torch.float64) + 2
    ours = fit_ridge(x, y, 100.0)
    ones, mean = np.ones((examples, 1)), y.numpy().mean(0)
    theirs = Ridge(alpha=100.0, fit_intercept=False).fit(np.hstack([x.numpy(), ones]), y.numpy() - mean)
    assert np.allclose(ours.weight.numpy(), theirs.coef_[:, :-1], atol=1e-6)
    assert np.allclose(ours.bias.numpy(), theirs.coef_[:, -1] + mean, atol=1e-6)


def test_each_class_has_its_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 5, generator=generator)
    slopes = torch.randn(2, 5, 4, generator=generator)

    def examples(label: int) -> tuple[Tensor, Tensor]:
        return (x[:0], torch.zeros(0, 4)) if label == 2 else (x, x @ slopes[label] + label)

    weight, bias = fit_box_regression(examples, 3, 5, norm=2.0)
    assert weight.shape == (12, 5)
    deltas = (x @ weight.T + bias).view(-1, 3, 4)
    for label in range(2):
        assert (deltas[:, label] - x @ slopes[label] - label).abs().mean() < 0.02
    assert not bool(deltas[:, 2].any())
    longer = fit_box_regression(lambda label: (x * 9, x @ slopes[0]), 1, 5, norm=9 * 2.0)
    assert torch.allclose(longer.weight * 9, weight[:4], atol=1e-4)
    loose, tight = (fit_box_regression(examples, 2, 5, norm=norm).weight.norm() for norm in (0.2, 200.0))
    assert loose > 2 * tight  # of all windows, whatever the length of the class's own
