"""What R-CNN fits behind its network: a linear SVM a class, and a ridge regression a class (sec. 2.3, app. C).

Shapes: `N` boxes of one image, `M` examples of all images, `C` classes, `F` features of fc7, `D` of pool5.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.errors import InputError

NORM = 20.0  # authors' code: features are scaled to this mean length, so that the constants below fit any network
NEVER = -20.0  # the margin of a class without examples of both kinds
HARD, EASY = -1.0001, -1.2  # authors' code: a negative above the first is taken, below the second let go again


class ImageFeatures(NamedTuple):
    """The gt boxes (ignored ones apart) and the proposals of one image."""

    features: Tensor  # (N, F)
    labels: Tensor  # (N,) int64: the class of a gt box, -1 for a proposal
    overlap: Tensor  # (N, C) highest IoU with the gt boxes of each class, ignored ones among them


class Linear(NamedTuple):
    """What `nn.Linear` holds."""

    weight: Tensor  # (outputs, inputs) float32
    bias: Tensor  # (outputs,) float32


@dataclass
class _Miner:
    """One class's examples and its SVM; it takes those negatives that the SVM does not tell yet."""

    positives: Tensor  # (P, F)
    cost: float
    negatives: list[Tensor] = field(default_factory=list)
    new: int = 0

    def __post_init__(self) -> None:
        self.weight, self.bias = torch.zeros(self.positives.shape[1]), 0.0

    def mine(self, features: Tensor, margins: Tensor, negative: Tensor, retrain: int) -> None:
        """Takes the hard ones among an image's negatives; the SVM is fitted anew after so many."""
        if not len(self.positives):
            return
        hard = negative & (margins > HARD)
        if bool(hard.any()):
            self.negatives.append(features[hard])
            self.new += int(hard.sum())
        if self.new >= retrain:
            self.fit()

    def fit(self) -> None:
        """The SVM of all examples kept; easy negatives are let go afterwards."""
        if not self.new:
            return
        negatives = torch.cat(self.negatives)
        self.weight, self.bias = fit_svm(self.positives, negatives, self.cost)
        self.negatives = [negatives[negatives @ self.weight + self.bias >= EASY]]
        self.new = 0


def fit_svms(
    images: Callable[[], Iterable[ImageFeatures]],
    num_classes: int,
    *,
    cost: float = 1e-3,
    negative_iou: float = 0.3,
    retrain: int = 2000,
    progress: Callable[[int], None] | None = None,
) -> Linear:
    """One linear SVM a class, its positives the gt boxes alone, its negatives mined in one pass (sec. 2.3).

    images: called twice, for two rounds over all images. negative_iou: a box below it with all gt boxes of a class is
    that class's negative. retrain: an SVM is fitted anew after so many new negatives. progress: called with the images
    mined so far. cost and the rest are the authors' code's. A class without gt boxes, or without anything to tell them
    from, has a margin of -20 everywhere.

    Raises InputError without scikit-learn.
    """
    if find_spec("sklearn") is None:
        raise InputError('SVMs need scikit-learn: pip install "vedette[rcnn]"')
    positives, scale = _positives(images(), num_classes)
    miners = [_Miner(own * scale, cost) for own in positives]
    for number, (features, _, overlap) in enumerate(images()):
        scaled = features.float() * scale
        for label, miner in enumerate(miners):
            miner.mine(scaled, scaled @ miner.weight + miner.bias, overlap[:, label] < negative_iou, retrain)
        if progress is not None:
            progress(number + 1)
    for miner in miners:
        miner.fit()
    weight = torch.stack([miner.weight for miner in miners]) * scale  # so it takes features as they are
    return Linear(weight, torch.tensor([miner.bias if miner.negatives else NEVER for miner in miners]))


def fit_svm(positives: Tensor, negatives: Tensor, cost: float) -> tuple[Tensor, float]:
    """(P, F), (M, F) → weight (F,) and bias: hinge loss, positives count twice, a bias of 10 (authors' code)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=cost, loss="hinge", class_weight={1: 2}, intercept_scaling=10, random_state=0, max_iter=2000)
    examples = torch.cat([positives, negatives]).numpy()
    labels = torch.cat([torch.ones(len(positives)), -torch.ones(len(negatives))]).int().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough: the negatives change anyway
        svm.fit(examples, labels)
    return torch.from_numpy(svm.coef_[0]).float(), float(svm.intercept_[0])


def fit_box_regression(
    examples: Callable[[int], tuple[Tensor, Tensor]],
    num_classes: int,
    features: int,
    *,
    norm: float,
    strength: float = 1000.0,
) -> Linear:
    """A ridge regression a class, from pool5 of proposals to the deltas of their gt boxes (app. C, eq. 5).

    examples: a class's (M, D) features and (M, 4) deltas. A class without any moves no box. norm: the mean length of
    the features of any window, which the fit brings to 20 (authors' code).
    → weight (4 C, D), bias (4 C,).
    """
    weight, bias, scale = torch.zeros(num_classes, 4, features), torch.zeros(num_classes, 4), NORM / max(norm, 1e-12)
    for label in range(num_classes):
        given, deltas = examples(label)
        if len(given):
            own = fit_ridge(given.double() * scale, deltas.double(), strength)
            weight[label], bias[label] = own.weight * scale, own.bias
    return Linear(weight.flatten(0, 1), bias.flatten())


def fit_ridge(features: Tensor, targets: Tensor, strength: float) -> Linear:
    """min ‖Y - Ȳ - X Wᵀ - b‖² + strength (‖W‖² + b²), in closed form and float64: (M, D), (M, K) → (K, D), (K,).

    The bias is the weight of one more feature, which is 1, and held back as all are (authors' code); what is given adds
    the mean of the targets to it. The system is that of the features or of the examples, whichever are fewer.
    """
    x = torch.cat([features.double(), features.new_ones(len(features), 1, dtype=torch.float64)], 1)
    mean = targets.double().mean(0)
    y = targets.double() - mean
    few = x.shape[0] < x.shape[1]
    weight = x.T @ _solve(x @ x.T, y, strength) if few else _solve(x.T @ x, x.T @ y, strength)  # (D, K)
    return Linear(weight[:-1].T.float(), (mean + weight[-1]).float())


def _solve(square: Tensor, right: Tensor, strength: float) -> Tensor:
    square.diagonal().add_(strength)
    return torch.cholesky_solve(right, torch.linalg.cholesky(square))


def _positives(images: Iterable[ImageFeatures], num_classes: int) -> tuple[list[Tensor], float]:
    """The gt boxes' features of each class, and what brings all features to the mean length of 20."""
    found: list[list[Tensor]] = [[] for _ in range(num_classes)]
    total, count, width = 0.0, 0, 0
    for features, labels, _ in images:
        total, count, width = (
            total + float(features.float().norm(dim=1).sum()),
            count + len(features),
            features.shape[1],
        )
        for label in torch.unique(labels[labels >= 0]).tolist():
            found[label].append(features[labels == label].float())
    own = [torch.cat([torch.zeros(0, width), *rows]) for rows in found]
    return own, NORM * count / max(total, 1e-12)
