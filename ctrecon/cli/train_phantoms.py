"""``ctrecon train-phantoms``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.options import FolderPath
from ctrecon.cli.training import (
    Validation,
    as_stored,
    check_output,
    facts_of,
    plan,
    run_training,
    training_options,
    write_trained,
)

if TYPE_CHECKING:
    from torch import nn

    from ctrecon.training.data import Source
    from ctrecon.training.loop import Trainer


@click.command("train-phantoms")
@training_options(steps=20_000, batch=4, learning_rate=1e-3, gpu=True)
@click.option("--network", type=click.Choice(("unet", "dncnn17")), default="unet", show_default=True)
@click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient.")
@click.option("--images", type=FolderPath, multiple=True, help="Folder of natural images; may be given repeatedly.")
@click.option("--scanner", type=click.Choice(("many", "walnut")), default="many", show_default=True)
@click.option("--size", type=click.IntRange(16, 512), default=164, show_default=True, help="Of walnut and validation.")
@click.option("--validation", type=click.IntRange(min=1), default=4, show_default=True, help="Images per set scored.")
@click.option("--validate-minutes", type=click.FloatRange(min=0, min_open=True), help="Also score every so often.")
def command(
    output: Path, overwrite: bool, network: str, start: str | None, fresh: bool, curves: Path | None,
    ct_slices: Path | None,
    images: tuple[Path, ...], scanner: str, size: int, validation: int, validate_minutes: float | None, device: str,
    note: tuple[str, ...], **plan_options: Any,
) -> None:
    """Train a network on the descent path (paper, section 4.2) on phantoms, and on CT slices and images where given.

    Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a checkpoint and a log; run the same command
    again to resume. Patients of the test and validation splits are never trained on. On several GPUs or machines:
    torchrun --nproc-per-node N -m ctrecon.cli.main train-phantoms --device cuda ...; --batch is that of each process.
    """
    from ctrecon.training.data import RandomNoise
    from ctrecon.training.loop import Trainer
    from ctrecon.training.path import PathPool
    from ctrecon.training.processes import join, leave, local_device

    check_output(output, overwrite=overwrite)
    how = plan(**plan_options)
    where = local_device(device)
    source, names = _sources(ct_slices, images)
    problems = [replace(problem, device=str(where)) for problem in _problems(scanner, size, how.seed)]
    pools = [PathPool(problem, source, RandomNoise()) for problem in problems]
    trainer = Trainer(_network(network, start).to(where), pools, how, join(where))
    measure = None
    if validate_minutes is not None:
        measure = Validation(lambda asked: _scores(asked, ct_slices, size, validation), validate_minutes)
    run_training(trainer, output, fresh=fresh, curves=curves, validation=measure)
    if trainer.together.leads:
        _finish(trainer, output, names + list(note), ct_slices, size, validation)
    leave()


def _scores(network: nn.Module, ct_slices: Path | None, size: int, count: int) -> dict[str, float]:
    from ctrecon.phantoms import FAMILIES
    from ctrecon.training.card import validation_scores

    families = [(family.name, family.sample) for family in FAMILIES]
    scores = validation_scores(network.cpu(), families, ct_slices, size=size, count=count)
    return {f"PSNR in dB, {name}, {level} noise": dB for name, row in scores.items() for level, dB in row.items()}


def _network(name: str, start: str | None) -> Any:
    from ctrecon.networks.dncnn import DnCNN, DnCNNShape
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.networks.unet import UNet

    if start is not None:
        return load_ct_network(start)[0].train().requires_grad_(True)
    # Without the paper's biases, which would tie the weights to one unit of attenuation.
    return UNet() if name == "unet" else DnCNN(DnCNNShape(bias=False))


def _problems(scanner: str, size: int, seed: int) -> Any:
    from ctrecon.simulation.scanners import training_scanners, walnut_scanner

    return training_scanners(seed) if scanner == "many" else (walnut_scanner(size),)


def _sources(ct_slices: Path | None, images: tuple[Path, ...]) -> tuple[Source, list[str]]:
    from ctrecon.phantoms import FAMILIES, Polygons
    from ctrecon.training.data import ImageSource, Mixture, PhantomSource
    from ctrecon.training.image_sets import read_ct_slices, read_natural_images

    # Polygons twice as often: total variation is hardest to beat on them.
    samplers = [family.sample for family in (*FAMILIES, Polygons())]
    parts: list[tuple[float, Source]] = [(0.36, PhantomSource(samplers))]
    names = [f"phantoms ({', '.join(family.name for family in FAMILIES)})"]
    if ct_slices is not None:
        slices = read_ct_slices(ct_slices, "train")
        parts.append((0.44, ImageSource(slices, zoom=(0.3, 1.05), masked=0.85)))
        names.append(f"{len(slices)} CT slices of the training patients in {ct_slices.name}")
    if images:
        pictures = read_natural_images(images)
        parts.append((0.20, ImageSource(pictures, zoom=(0.4, 1.0), masked=0.8)))
        names.append(f"{len(pictures)} natural images in {', '.join(folder.name for folder in images)}")
    return Mixture(tuple(parts)), names


def _finish(
    trainer: Trainer, output: Path, names: list[str], ct_slices: Path | None, size: int, validation: int
) -> None:
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.phantoms import FAMILIES
    from ctrecon.training.card import model_card, validation_scores

    card = {"data": names, **facts_of(trainer)}
    with as_stored(trainer, card) as stored:
        network, _ = load_ct_network(stored)
    families = [(family.name, family.sample) for family in FAMILIES]
    card["size"] = size
    card["scores"] = validation_scores(network, families, ct_slices, size=size, count=validation)
    write_trained(output, trainer, card, model_card(output.stem, network, card))
