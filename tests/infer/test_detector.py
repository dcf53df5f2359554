import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from vedette import zoo
from vedette.errors import InputError
from vedette.infer.detector import Detector, choose_device
from vedette.infer.pictures import in_batches
from vedette.structures import Detections, InputSpec

SUPPRESSION = SimpleNamespace(nms="hard", nms_iou=0.45, keep=200)


def picture(size: tuple[int, int] = (200, 400), box: tuple[int, int, int, int] = (20, 80, 100, 200)) -> Image.Image:
    """Black with a white rectangle."""
    image = Image.new("RGB", size)
    image.paste("white", box)
    return image


def check(found: Detections) -> None:
    assert found.boxes.tolist() == [[20.0, 80.0, 100.0, 200.0]]
    assert (found.boxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
    assert found.scores.tolist() == pytest.approx([0.8])
    assert found.labels.tolist() == [1]
    assert found.source.tolist() == [42]
    assert found.names == ["bright"]
    assert found.image is not None
    assert found.image.size == (200, 400)


def test_every_kind_of_image(detector: Detector, tmp_path: Path) -> None:
    image = picture()
    image.save(tmp_path / "a.png")
    array = np.array(image)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    for given in (tmp_path / "a.png", str(tmp_path / "a.png"), image, image.convert("L"), array, array[..., 0]):
        check(detector.detect(given))
    for given in (array[..., :1], np.dstack([array, np.full_like(array[..., 0], 255)]), tensor, tensor[:1], tensor[0]):
        check(detector.detect(given))
    check(detector.detect(array[..., ::-1]))  # a view with negative strides


def test_transparent_arrays_lie_over_white(detector: Detector) -> None:
    array = np.zeros((50, 50, 4), dtype=np.uint8)
    assert detector.detect(array).boxes.tolist() == [[0, 0, 50, 50]]


def test_one_gives_one_and_a_list_gives_a_list(detector: Detector) -> None:
    assert isinstance(detector.detect(picture()), Detections)
    for given in ([picture()], (picture(),)):
        found = detector.detect(given)
        assert isinstance(found, list)
        check(found[0])
    assert detector.detect([]) == []


def test_batches(detector: Detector) -> None:
    boxes = [(10 * i, 20, 10 * i + 30, 90) for i in range(1, 6)]
    found = detector.detect([picture((100, 100), box) for box in boxes], batch_size=2)
    assert [tuple(one.boxes[0].int().tolist()) for one in found] == boxes
    assert [len(batch) for batch in detector.model.batches] == [2, 2, 1]


def test_exif_rotation(detector: Detector, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    check(detector.detect(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as opened:
        check(detector.detect(opened))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000)])
def test_extreme_sizes(detector: Detector, size: tuple[int, int]) -> None:
    found = detector.detect(Image.new("RGB", size, "white"))
    assert found.boxes.tolist() == [[0, 0, *size]]
    assert found.draw().size == size


def test_boxes_are_cut_at_the_picture_and_dropped_outside_it(detector: Detector) -> None:
    class Beyond(torch.nn.Module):
        def forward(self, images: torch.Tensor, sizes: None, proposals: None) -> torch.Tensor:
            return images

        def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
            boxes = torch.tensor([[-10.0, 50, 60, 250], [110, 0, 120, 10], [10, 10, 20, 20]])
            row = torch.arange(3)
            return [Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), row, row)]

    found = Detector(Beyond(), detector.input_spec, None).detect(Image.new("RGB", (200, 50)))
    assert found.boxes.tolist() == [[0, 25, 120, 50], [20, 5, 40, 10]]
    assert found.source.tolist() == found.labels.tolist() == [0, 2]
    assert found.names == ["class 0", "class 2"]


def test_score(detector: Detector) -> None:
    assert len(detector.detect(picture(), score=0.8)) == 1
    assert len(detector.detect(picture(), score=0.81)) == 0


def test_inputs_are_normalised(detector: Detector) -> None:
    detector.input_spec = InputSpec(size=100, mean=(5.0, 0.0, 0.0), std=(2.0, 1.0, 1.0))
    detector.detect(Image.new("RGB", (100, 100), (105, 7, 9)))
    assert detector.model.batches[0][0, :, 0, 0].tolist() == [50, 7, 9]


def test_short_side_inputs_are_padded_to_one_size(detector: Detector) -> None:
    detector.input_spec = InputSpec(size=100, resize="short side", divisor=32, mean=(1.0, 1.0, 1.0))
    found = detector.detect([picture((200, 400)), picture((200, 200), (20, 80, 100, 200))])
    batch = detector.model.batches[0]
    assert batch.shape == (2, 3, 224, 128)
    assert batch[1, :, 100:].abs().max() == 0
    assert detector.model.sizes[0].tolist() == [[200, 100], [100, 100]]  # heights and widths without the padding
    for one in found:
        assert one.boxes.tolist() == [[20, 80, 100, 200]]


def test_boxes_come_back_by_the_scale_of_each_axis(detector: Detector) -> None:
    """333 x 250 becomes 133 x 100: 0.39940 of the width, 0.4 of the height."""
    detector.input_spec = InputSpec(size=100, resize="short side", divisor=32)

    class Fixed(torch.nn.Module):
        def forward(self, images: torch.Tensor, sizes: torch.Tensor, proposals: None) -> torch.Tensor:
            assert sizes.tolist() == [[100, 133]]
            return images

        def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
            row = torch.arange(2)
            boxes = torch.tensor([[13.3, 10, 133, 100], [133, 20, 160, 40]])  # the second lies in the padding
            return [Detections(boxes, torch.tensor([0.9, 0.8]), row, row)]

    found = Detector(Fixed(), detector.input_spec, None, device="cpu").detect(Image.new("RGB", (333, 250)))
    torch.testing.assert_close(found.boxes, torch.tensor([[33.3, 25, 333, 250]]))


def test_one_stage_models_are_given_images_alone(detector: Detector) -> None:
    detector.detect(picture())
    assert detector.model.sizes == [None]


def test_bf16(detector: Detector) -> None:
    seen = []
    detector.model.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    detector.detect(picture(), bf16=True)
    detector.detect(picture())
    assert seen == [True, False]


def test_results_can_be_changed(detector: Detector) -> None:
    found = detector.detect(picture())
    found.boxes.add_(1)  # a tensor of inference mode would refuse
    found.scores.mul_(2)
    assert found.boxes[0, 0] == 21


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 2), dtype=np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((3, 40, 50), dtype=np.uint8), r"give \(height, width, 3\)"),
        (np.zeros((2, 4, 4, 3), dtype=np.uint8), "list of images"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "no pixels"),
        (
            torch.zeros(3, 4, 4),
            r"a tensor of shape \(3, 4, 4\) is float32: an image holds uint8 values, 0 to 255; convert",
        ),
        (torch.full((3, 4, 4), torch.nan, requires_grad=True), "is float32"),
        (torch.zeros(3, 4, 4, dtype=torch.bfloat16), "is bfloat16"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "is bool"),
        (torch.zeros(3, 4, 4, dtype=torch.complex64), "is complex64"),
        (torch.zeros(12, dtype=torch.uint8), r"a tensor of shape \(12,\) is no image: give \(3, height, width\)"),
        (torch.zeros((), dtype=torch.uint8), r"a tensor of shape \(\) is no image"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8).to_sparse(), "is sparse: an image has a value for every pixel"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8, device="meta"), "is on the device meta"),
        (np.zeros((), dtype=np.uint8), "is no image"),
        (np.array([None]), "is object"),
        (iter([]), "list_iterator is no image: give a path, .* or a list of them"),
        (torch.zeros(40, 50, 3, dtype=torch.uint8), r"give \(3, height, width\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "list of images"),
        (torch.zeros(3, 0, 4, dtype=torch.uint8), "no pixels"),
        (Image.new("RGB", (0, 5)), "no pixels"),
        (None, "NoneType is no image"),
        (7, "int is no image"),
    ],
)
def test_what_is_no_image_is_refused(detector: Detector, given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        detector.detect(given)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=message):
        detector.detect([picture(), given])  # type: ignore[list-item]


def test_bad_paths_are_refused(detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("words")
    for path in (tmp_path, tmp_path / "none.jpg", tmp_path / "text.jpg"):
        with pytest.raises(InputError, match=str(path)):
            detector.detect(path)
    with pytest.raises(InputError, match="an empty path is no image"):
        detector.detect("")


def test_bad_numbers_are_refused(detector: Detector) -> None:
    for score in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="score"):
            detector.detect(picture(), score=score)
    with pytest.raises(InputError, match="batch_size"):
        detector.detect([], batch_size=0)


def test_numbers_of_numpys_are_numbers(detector: Detector) -> None:
    detector.model.config = SUPPRESSION
    pictures = [picture()] * 3
    found = detector.detect(pictures, np.float32(0.5), np.int64(2), scales=np.array([100, 120]))  # type: ignore[arg-type]
    assert [len(one) for one in found] == [1, 1, 1]
    assert [len(batch) for batch in detector.model.batches] == [1] * 6  # one at a time: 120 is larger
    for number in ("0.5", True, np.bool_(True), np.array([0.5, 0.6])):
        with pytest.raises(InputError, match="score is"):
            detector.detect(picture(), score=number)  # type: ignore[call-overload]
    for number in (2.0, "2", None):
        with pytest.raises(InputError, match="batch_size is"):
            detector.detect(pictures, batch_size=number)  # type: ignore[call-overload]


def test_detections_carry_the_datas_own_ids(detector: Detector) -> None:
    detector.model.config, detector.category_ids = SUPPRESSION, (7, 9)
    for passes in ({}, {"flip": True}, {"scales": [100, 120]}):
        found = detector.detect(picture(), **passes)  # type: ignore[call-overload]
        assert {row["category_id"] for row in found.to_coco()} == {9}


def test_pictures_are_kept_or_not(detector: Detector) -> None:
    whole, bare = detector.detect([picture()] * 2), detector.detect([picture()] * 2, keep_image=False)
    assert [one.image.size for one in whole if one.image] == [(200, 400)] * 2
    assert [one.image for one in bare] == [None, None]
    assert detector.detect(picture(), keep_image=False).image is None
    with pytest.raises(InputError, match="keep_image=False"):
        bare[0].draw()
    assert bare[0].draw(picture()).tobytes() == whole[0].draw().tobytes()


def test_a_list_without_pictures_is_decoded_batch_by_batch(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[weakref.ref[Image.Image]] = []
    most = 0

    def decode(path: object, least: int | None = None) -> Image.Image:
        nonlocal most
        one = picture()
        decoded.append(weakref.ref(one))
        most = max(most, sum(each() is not None for each in decoded))
        return one

    monkeypatch.setattr("vedette.infer.pictures.decode_image", decode)
    assert len(detector.detect(["a.jpg"] * 20, batch_size=2, keep_image=False)) == 20
    assert most <= 7  # those that wait, a batch, and the picture that begins the next


@pytest.mark.parametrize(
    ("sides", "batches"),
    [
        ([1, 1, 1, 1, 1], [3, 2]),  # by count
        ([6, 6, 6], [2, 1]),  # 72 pixels, 108 would be too many
        ([11, 1, 11, 11], [1, 1, 1, 1]),  # one alone may have more
        ([1, 9, 5, 1], [2, 2]),
        ([], []),
    ],
)
def test_batches_hold_so_many_pictures_or_pixels(
    monkeypatch: pytest.MonkeyPatch, sides: list[int], batches: list[int]
) -> None:
    monkeypatch.setattr("vedette.infer.pictures.MOST_PIXELS", 100)
    pictures = [Image.new("RGB", (side, side)) for side in sides]
    found = list(in_batches(pictures, 3))
    assert [len(batch) for batch in found] == batches
    assert [one for batch in found for one in batch] == pictures


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("toaster", "cuda:99"):
        with pytest.raises(InputError, match=f"device {name}: "):
            choose_device(name)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_an_apple_gpu_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vedette.cli.main import run

    with pytest.raises(InputError, match=r"^device mps: not on this machine; give one of cpu"):
        choose_device("mps")
    photo = Path(zoo.__file__).parent / "assets" / "demo" / "chelsea.jpg"
    assert run(["detect", str(photo), "--device", "mps", "--out", str(tmp_path / "found")]) == 2
    assert "device mps: not on this machine" in capsys.readouterr().err
