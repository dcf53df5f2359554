"""NMS and Soft-NMS in ONNX's operators, run beside those of PyTorch, on batches of sizes that no example had."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vedette.ops.nms import nms, soft_nms

pytest.importorskip("onnxscript")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Suppress(nn.Module):
    def __init__(self, kind: str, runs: int) -> None:
        super().__init__()
        self.kind, self.runs = kind, runs

    def forward(self, boxes: Tensor, scores: Tensor, groups: Tensor) -> Tensor:
        if self.kind == "hard":
            return nms(boxes, scores, groups, 0.45, runs=self.runs)
        return soft_nms(boxes, scores, groups, method=self.kind, iou=0.3, runs=self.runs)  # type: ignore[arg-type]


def candidates(images: int, runs: int) -> tuple[Tensor, Tensor, Tensor]:
    """60 of each image, of five groups; a fifth of them padding where they are in no order."""
    corner = torch.rand(images, 60, 2) * 60
    boxes = torch.cat([corner, corner + 1 + torch.rand(images, 60, 2) * 40], -1)
    scores = torch.rand(images, 60)
    if not runs:
        return boxes, scores * (torch.rand(images, 60) > 0.2), torch.randint(0, 5, (images, 60))
    ordered = scores.view(images, runs, -1).sort(-1, descending=True)[0].view(images, 60)
    return boxes, ordered, torch.arange(runs).repeat_interleave(60 // runs).expand(images, 60).contiguous()


@pytest.mark.parametrize("runs", [0, 5])
@pytest.mark.parametrize("kind", ["hard", "linear", "gaussian"])
def test_they_give_what_ours_give(kind: str, runs: int, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from vedette.export.onnx_ops import translations

    module, names = Suppress(kind, runs), ["boxes", "scores", "groups"]
    free = ({0: torch.export.Dim("batch")},) * 3
    program = torch.export.export(module, candidates(3, runs), dynamic_shapes=free)
    how = {"dynamo": True, "opset_version": 20, "input_names": names, "verbose": False}
    torch.onnx.export(program, custom_translation_table=translations(), **how).save(tmp_path / "nms.onnx")
    graph = runtime.InferenceSession(tmp_path / "nms.onnx")
    for given in (candidates(1, runs), candidates(5, runs)):
        expected = module(*given)
        (found,) = graph.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
        assert expected.float().sum() > 10
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-6)
    (none,) = graph.run(None, {name: value.numpy() * 0 for name, value in zip(names, given, strict=True)})
    assert not none.any()
