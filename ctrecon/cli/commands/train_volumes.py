"""Train a network that sees neighbouring slices of volumes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FolderPath
from ctrecon.cli.training import as_stored, check_output, facts_of, plan, run_training, training_options, write_trained


@click.command("train-volumes", cls=Command, examples=("ctrecon train-volumes -o mine.safetensors --minutes 60",))
@training_options(steps=20_000, batch=4, learning_rate=4e-4)
@click.option("--slices", type=click.IntRange(3, 9), default=5, show_default=True, help="Neighbouring slices that the "
              "network sees at once, an odd number.")
@click.option("--size", type=click.IntRange(16, 512), default=128, show_default=True, help="Of the largest slices.")
@click.option("--ct-objects", type=FolderPath, help="Folder of .npz files, one object each, with an array hu in HU.")
def command(
    output: Path, overwrite: bool, start: str | None, fresh: bool, curves: Path | None, slices: int,
    size: int, ct_objects: Path | None, note: tuple[str, ...], **plan_options: Any,
) -> None:
    """Train a network that sees neighbouring slices, on bodies in space and, where given, slabs of CT objects.

    Bodies are measured exactly by cones and level rays. --start takes a network of images, like ct-default, on. Writes
    what train-phantoms writes, and goes on like it; --batch is that of 164 x 164 pixels. On the processor alone. Scores
    are those of ctrecon reproduce volumes --prior OUTPUT.
    """
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.phantoms.bodies import BODIES
    from ctrecon.training.card import model_card
    from ctrecon.training.loop import Trainer
    from ctrecon.training.objects import read_objects
    from ctrecon.training.path import PathPool
    from ctrecon.training.volumes import VolumeStarts

    began = time.monotonic()
    check_output(output, curves, fresh=fresh, overwrite=overwrite)
    how = plan(**plan_options)
    network = _network(start, slices)
    objects = [] if ct_objects is None else read_objects(ct_objects, "train")
    names = [f"bodies in space ({', '.join(family.name for family in BODIES)})"]
    if ct_objects is not None:
        names.append(f"slabs of {sum(len(one.slices) > 2 for one in objects)} objects in {ct_objects.name}")
    starts = VolumeStarts([family.sample for family in BODIES], objects, size=size)
    trainer = Trainer(network, [PathPool(starts, lanes=4, by_cost=True)], how)
    run_training(trainer, output, fresh=fresh, curves=curves, began=began)
    card = {"data": names + list(note), **facts_of(trainer), "size": size, "scores": {}}
    with as_stored(trainer, card) as stored:
        stored_network, _ = load_ct_network(stored)
    write_trained(output, trainer, card, model_card(output.stem, stored_network, card))


def _network(start: str | None, slices: int) -> Any:
    """A fresh one, or that of ``start`` made to see more."""
    from ctrecon.errors import SettingError
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.networks.unet import UNet, UNetShape

    if start is None:
        return UNet(UNetShape(slices=slices))
    found = load_ct_network(start)[0]
    if not isinstance(found, UNet):
        raise SettingError(f"--start {start} is a {found.kind}, and only a unet can be made to see {slices} slices")
    return found.seeing(slices).train().requires_grad_(True)
