"""The coder with each class's own mean and deviation: by hand, and there and back."""

import torch

from vedette.parts.box_coder import BoxCoder
from vedette.parts.class_coder import ClassCoder

REFERENCE = torch.tensor([10.0, 20.0, 30.0, 60.0])  # centre 20, 40; size 20, 40
BOX = torch.tensor([22.0, 36.0, 32.0, 44.0])  # centre 27, 40; size 10, 8


def coder() -> ClassCoder:
    made = ClassCoder(2, (0.1, 0.1, 0.2, 0.2))
    made.mean[1] = torch.tensor([0.05, 0.1, -0.5, 0.0])
    made.std[1] = torch.tensor([0.5, 0.25, 1.0, 2.0])
    return made


def test_until_it_is_measured_it_is_the_fixed_one() -> None:
    fixed, labels = BoxCoder((0.1, 0.1, 0.2, 0.2)), torch.tensor([0, 0])
    boxes, references = BOX.repeat(2, 1), REFERENCE.repeat(2, 1)
    torch.testing.assert_close(coder().of(labels).encode(boxes, references), fixed.encode(boxes, references))
    assert not coder().measured


def test_each_class_has_its_own_numbers() -> None:
    own = coder().of(torch.tensor(1))
    plain = BoxCoder((1.0, 1.0, 1.0, 1.0)).encode(BOX, REFERENCE)
    wanted = [(0.35 - 0.05) / 0.5, (0 - 0.1) / 0.25, (float(plain[2]) + 0.5) / 1, float(plain[3]) / 2]
    torch.testing.assert_close(own.encode(BOX, REFERENCE), torch.tensor(wanted))


def test_there_and_back() -> None:
    torch.manual_seed(0)
    low, labels = 50 * torch.rand(2, 6, 2), torch.randint(2, (2, 6))
    boxes, references = torch.cat([low, low + 9], -1), torch.cat([low + 3, low + 20], -1)
    own = coder().of(labels)
    torch.testing.assert_close(own.decode(own.encode(boxes, references), references), boxes)
