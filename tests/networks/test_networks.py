"""Networks: homogeneous where promised, any size, and weight files that cannot lie."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ctrecon.errors import SettingError, WeightsError
from ctrecon.networks.dncnn import DnCNN, DnCNNShape
from ctrecon.networks.pretrained import load_ct_network, load_network, save_network
from ctrecon.networks.unet import UNet, UNetShape

SMALL = UNetShape(widths=(8, 12, 16), blocks=(1, 1, 1))


def awake(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere, also where a fresh network has zeros."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize("size", [(8, 8), (33, 47), (1, 5), (164, 164)])
@pytest.mark.parametrize("network", [UNet(SMALL), DnCNN(DnCNNShape(depth=4, width=8))], ids=["unet", "dncnn"])
def test_a_fresh_network_returns_its_last_input_at_any_size(network: torch.nn.Module, size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(1))
    assert torch.equal(network(x), x[:, -1:])


def test_the_unet_is_homogeneous_and_the_dncnn_with_biases_is_not() -> None:
    x = torch.randn(1, 5, 24, 40, generator=torch.Generator().manual_seed(2))
    for network, holds in (
        (awake(UNet(SMALL)), True),
        (awake(DnCNN(DnCNNShape(depth=4, width=8, bias=False))), True),
        (awake(DnCNN(DnCNNShape(depth=4, width=8))), False),
    ):
        scaled = network(1000 * x)
        assert torch.allclose(scaled, 1000 * network(x), rtol=1e-4, atol=1e-2) is holds


def test_weights_come_back_equal(tmp_path: Path) -> None:
    network = awake(UNet(SMALL))
    path = tmp_path / "net.safetensors"
    save_network(path, network, network.state_dict(), {"seed": 3})
    again, card = load_network(path, [UNet])
    assert card == {"seed": 3}
    assert isinstance(again, UNet)
    assert again.shape == SMALL
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def _tampered(path: Path, **changes: object) -> Path:
    """The same file with its header changed."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["ctrecon"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    header |= changes
    other = path.with_name(f"tampered-{len(list(path.parent.iterdir()))}.safetensors")
    save_file(tensors, other, metadata={"ctrecon": json.dumps(header)})
    return other


def test_files_that_are_not_what_they_say_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    network = awake(UNet(SMALL))
    save_network(path, network, network.state_dict(), {})
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(3)}, plain)
    bad = {name: value.clone() for name, value in network.state_dict().items()}
    bad["leave.weight"][0, 0, 0, 0] = float("nan")
    nan = tmp_path / "nan.safetensors"
    save_network(nan, network, bad, {})
    old, three = tmp_path / "old.safetensors", UNet(UNetShape(inputs=3, widths=(8, 12, 16), blocks=(1, 1, 1)))
    save_network(old, three, three.state_dict(), {})
    shape = {"inputs": 5, "widths": [8, 12, 16], "blocks": [1, 1, 1]}
    for file, words in (
        (text, "no safetensors"),
        (cut, "no safetensors"),
        (plain, "does not say"),
        (nan, "not finite"),
        (_tampered(path, format="other/1"), "does not say"),
        (_tampered(path, architecture="transformer"), "transformer"),
        (_tampered(path, shape={**shape, "widths": [8, 12, 10**9]}), "widths"),
        (_tampered(path, shape={**shape, "widths": [8, 12]}), "widths"),
        (_tampered(path, shape={**shape, "widths": [8, 12, 17]}), "another shape"),
        (_tampered(path, shape={**shape, "blocks": [1, 1, 2]}), "does not fit"),
        (_tampered(path, shape={**shape, "inputs": 3}), "another shape"),
        (old, "takes 3 inputs"),
        (_tampered(path, shape={**shape, "widths": 8}), "widths"),
        (_tampered(path, shape={**shape, "inputs": True}), "inputs"),
        (_tampered(path, shape={**shape, "blocks": [0, 1, 1]}), "blocks"),
        (_tampered(path, shape={**shape, "widths": [4096, 4096, 4096], "blocks": [200, 200, 200]}), "fit"),
        (_tampered(path, shape="x"), "shape"),
        ("no-such-network", "no-such-network"),
        ("../weights/ct-default", "no network"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_ct_network(file)


def test_only_the_architectures_asked_for_are_loaded(tmp_path: Path) -> None:
    path, network = tmp_path / "net.safetensors", UNet(SMALL)
    save_network(path, network, network.state_dict(), {})
    with pytest.raises(WeightsError, match="'unet'; what can be used here: dncnn"):
        load_network(path, [DnCNN])


def test_a_network_needs_data() -> None:
    from ctrecon.energies.huber_tv import HuberTV
    from ctrecon.networks.direction import NetworkDirection

    energy, zero = HuberTV(0.1), torch.zeros(1, 1, 8, 8)
    with pytest.raises(SettingError, match="data"):
        NetworkDirection(UNet(SMALL), energy, lambda r: r, zero)(energy.at(zero))


@pytest.mark.parametrize("name", ["ct-default", "dncnn17"])
def test_shipped_networks_are_small_and_homogeneous_and_have_a_card(name: str) -> None:
    folder = resources.files("ctrecon.networks") / "weights"
    weights, card = Path(str(folder / f"{name}.safetensors")), (folder / f"{name}.md").read_text(encoding="utf-8")
    assert weights.stat().st_size < 8_000_000
    for word in ("licences: ", "- seed ", " hours, ", "`ctrecon train-phantoms ", "| CT slices", "## Limits"):
        assert word in card, word
    network, _ = load_ct_network(name)
    x = torch.randn(1, 5, 24, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(1e3 * x), 1e3 * network(x), rtol=1e-4, atol=1e-2)
        assert not torch.allclose(network(x), x[:, -1:], atol=1e-3)


def test_shipped_weights_of_volumes_see_five_slices_and_are_homogeneous() -> None:
    network, card = load_ct_network("ct-volume")
    assert isinstance(network, UNet)
    assert network.shape.slices == 5
    assert "train-volumes" in card["command"]
    x = torch.randn(1, 25, 24, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(1e3 * x), 1e3 * network(x), rtol=1e-4, atol=1e-2)


def test_loading_weights_leaves_the_random_numbers_of_the_caller_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_ct_network("ct-default")
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(3)
    UNet(UNetShape())
    assert not torch.equal(torch.rand(2), expected), "a new network draws its weights"
