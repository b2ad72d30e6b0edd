"""``ctrecon train-phantoms``."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.options import FolderPath
from ctrecon.cli.training import (
    as_stored,
    check_output,
    facts_of,
    plan,
    run_training,
    training_options,
    write_trained,
)
from ctrecon.cli.training_time import Validation, less_scoring

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ctrecon.training.loop import Trainer
    from ctrecon.training.whole import TrainingData

NETWORKS = ("unet", "unet-large", "dncnn17")


@click.command("train-phantoms")
@training_options(steps=20_000, batch=4, learning_rate=1e-3, gpu=True)
@click.option("--network", type=click.Choice(NETWORKS), default="unet", show_default=True)
@click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient.")
@click.option("--ct-objects", type=FolderPath, help="Folder of .npz files, one object each, with an array hu in HU.")
@click.option("--images", type=FolderPath, multiple=True, help="Folder of natural images; may be given repeatedly.")
@click.option("--scanner", type=click.Choice(("random", "walnut")), default="random", show_default=True)
@click.option("--size", type=click.IntRange(16, 512), default=164, show_default=True, help="Of walnut and validation.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that draw phantoms. Default: none; on a GPU, "
              "one for each core but two.")
@click.option("--validation", type=click.IntRange(min=0), default=4, show_default=True, help="Images per set scored.")
@click.option("--validate-minutes", type=click.FloatRange(min=0, min_open=True), help="Also score every so often.")
def command(
    output: Path, overwrite: bool, network: str, start: str | None, fresh: bool, curves: Path | None,
    ct_slices: Path | None, ct_objects: Path | None, images: tuple[Path, ...], scanner: str, size: int,
    workers: int | None, validation: int, validate_minutes: float | None, device: str, note: tuple[str, ...],
    **plan_options: Any,
) -> None:
    """Train a network on the descent path (paper, section 4.2) on phantoms, and on CT slices and images where given.

    Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a checkpoint and a log; run the same command
    again to resume. Patients and objects of the test and validation splits are never trained on. --minutes is the time
    of the whole command, preparation and scores included. On several GPUs or machines:
    torchrun --nproc-per-node N -m ctrecon.cli.main train-phantoms --device cuda ...; --batch is that of each process.
    """
    from ctrecon.training.loop import Trainer
    from ctrecon.training.processes import join, leave, local_device
    from ctrecon.training.whole import Supply

    began = time.monotonic()
    check_output(output, overwrite=overwrite)
    how = plan(**plan_options)
    where = local_device(device)
    together = join(where)
    data, names = _data(ct_slices, ct_objects, images)
    asked = _network(network, start).to(where)

    def scores(network: nn.Module) -> dict[str, dict[str, dict[str, Any]]]:
        return _scores(network, ct_slices, size, validation, where)

    takes = 0.0
    if validation:
        how, takes, before = less_scoring(
            how, lambda: scores(copy.deepcopy(asked).eval().requires_grad_(False)), together=together, device=where
        )
        _say(before or {})
    if workers is None:
        workers = max(1, (os.cpu_count() or 1) - 2) if where.type == "cuda" else 0
    supply = Supply(
        data, how.batch, where, seed=how.seed + 1000 * together.rank, workers=workers,
        patient=how.minutes is None, one=_walnut(size) if scanner == "walnut" else None,
    )  # fmt: skip
    try:
        trainer = Trainer(asked, [supply.pool], how, together)
        measure = None
        if validate_minutes is not None and validation:
            measure = Validation(lambda network: _flat(scores(network)), validate_minutes, takes=takes)
        run_training(trainer, output, fresh=fresh, curves=curves, validation=measure, began=began)
    finally:
        supply.close()
    if together.leads:
        _finish(trainer, output, names + list(note), scores if validation else None, size)
    leave()


def _say(scores: dict[str, dict[str, dict[str, Any]]]) -> None:
    for name, row in scores.items():
        said = ", ".join(f"{one['mean']:.2f} dB at {level}" for level, one in row.items())
        click.echo(f"before training, {name}: {said}")


def _scores(
    network: nn.Module, ct_slices: Path | None, size: int, count: int, device: torch.device
) -> dict[str, dict[str, dict[str, Any]]]:
    from ctrecon.phantoms import FAMILIES
    from ctrecon.training.card import validation_scores

    families = [(family.name, family.sample) for family in FAMILIES]
    return validation_scores(network, families, ct_slices, size=size, count=count, device=device)


def _flat(scores: dict[str, dict[str, dict[str, Any]]]) -> dict[str, float]:
    return {
        f"PSNR in dB, {name}, {level} noise": one["mean"] for name, row in scores.items() for level, one in row.items()
    }


def _network(name: str, start: str | None) -> Any:
    from ctrecon.networks.dncnn import DnCNN, DnCNNShape
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.networks.unet import LARGE, UNet

    if start is not None:
        return load_ct_network(start)[0].train().requires_grad_(True)
    if name == "dncnn17":
        # Without the paper's biases, which would tie the weights to one unit of attenuation.
        return DnCNN(DnCNNShape(bias=False))
    return UNet(LARGE if name == "unet-large" else None)


def _walnut(size: int) -> Any:
    from ctrecon.simulation.scanners import walnut_scanner

    return walnut_scanner(size)


def _data(
    ct_slices: Path | None, ct_objects: Path | None, images: tuple[Path, ...]
) -> tuple[TrainingData, list[str]]:
    from ctrecon.phantoms import FAMILIES, Polygons
    from ctrecon.training.image_sets import read_ct_patients, read_natural_images
    from ctrecon.training.objects import read_objects
    from ctrecon.training.whole import TrainingData

    names = [f"phantoms ({', '.join(family.name for family in FAMILIES)})"]
    objects = []
    if ct_slices is not None:
        objects += read_ct_patients(ct_slices, "train")
        names.append(f"{sum(len(p.slices) for p in objects)} CT slices of the training patients in {ct_slices.name}")
    if ct_objects is not None:
        found = read_objects(ct_objects, "train")
        objects += found
        slices = sum(len(one.slices) for one in found)
        names.append(f"{slices} CT slices of {len(found)} objects in {ct_objects.name}")
    pictures = read_natural_images(images)
    if images:
        names.append(f"{len(pictures)} natural images in {', '.join(folder.name for folder in images)}")
    # Polygons twice as often: total variation is hardest to beat on them.
    samplers = [family.sample for family in (*FAMILIES, Polygons())]
    return TrainingData(samplers=samplers, objects=objects, pictures=pictures), names


def _finish(trainer: Trainer, output: Path, names: list[str], scores: Any, size: int) -> None:
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.training.card import model_card

    card = {"data": names, **facts_of(trainer), "size": size, "scores": {}}
    with as_stored(trainer, card) as stored:
        network, _ = load_ct_network(stored)
    if scores is not None:
        card["scores"] = scores(network.to(trainer.device))
    write_trained(output, trainer, card, model_card(output.stem, network, card))
