"""A network of images on volumes: which slices it is shown, and that seeing more changes nothing before training."""

from pathlib import Path

import pytest
import torch

from ctrecon.errors import SettingError
from ctrecon.networks.pretrained import load_ct_network, load_network, save_network
from ctrecon.networks.slices import OneImage, SliceBySlice, fitted, slices_seen
from ctrecon.networks.unet import UNet, UNetShape

SMALL = UNetShape(widths=(4, 4, 4))


class Shape:
    slices = 5


class Spy(torch.nn.Module):
    """Notes what it is shown; answers with the last image."""

    shape = Shape()

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        return x[:, -1:]


def numbered(batch: int = 2, inputs: int = 3, slices: int = 6) -> torch.Tensor:
    """Each value says which sample, input and slice it belongs to."""
    place = torch.arange(batch)[:, None, None] * 100 + torch.arange(inputs)[:, None] * 10 + torch.arange(slices)
    return place[..., None, None].expand(-1, -1, -1, 2, 4).float()


@pytest.mark.parametrize("together", [8, 16, 1 << 18])
def test_neighbours_come_far_ones_first_and_the_slice_itself_last(together: int) -> None:
    spy, x = Spy(), numbered()
    answer = SliceBySlice(spy, together=together)(x)
    assert torch.equal(answer, x[:, -1:])
    shown = torch.stack([part.reshape(2, -1, 15, 2, 4) for part in spy.seen], 0) if together == 8 else None
    if shown is not None:
        # One slice at a time: of slice 3, its neighbours 1, 5, 2, 4 and itself, three images each.
        assert shown[3, 1, 0, :, 0, 0].tolist() == [100 + 10 * i + k for k in (1, 5, 2, 4, 3) for i in range(3)]
        # Beyond the ends stands the end.
        assert shown[0, 0, 0, :, 0, 0].tolist() == [10 * i + k for k in (0, 2, 0, 1, 0) for i in range(3)]


def test_an_image_is_its_own_neighbour() -> None:
    spy, x = Spy(), torch.rand(2, 3, 4, 6)
    assert torch.equal(OneImage(spy)(x), x[:, -1:])
    assert torch.equal(spy.seen[0], x.repeat(1, 5, 1, 1))
    plain = UNet(SMALL)
    assert fitted(plain, 2) is plain
    assert isinstance(fitted(spy, 2), OneImage)
    assert isinstance(fitted(plain, 3), SliceBySlice)


def test_a_network_that_is_made_to_see_more_answers_as_before_and_travels_in_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = UNet(SMALL)
    torch.nn.init.normal_(before.leave.weight, std=0.1)
    after = before.seeing(5)
    x = torch.rand(1, 5, 4, 9, 11)
    with torch.no_grad():
        assert torch.allclose(SliceBySlice(before)(x), SliceBySlice(after)(x), atol=1e-5)
        moved = after.enter.weight.clone()
        after.enter.weight[:, :4] += 0.3
        assert not torch.allclose(SliceBySlice(before)(x), SliceBySlice(after)(x), atol=1e-3)
        after.enter.weight.copy_(moved)
    save_network(tmp_path / "five.safetensors", after, after.state_dict(), {})
    again, _ = load_ct_network(tmp_path / "five.safetensors")
    assert slices_seen(again) == 5
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in after.state_dict().items())
    for wrong in (2, 4):
        with pytest.raises(SettingError, match="odd number"):
            before.seeing(wrong)
    with pytest.raises(SettingError, match="sees 5 slices"):
        after.seeing(3)


def test_weights_from_before_there_were_slices_see_one() -> None:
    assert slices_seen(load_network("ct-default", (UNet,))[0]) == 1
