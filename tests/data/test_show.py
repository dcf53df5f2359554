"""What is on a contact sheet, and in which order."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.show import SIDE, show
from vedette.errors import InputError
from vedette.pages.boxes import colour_of

Write = Callable[..., Path]


def names(sheet) -> list[str]:
    return [Path(file).name for file in sheet.files]


@pytest.fixture
def many(coco: Write, picture: Callable[..., Path]) -> Path:
    """Ten images; the first of them shows a dog and a bicycle, the fourth a bicycle."""

    def change(content: dict) -> None:
        content["images"] = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(10)]
        for number, (image, category) in enumerate([(0, 18), (0, 2), (3, 2)]):
            content["annotations"][number].update(image_id=image, category_id=category)

    source = coco([[20, 5, 10, 20], [2, 12, 10, 10], [20, 5, 10, 20]], change=change)
    for number in range(10):
        picture(source / "images" / f"{number}.png")
    return source


def test_the_seed_draws_and_the_count_ends(many: Path) -> None:
    first, again, other = (names(show(many, count=4, seed=seed)) for seed in (0, 0, 1))
    assert len(set(first)) == 4
    assert first == again != other
    assert sorted(names(show(many, count=400))) == [f"{n}.png" for n in range(10)]


def test_classes_choose_pictures_and_boxes(many: Path) -> None:
    assert sorted(names(show(many, classes=["bicycle"]))) == ["0.png", "3.png"]
    sheet = show(many, classes=["dog"])
    assert names(sheet) == ["0.png"]
    colours = {colour for _, colour in sheet.picture.getcolors(1 << 16)}
    assert colour_of(1) in colours
    assert colour_of(0) not in colours  # the bicycle's
    with pytest.raises(InputError, match="there is no such class; there is bicycle, dog"):
        show(many, classes=["cat"])
    with pytest.raises(InputError, match=r"--classes bycicle: there is no such class; did you mean bicycle\?"):
        show(many, classes=["bycicle"])


def test_a_box_lies_where_it_is_annotated(many: Path) -> None:
    """20 5 30 25 of a picture of 40 x 30, which is 320 pixels wide on the sheet."""
    picture = show(many, classes=["dog"]).picture.convert("RGB")
    inside = [(x, y) for x in range(4, 324) for y in range(4, 244) if picture.getpixel((x, y)) == colour_of(1)]
    right, bottom = max(x for x, _ in inside), max(y for _, y in inside)
    assert abs(right - 4 - 30 * SIDE / 40) <= 1
    assert abs(bottom - 4 - 25 * SIDE / 40) <= 1


def test_pictures_with_faults_come_first(coco: Write, picture: Callable[..., Path]) -> None:
    def change(content: dict) -> None:
        content["images"] += [{"id": 20 + n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(20)]
        content["annotations"].append({"id": 9, "image_id": 33, "category_id": 2, "bbox": [1, 1, 0, 5]})

    source = coco(change=change)
    for number in range(20):
        picture(source / "images" / f"{number}.png")
    assert all(names(show(source, count=3, seed=seed, faults=True))[0] == "13.png" for seed in range(3))
    assert any(names(show(source, count=3, seed=seed))[0] != "13.png" for seed in range(3))


def test_what_cannot_be_read_is_said(many: Path) -> None:
    (many / "images" / "0.png").write_text("no picture")
    sheet = show(many)
    assert len(sheet.files) == 9
    assert "0.png" in sheet.unreadable[0]
    with pytest.raises(InputError, match=r"no picture to show .*0\.png"):
        show(many, classes=["dog"])


def test_one_picture_at_a_time_is_held(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[object] = []
    image = Dataset.image

    def counted(self: Dataset, index: int):
        import weakref

        picture = image(self, index)
        alive.append(weakref.ref(picture))
        assert sum(one() is not None for one in alive) <= 2
        return picture

    monkeypatch.setattr(Dataset, "image", counted)
    assert len(show(many).files) == 10


def test_classes_are_told_apart_for_want_of_a_font(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads((many / "train.json").read_text())
    content["categories"] = [{"id": 2, "name": "\U000f0001"}, {"id": 18, "name": "\U000f0002 dog"}]  # no font has these
    (many / "train.json").write_text(json.dumps(content))
    written: set[str] = set()

    def draw(image: Image.Image, boxes: list, names: list[str], labels: list[int], dashed: list[bool]) -> Image.Image:
        written.update(names)
        return image

    monkeypatch.setattr("vedette.data.show.draw_boxes", draw)
    show(many)
    assert written == {"class 0", "dog (class 1)"}
