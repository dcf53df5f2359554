"""The reader of .caffemodel files, on files that google.protobuf writes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from vedette.errors import InputError
from vedette.weights.layouts.caffe_model import read_caffemodel

pytest.importorskip("google.protobuf", reason="the files are written with protobuf")
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
MESSAGES = {  # name: (field, number, type, repeated), from caffe.proto
    "BlobShape": [("dim", 1, FIELD.TYPE_INT64, True)],
    "BlobProto": [
        ("num", 1, FIELD.TYPE_INT32, False),
        ("channels", 2, FIELD.TYPE_INT32, False),
        ("height", 3, FIELD.TYPE_INT32, False),
        ("width", 4, FIELD.TYPE_INT32, False),
        ("data", 5, FIELD.TYPE_FLOAT, True),
        ("diff", 6, FIELD.TYPE_FLOAT, True),
        ("shape", 7, "BlobShape", False),
        ("double_data", 8, FIELD.TYPE_DOUBLE, True),
        ("double_diff", 9, FIELD.TYPE_DOUBLE, True),
    ],
    "LayerParameter": [
        ("name", 1, FIELD.TYPE_STRING, False),
        ("type", 2, FIELD.TYPE_STRING, False),
        ("bottom", 3, FIELD.TYPE_STRING, True),
        ("loss_weight", 5, FIELD.TYPE_FLOAT, True),
        ("blobs", 7, "BlobProto", True),
        ("phase", 10, FIELD.TYPE_INT32, False),
    ],
    "V1LayerParameter": [
        ("bottom", 2, FIELD.TYPE_STRING, True),
        ("name", 4, FIELD.TYPE_STRING, False),
        ("type", 5, FIELD.TYPE_INT32, False),
        ("blobs", 6, "BlobProto", True),
        ("blobs_lr", 7, FIELD.TYPE_FLOAT, True),
    ],
    "NetParameter": [
        ("name", 1, FIELD.TYPE_STRING, False),
        ("layers", 2, "V1LayerParameter", True),
        ("input", 3, FIELD.TYPE_STRING, True),
        ("input_dim", 4, FIELD.TYPE_INT32, True),
        ("layer", 100, "LayerParameter", True),
    ],
}


def net_parameter(packed: bool = True) -> Any:
    """An empty NetParameter."""
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe_{packed}.proto", package="caffe", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                added.type = kind
            if repeated and kind in (FIELD.TYPE_FLOAT, FIELD.TYPE_DOUBLE, FIELD.TYPE_INT64) and name.startswith("Blob"):
                added.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))()


def written(net: Any, folder: Path) -> Path:
    path = folder / "net.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("numbers", ["data", "double_data"])
@pytest.mark.parametrize("layers", ["layer", "layers"])
@pytest.mark.parametrize("shape", ["shape", "old"])
def test_every_form_of_a_blob(tmp_path: Path, packed: bool, numbers: str, layers: str, shape: str) -> None:
    net = net_parameter(packed)
    net.name = "a net"
    getattr(net, layers).add(name="data")
    layer = getattr(net, layers).add(name="conv", bottom=["data"])
    for sizes in ([2, 300, 1, 1], [1, 1, 1, 3]):
        blob = layer.blobs.add()
        count = torch.Size(sizes).numel()
        getattr(blob, numbers).extend(i / 4 for i in range(count))
        blob.diff.extend([9.0] * count)
        if shape == "shape":
            blob.shape.dim.extend(sizes)
        else:
            blob.num, blob.channels, blob.height, blob.width = sizes
    blobs = read_caffemodel(written(net, tmp_path))
    assert list(blobs) == ["conv[0]", "conv[1]"]
    assert blobs["conv[0]"].dtype == torch.float32
    torch.testing.assert_close(blobs["conv[0]"], torch.arange(600).view(2, 300, 1, 1) / 4)
    torch.testing.assert_close(blobs["conv[1]"], torch.arange(3).view(1, 1, 1, 3) / 4)


def test_blobs_of_one_and_of_no_dimension(tmp_path: Path) -> None:
    net = net_parameter()
    layer = net.layer.add(name="norm", type="Normalize", loss_weight=[1.0])
    layer.blobs.add(data=[1.0, 2.0]).shape.dim.append(2)
    layer.blobs.add(data=[5.0]).shape.SetInParent()
    blobs = read_caffemodel(written(net, tmp_path))
    assert blobs["norm[0]"].tolist() == [1, 2]
    assert blobs["norm[1]"].shape == ()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    net = net_parameter()
    net.layer.add(name="conv").blobs.add(data=[1.0, 2.0, 3.0]).shape.dim.append(3)
    path = written(net, tmp_path)
    content = path.read_bytes()
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        with pytest.raises(InputError, match=r"net\.caffemodel: not a \.caffemodel, or"):
            read_caffemodel(path)
    for other in (
        b"a text file\n" * 9,
        b"\x89HDF\r\n\x1a\n" + bytes(50),
        bytes(range(256)),
        b"\xff" * 40,
        b"PK\x03\x04",
    ):
        path.write_bytes(other)
        with pytest.raises(InputError, match=r"net\.caffemodel: not a \.caffemodel, or"):
            read_caffemodel(path)


def test_a_blob_whose_shape_tells_another_count_is_refused(tmp_path: Path) -> None:
    net = net_parameter()
    net.layer.add(name="conv").blobs.add(data=[1.0, 2.0, 3.0]).shape.dim.extend([2, 2])
    with pytest.raises(InputError, match=r"a blob of shape \(2, 2\) with 3 numbers"):
        read_caffemodel(written(net, tmp_path))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_caffemodel(tmp_path / "none.caffemodel")
    with pytest.raises(InputError, match="cannot be read"):
        read_caffemodel(tmp_path)
