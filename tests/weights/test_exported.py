"""What an exported file says of itself comes back as it was."""

from dataclasses import replace
from pathlib import Path

from vedette.structures import InputSpec
from vedette.weights.exported import Exported, of_metadata, to_metadata


def test_it_is_read_as_it_was_written() -> None:
    exported = Exported(
        name="retinanet-lite0-fpn",
        config={"num_classes": 1, "anchor_sizes": [[8.0]]},
        classes=("ship",),
        category_ids=None,
        input_spec=InputSpec(size=320, resize="short side", max_side=533, divisor=32, mean=(1.0, 2.0, 3.0)),
        sizes=True,
    )
    metadata = to_metadata(exported)
    assert all(isinstance(value, str) for value in metadata.values())
    assert of_metadata(Path("a.onnx"), metadata) == exported
    assert exported.inputs == ("images", "score", "sizes")
    assert replace(exported, proposals=9).inputs == ("images", "score", "sizes", "proposals", "counts")
