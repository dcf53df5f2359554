"""Targets padded once: by hand, empty images, an empty batch."""

import pytest
import torch

from vedette.parts.targets import TargetBatch, check_targets, pad_targets
from vedette.structures import Target

CPU = torch.device("cpu")


def test_by_hand() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4]], dtype=torch.float64), torch.tensor([6]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    boxes = torch.tensor([[5.0, 6, 7, 8], [-1, -2, 9, 9]])
    two = Target(boxes, torch.tensor([0, 2]), torch.tensor([False, True]))
    batch = pad_targets([one, none, two], CPU)
    assert batch.boxes.tolist() == [[[1, 2, 3, 4], [0] * 4], [[0] * 4, [0] * 4], [[5, 6, 7, 8], [-1, -2, 9, 9]]]
    assert batch.labels.tolist() == [[6, 0], [0, 0], [0, 2]]
    assert batch.valid.tolist() == [[True, False], [False, False], [True, True]]
    assert batch.ignore.tolist() == [[False, False], [False, False], [False, True]]
    assert [t.dtype for t in batch] == [torch.float32, torch.int64, torch.bool, torch.bool]


def test_nothing() -> None:
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    for targets, images in (([], 0), ([none, none], 2)):
        batch = pad_targets(targets, CPU)
        assert [tuple(t.shape) for t in batch] == [(images, 0, 4), (images, 0), (images, 0), (images, 0)]
        assert [t.dtype for t in batch] == [torch.float32, torch.int64, torch.bool, torch.bool]


def test_goes_to_the_device_asked_for() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([6]))
    for targets in ([], [one]):
        assert {t.device.type for t in pad_targets(targets, torch.device("meta"))} == {"meta"}


def test_refuses_targets_that_do_not_fit_the_images_or_the_classes() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([6, 0]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    check_targets([none, one], images=2, num_classes=7)
    check_targets([], images=0, num_classes=7)
    with pytest.raises(ValueError, match=r"targets\[1\] has label 6; the model has 0..5"):
        check_targets([none, one], images=2, num_classes=6)
    for targets in ([one], [none, one, none]):
        with pytest.raises(ValueError, match=f"{len(targets)} targets for 2 images"):
            check_targets(targets, images=2, num_classes=7)


def test_what_is_padded_already_is_taken_as_it_is() -> None:
    one = Target(torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([6, 0]), torch.tensor([False, True]))
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    batch = TargetBatch.of([one, none])
    for given, expected in zip(pad_targets(batch, CPU), pad_targets([one, none], CPU), strict=True):
        assert torch.equal(given, expected)
    assert {t.device.type for t in pad_targets(batch, torch.device("meta"))} == {"meta"}
    check_targets(batch, images=2, num_classes=7)
    with pytest.raises(ValueError, match=r"targets\[0\] has label 6; the model has 0..5"):
        check_targets(batch, images=2, num_classes=6)
    with pytest.raises(ValueError, match="2 targets for 3 images"):
        check_targets(batch, images=3, num_classes=7)


def test_pinned_memory_is_that_of_all_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self.add(1))  # without a GPU nothing can be pinned
    batch = TargetBatch(torch.zeros(1, 1, 4), *(torch.zeros(1, 1).long() for _ in range(3)))
    pinned = batch.pin_memory()
    assert isinstance(pinned, TargetBatch)
    assert all(bool((t == 1).all()) for t in pinned)
