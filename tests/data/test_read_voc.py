"""VOC XML: pixel numbers become edges; splits, classes, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vedette.data.draft import settle
from vedette.data.read import read_dataset
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
        ("corners exchanged", "a.jpg", "object 3: cat at (8, 10, 15, 12)"),
    ]


@pytest.mark.parametrize("corners", [(5, 6, 14, 15), (14, 6, 5, 15), (5, 15, 14, 6), (14, 15, 5, 6)])
def test_corners_in_any_order_are_the_same_pixels(voc: Write, corners: tuple[int, ...]) -> None:
    folder = voc({"a": [("cat", *corners)]}, train="a")
    assert settle(voc_splits(folder)["train"]())[0].boxes(0).tolist() == [[4, 5, 14, 15]]


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
        ("<annotation><object><name>cat</name></object></annotation>", "object 1, cat: there is no <bndbox>"),
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


def rewrite(folder: Path, key: str, old: str, new: str) -> Path:
    file = folder / "Annotations" / f"{key}.xml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_the_file_name_decides_between_pictures_of_one_name(
    voc: Write, picture: Callable[..., Path], name: str
) -> None:
    folder = voc({"a": [CAT]}, train="a")
    picture(folder / "JPEGImages" / "a.png")
    rewrite(folder, "a", "<size>", f"<filename>{name}</filename><size>")
    draft = voc_splits(folder)["train"]()
    assert ([Path(file).name for file in draft.files], draft.findings) == ([name], [])


def test_pictures_of_one_name_collide(voc: Write, picture: Callable[..., Path]) -> None:
    folder = voc({"a": [CAT]}, train="a")
    picture(folder / "JPEGImages" / "a.png")
    detail = "of a.jpg or of a.png? Say so in <filename>, or rename one"
    assert found_in(folder, "train") == [("name collision", "a.xml", detail)]


def test_annotations_of_one_picture_collide(voc: Write) -> None:
    folder = voc({"a": [CAT], "b": [CAT]}, train="a b")
    (folder / "JPEGImages" / "b.jpg").unlink()
    rewrite(folder, "b", "<size>", "<filename>a.jpg</filename><size>")
    assert ("name collision", "b.xml", "a is an annotation of a.jpg too") in found_in(folder, "train")
    (folder / "Annotations" / "a.XML").write_text((folder / "Annotations" / "a.xml").read_text())
    assert ("name collision", "a.XML", "a.xml is of the same name; keep one of the two") in found_in(folder, "train")


def test_names_may_be_in_capitals_and_in_subfolders(voc: Write) -> None:
    folder = voc({"a": [CAT], "b": [CAT], "c": [CAT]}, train="a b sub/c")
    annotations, pictures = folder / "Annotations", folder / "JPEGImages"
    (annotations / "a.xml").rename(annotations / "a.XML")
    for inner in (annotations / "sub", pictures / "sub"):
        inner.mkdir()
    (annotations / "b.xml").rename(annotations / "sub/b.xml")
    (annotations / "c.xml").rename(annotations / "sub/c.xml")
    (pictures / "c.jpg").rename(pictures / "sub/c.JPG")
    (folder / "ImageSets/Main/train.txt").rename(folder / "ImageSets/Main/train.TXT")
    draft = voc_splits(folder)["train"]()
    assert (draft.ids, len(draft.labels), draft.findings) == (["a", "sub/b", "sub/c"], 3, [])
    assert found_in(folder, "train") == []


def test_a_name_in_two_folders_is_found(voc: Write) -> None:
    folder = voc({"a": [CAT]}, train="a")
    for inner in ("x", "y"):
        (folder / "Annotations" / inner).mkdir()
        (folder / "Annotations" / inner / "b.xml").write_text((folder / "Annotations/a.xml").read_text())
    (folder / "ImageSets/Main/train.txt").write_text("b\n")
    assert ("name collision", "train.txt", "line 1: x/b or y/b? Name the folder too") in found_in(folder, "train")


def test_hidden_files_are_no_data(voc: Write) -> None:
    folder = voc({"a": [CAT]})
    for name in ("._a.xml", ".ipynb_checkpoints/a-checkpoint.xml"):
        (folder / "Annotations" / name).parent.mkdir(exist_ok=True)
        (folder / "Annotations" / name).write_text("no XML")
    (folder / "ImageSets/Main/._train.txt").write_text("a")
    assert list(voc_splits(folder)) == ["all"]
    assert found_in(folder, "all") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<object>", "<objects><object>"),
        ("object>", "Object>"),
        ("xmin>", "XMin>"),
        ("<annotation", "<Annotation xmlns='v'"),
    ],
)
def test_elements_that_are_written_otherwise_are_read(voc: Write, old: str, new: str) -> None:
    folder = rewrite(voc({"a": [CAT]}, train="a"), "a", old, new)
    rewrite(folder, "a", "</annotation>", "</objects></annotation>" if "objects" in new else "</annotation>")
    if "Annotation" in new:
        rewrite(folder, "a", "</annotation>", "</Annotation>")
    found, findings = settle(voc_splits(folder)["train"]())
    assert (found.boxes(0).tolist(), findings) == ([[2, 3, 20, 25]], [])


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("</object>", f"{BOX}</object>", "object 1, cat: there are 2 <bndbox>, where one alone is read"),
        ("<xmin>", "<xmin>7</xmin><xmin>", "object 1, cat: there are 2 <xmin>, where one alone is read"),
        ("</name>", "</name><name>dog</name>", "object 1: there are 2 <name>, where one alone is read"),
        ("</size>", "</size><size><width>1</width></size>", "there are 2 <size>, where one alone is read"),
        ("</object>", f"</object>{BOX}", "1 box elsewhere than VOC has them"),
        ("</annotation>", f"<items><item>{BOX}</item></items></annotation>", "1 box elsewhere than VOC"),
        ("</object>", "<object><name>dog</name></object></object>", "1 object elsewhere than VOC has them"),
        ("<xmin>3", "<xmin>1_0", "object 1, cat: xmin is '1_0', not a number"),
    ],
)
def test_what_would_be_lost_is_found(voc: Write, old: str, new: str, detail: str) -> None:
    ((kind, name, said), *_) = found_in(rewrite(voc({"a": [CAT]}, train="a"), "a", old, new), "train")
    assert (kind, name) == ("annotation unreadable", "a.xml")
    assert said.startswith(detail)


def test_the_parts_of_a_body_are_no_objects(voc: Write) -> None:
    folder = rewrite(voc({"a": [CAT]}, train="a"), "a", "</object>", f"<part><name>head</name>{BOX}</part></object>")
    draft = voc_splits(folder)["train"]()
    assert (len(draft.labels), draft.findings) == (1, [])


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("gbk", "gbk"), ("GB2312", "gb18030"), ("Shift_JIS", "shift_jis"), ("UTF-16", "utf-8"), ("utf-16", "utf-16")],
)
def test_xml_may_be_in_the_encoding_that_it_declares(voc: Write, declared: str, encoding: str) -> None:
    folder = voc({"a": [("dog", *CAT[1:])]}, train="a")
    file = folder / "Annotations" / "a.xml"
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + file.read_text().replace("dog", "犬")
    file.write_bytes(text.encode(encoding))
    draft = voc_splits(folder)["train"]()
    assert (draft.classes, draft.findings) == (("犬",), [])


@pytest.mark.parametrize("text", ['<?xml version="1.0" encoding="rot13"?><annotation/>', "<object>" * 100000, "<a>\0"])
def test_any_xml_is_one_finding(voc: Write, text: str) -> None:
    folder = voc({"a": [CAT]}, train="a")
    (folder / "Annotations" / "a.xml").write_text(text)
    assert [kind for kind, _, _ in found_in(folder, "train")] == ["annotation unreadable", "image without boxes"]


def test_names_may_be_composed_otherwise_on_the_disk(voc: Write) -> None:
    one, two = "caf\u00e9", "cafe\u0301"
    folder = voc({two: [CAT]}, train=one)
    (folder / "JPEGImages" / f"{two}.jpg").rename(folder / "JPEGImages" / f"{one}.jpg")
    assert found_in(folder, "train") == []


def test_pictures_may_lie_in_images(voc: Write) -> None:
    folder = voc({"a": [CAT]}, train="a")
    (folder / "JPEGImages").rename(folder / "images")
    assert found_in(folder, "train") == []


def test_fractions_are_no_pixels(voc: Write) -> None:
    folder = voc({"a": [("cat", 0.1, 0.2, 0.5, 0.6)], "b": [("cat", 1, 1, 2, 2), ("cat", 1, 1, 1.5, 1)]}, train="a b")
    ((kind, name, detail),) = [one for one in found_in(folder, "train") if one[0] != "degenerate box"]
    assert (kind, name) == ("wrong unit", "a.jpg")
    assert detail == "object 1: cat at (0, 0, 0.5, 0.6): fractions of the image, where pixels are due"


def test_a_rotated_box_is_called_so(voc: Write) -> None:
    folder = voc({"a": []}, train="a")
    text = "<object><name>cat</name><robndbox><cx>9</cx><cy>9</cy><w>4</w><h>4</h><angle>0</angle></robndbox></object>"
    (folder / "Annotations" / "a.xml").write_text(f"<annotation>{text}</annotation>")
    detail = "object 1, cat: there is no <bndbox>, but a rotated <robndbox>; write the box around it"
    assert ("annotation unreadable", "a.xml", detail) in found_in(folder, "train")


def test_the_folder_of_annotations_may_be_in_small_letters(voc: Write) -> None:
    folder = voc({"a": [CAT]})
    (folder / "Annotations").rename(folder / "annotations")
    (folder / "JPEGImages").rename(folder / "images")
    found = read_dataset(folder)
    assert (found.file(0).name, found.boxes(0).tolist()) == ("a.jpg", [[2, 3, 20, 25]])


def test_a_split_may_be_called_after_another(voc: Write) -> None:
    folder = voc({"a": [CAT], "b": [CAT]}, train="a", night_train="b", cat_train="a", sofa_train="a")
    assert list(voc_splits(folder)) == ["night_train", "train"]


def test_two_names_of_the_file_are_found(voc: Write) -> None:
    folder = rewrite(
        voc({"a": [CAT]}, train="a"), "a", "<size>", "<filename>a.jpg</filename><filename>b.jpg</filename><size>"
    )
    assert found_in(folder, "train") == [
        ("annotation unreadable", "a.xml", "there are 2 <filename>, where one alone is read")
    ]
