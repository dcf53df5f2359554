"""The one way from pictures to detections: what it hands to a recorded graph, and the layout of the weights."""

import torch

from papers import tiny
from vedette.infer.look import Look


def test_a_graph_is_given_the_anchors_that_it_reads() -> None:
    """The model keeps those of its last few sizes alone; a graph goes on reading them where they were."""
    model = tiny.ssd().eval()
    images, shapes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.tensor([[64, 64]])
    with torch.inference_mode():
        kept = Look(model, model.input_spec)._kept(images, shapes, 0.05)
    (known,) = (anchors.boxes for anchors in model.anchor_cache.kept.values())
    assert kept.anchors.data_ptr() == known.data_ptr()
    assert kept.found.boxes.shape[0] == 1


def test_the_weights_lie_as_the_pixels_do() -> None:
    model = tiny.ssd()
    look = Look(model, model.input_spec)
    weight = next(parameter for parameter in model.parameters() if parameter.ndim == 4 and parameter.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    pixels = look.pixels(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.tensor([[64, 64]]))
    assert pixels.is_contiguous(memory_format=torch.channels_last)
