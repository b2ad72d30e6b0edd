"""Train a network for super-resolution on photographs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, FolderPath
from ctrecon.cli.training import check_output, facts_of, plan, run_training, training_options, write_trained

if TYPE_CHECKING:
    from ctrecon.applications.superresolution.network import LowResNet
    from ctrecon.networks.dncnn import DnCNN
    from ctrecon.training.loop import Trainer


@click.command(
    "train-superres", cls=Command,
    examples=(
        "ctrecon train-superres -o mine.safetensors --images photographs/",
    ),
)  # fmt: skip
@training_options(steps=12_000, batch=8, learning_rate=1e-3, gpu=True)
@click.option("--images", type=FolderPath, multiple=True, required=True, help="Folder of photographs; repeatable.")
@click.option("--held-out", type=FolderPath, multiple=True, help="Folder of test images: their copies are left out.")
@click.option("--scale", type=click.IntRange(2, 16), default=4, show_default=True, help="How much larger; whole.")
@click.option("--network", type=click.Choice(("lowres", "dncnn20")), default="lowres", show_default=True)
@click.option("--dncnn-weights", type=FilePath, help="With dncnn20: start from DnCNN-B (the authors' MATLAB file).")
@click.option("--one-pass", is_flag=True, help="The baseline: train for one pass from zero, not on the descent path.")
@click.option("--decibels", is_flag=True, help="Minimise what PSNR measures, for the end of a training.")
@click.option("--patch", type=click.IntRange(min=4), default=32, show_default=True, help="Side, at the low resolution.")
def command(
    output: Path, overwrite: bool, start: str | None, fresh: bool, curves: Path | None, note: tuple[str, ...],
    images: tuple[Path, ...],
    held_out: tuple[Path, ...], scale: int, network: str, dncnn_weights: Path | None, one_pass: bool, decibels: bool,
    patch: int, device: str, **plan_options: Any,
) -> None:
    """Train a network for super-resolution on the descent path, on the luminance of photographs.

    Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a checkpoint and a log; run the same command
    again to resume. Several GPUs: as for train-phantoms, by torchrun.
    """
    from ctrecon.applications.superresolution.path import SuperResolutionPool
    from ctrecon.errors import SettingError
    from ctrecon.training.held_out import read_training_images
    from ctrecon.training.loop import Trainer
    from ctrecon.training.processes import join, leave, local_device

    began = time.monotonic()
    check_output(output, curves, fresh=fresh, overwrite=overwrite)
    if dncnn_weights is not None and (network != "dncnn20" or start is not None):
        raise SettingError("--dncnn-weights goes with --network dncnn20, and without --start")
    how = plan(**plan_options)
    found = read_training_images(images, held_out)
    click.echo(f"{len(found.images)} images; {found.left_out} copies of held-out images left out")
    where = local_device(device)
    pool = SuperResolutionPool(
        found.images, scale, size=patch, most_steps=1 if one_pass else 8, decibels=decibels, device=where
    )
    trainer = Trainer(_network(network, start, dncnn_weights, scale).to(where), [pool], how, join(where))
    run_training(trainer, output, fresh=fresh, curves=curves, began=began)
    data = [f"{len(found.images)} photographs in {_names(images)}"]
    data.append(f"{found.left_out} of them left out, being copies of images in {_names(held_out)}")
    how_taught = {"one_pass": one_pass, "decibels": decibels}
    if trainer.together.leads:
        _finish(trainer, output, data + list(note), scale, how_taught)
    leave()


def _names(folders: tuple[Path, ...]) -> str:
    return ", ".join(f"{folder.parent.name}/{folder.name}" for folder in folders) or "no held-out folder"


def _network(name: str, start: str | None, dncnn_weights: Path | None, scale: int) -> LowResNet | DnCNN:
    from ctrecon.applications.superresolution.enlarge import NETWORKS
    from ctrecon.applications.superresolution.network import LowResNet, LowResNetShape
    from ctrecon.networks.dncnn import DnCNN, DnCNNShape
    from ctrecon.networks.pretrained import load_network
    from ctrecon.training.dncnn_start import dncnn_b

    if start is not None:
        return load_network(start, NETWORKS)[0].train().requires_grad_(True)
    if dncnn_weights is not None:
        return dncnn_b(dncnn_weights)
    if name == "dncnn20":
        return DnCNN(DnCNNShape(inputs=3, depth=20))
    return LowResNet(LowResNetShape(scale=scale))


def _finish(trainer: Trainer, output: Path, data: list[str], scale: int, how_taught: dict[str, bool]) -> None:
    from ctrecon.applications.superresolution.card import model_card

    card = {"data": data, "scale": scale, **how_taught, **facts_of(trainer)}
    write_trained(output, trainer, card, model_card(output.stem, trainer.network, card))
