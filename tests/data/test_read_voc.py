"""VOC XML: pixel numbers become edges; splits, classes, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vedette.data.draft import settle
from vedette.data.read_voc import VOC_CLASSES, voc_splits

Write = Callable[..., Path]
CAT = ("cat", 3, 4, 20, 25)


def found_in(folder: Path, split: str) -> list[tuple[str, str, str]]:
    findings = settle(voc_splits(folder)[split]())[1]
    return [(finding.kind, Path(finding.file).name, finding.detail) for finding in findings]


def test_a_box_covers_its_pixels(voc: Write) -> None:
    folder = voc({"a": [("cell", 1, 1, 1 + 1, 2), ("cell", 3, 4, 40, 30, 1), ("cell", 2.5, 0, 7, 8)]}, train="a")
    found, findings = settle(voc_splits(folder)["train"]())
    assert found.boxes(0).tolist() == [[0, 0, 2, 2], [2, 3, 40, 30], [1.5, 0, 7, 8]]
    assert found.difficult(0).tolist() == [False, True, False]
    assert findings == []
    assert found.size(0) == (40, 30)
    assert found.image_id(0) == "a"


def test_a_point_has_no_area(voc: Write) -> None:
    folder = voc({"a": [CAT, ("cat", 9, 9, 9, 9), ("cat", 9, 12, 15, 11)]}, train="a")
    assert found_in(folder, "train") == [
        ("degenerate box", "a.jpg", "object 2: cat at (9, 9, 9, 9)"),
        ("degenerate box", "a.jpg", "object 3: cat at (9, 12, 15, 11)"),
    ]


def test_splits_share_the_classes(voc: Write) -> None:
    folder = voc({"a": [("dog", 1, 1, 9, 9)], "b": [("axe", 1, 1, 9, 9)], "c": []}, train="a c", val="b", dog_train="a")
    splits = voc_splits(folder)
    assert list(splits) == ["train", "val"]
    train, val = settle(splits["train"]())[0], settle(splits["val"]())[0]
    assert train.classes == val.classes == ("axe", "dog")
    assert train.category_ids == (1, 2)
    assert [train.labels(0).tolist(), val.labels(0).tolist()] == [[1], [0]]
    assert [train.file(index).name for index in range(len(train))] == ["a.jpg", "c.jpg"]


def test_names_of_voc_stand_for_all_twenty(voc: Write) -> None:
    found = settle(voc_splits(voc({"a": [("tvmonitor", 1, 1, 9, 9)]}, val="a"))["val"]())[0]
    assert found.classes == VOC_CLASSES == tuple(sorted(VOC_CLASSES))
    assert len(VOC_CLASSES) == 20
    assert found.labels(0).tolist() == [19]


def test_without_lists_everything_is_the_split(voc: Write) -> None:
    assert len(voc_splits(voc({"a": [CAT], "b": []}))["all"]().files) == 2


def test_a_list_may_hold_more_than_ids(voc: Write) -> None:
    folder = voc({"a": [CAT]}, train="")
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a  1\n\n")
    assert len(voc_splits(folder)["train"]().files) == 1


def test_an_image_may_have_another_suffix_or_name(voc: Write, picture: Callable[..., Path]) -> None:
    folder = voc({"a": [CAT], "b": [CAT]}, train="a b")
    for name, other in (("a", "a.png"), ("b", "c.jpg")):
        (folder / "JPEGImages" / f"{name}.jpg").unlink()
        picture(folder / "JPEGImages" / other)
    text = (folder / "Annotations" / "b.xml").read_text()
    (folder / "Annotations" / "b.xml").write_text(text.replace("<size>", "<filename>c.jpg</filename><size>"))
    draft = voc_splits(folder)["train"]()
    assert [Path(file).name for file in draft.files] == ["a.png", "c.jpg"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("<annotation>\n<object></annotation>", "line 2, column 11: not XML (mismatched tag)"),
        ("<html></html>", "not a VOC annotation: the outermost element is 'html'"),
        ("", "line 1, column 1: not XML (no element found)"),
        ("<annotation><object><name> </name></object></annotation>", "object 1 has no name"),
        (
            "<annotation><object><name>cat</name><bndbox><xmin>x</xmin></bndbox></object></annotation>",
            "object 1, cat: xmin is 'x', not a number",
        ),
        (
            "<annotation><object><name>cat</name><bndbox><xmin>nan</xmin></bndbox></object></annotation>",
            "object 1, cat: xmin is 'nan', not a number",
        ),
        ("<annotation><object><name>cat</name></object></annotation>", "object 1, cat: xmin is None, not a number"),
    ],
)
def test_what_cannot_be_read_is_found(voc: Write, text: str, detail: str) -> None:
    folder = voc({"a": [CAT], "b": [CAT]}, train="a b")
    (folder / "Annotations" / "b.xml").write_text(text)
    assert ("annotation unreadable", "b.xml", detail) in found_in(folder, "train")


def test_missing_files_are_found(voc: Write) -> None:
    folder = voc({"a": [CAT], "b": [CAT]}, train="a b c")
    (folder / "JPEGImages" / "b.jpg").unlink()
    assert found_in(folder, "train") == [
        ("missing file", "c.xml", "no such annotation, but train lists it"),
        ("missing file", "b.jpg", "no such image file"),
    ]


def test_an_id_that_is_there_twice_is_found(voc: Write) -> None:
    assert found_in(voc({"a": [CAT]}, train="a a"), "train") == [
        ("annotation unreadable", "train.txt", "line 2: a is there twice")
    ]


def test_a_size_that_is_not_stated_is_measured(voc: Write) -> None:
    assert settle(voc_splits(voc({"a": [CAT]}, size=None, train="a"))["train"]())[0].size(0) == (40, 30)


def test_the_development_data(data_root: Path) -> None:
    found = settle(voc_splits(data_root / "voc100")["val"]())[0]
    assert (len(found), len(found.all_labels), int(found.all_flags.sum())) == (100, 273, 38)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("Yes", True), ("1", True), ("0", False), ("", False)])
def test_difficult_may_be_a_word(voc: Write, text: str, expected: bool) -> None:
    draft = voc_splits(voc({"a": [(*CAT, text)]}, train="a"))["train"]()
    assert (settle(draft)[0].difficult(0).tolist(), draft.findings) == ([expected], [])


def test_another_word_for_difficult_is_found(voc: Write) -> None:
    detail = "object 1, cat: difficult is 'rather', not 0 or 1"
    assert found_in(voc({"a": [(*CAT, "rather")]}, train="a"), "train") == [("annotation unreadable", "a.xml", detail)]


def test_a_list_may_start_with_a_byte_order_mark(voc: Write) -> None:
    folder = voc({"a": [CAT]}, train="a")
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8-sig")
    assert found_in(folder, "train") == []


def test_ids_may_hold_spaces_and_end_as_images_do(voc: Write) -> None:
    folder = voc({"a": [CAT], "my cat": [CAT], "b.jpg": [CAT], "c 1": [CAT], "d": [], "e": [CAT]}, train="")
    lines = ["a.JPG", "my cat", "b.jpg", "c 1", "d -1", "images/e.png"]
    file = folder / "ImageSets" / "Main" / "train.txt"
    file.write_text("\n".join(lines))
    found = voc_splits(folder)["train"]()
    assert found.ids == ["a", "my cat", "b.jpg", "c 1", "d", "e"]
    assert found.findings == []
    file.write_text("no cat.jpg\nf 1")
    missing = [name for _, name, _ in found_in(folder, "train")]
    assert missing == ["no cat.jpg.xml", "f.xml"]
