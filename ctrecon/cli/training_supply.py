"""What the commands share that train on phantoms, CT slices and images: the options, the data, and the run itself."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ctrecon.cli.options import FilePath, FolderPath
from ctrecon.cli.training import as_stored, check_output, facts_of, plan, run_training, write_trained
from ctrecon.cli.training_scanners import read_families, read_scanners, scan_in_words
from ctrecon.cli.training_time import Validation, less_scoring

if TYPE_CHECKING:
    from torch import nn

    from ctrecon.simulation.own_family import OwnFamily
    from ctrecon.simulation.scanners import Scanner
    from ctrecon.training.card import Sampler, Scores
    from ctrecon.training.whole import TrainingData

F = TypeVar("F", bound=Callable[..., Any])


def supply_options(function: F) -> F:
    """What to train on, for which scanner, and how to score."""
    for option in reversed(
        (
            click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient."),
            click.option("--ct-objects", type=FolderPath,
                         help="Folder of .npz files, one object each, with an array hu in HU."),
            click.option("--images", type=FolderPath, multiple=True,
                         help="Folder of natural images; may be given repeatedly."),
            click.option("--phantoms", "phantom_files", type=FilePath, multiple=True, metavar="FILE.py",
                         help="Phantoms of your own instead of ours: a Python file with sample(rng), which is run. May "
                         "be given repeatedly."),
            click.option("--scanner", "scanners", multiple=True, default=("random",), metavar="random|walnut|FILE",
                         help="Or those of a scan, a geometry (.json), or all .json of a folder. May be given "
                         "repeatedly.  [default: random]"),
            click.option("--size", type=click.IntRange(16, 512), default=164, show_default=True,
                         help="Of walnut, of scanners by FILE and of validation."),
            click.option("--workers", type=click.IntRange(min=0), help="Processes that draw phantoms. Default: none; "
                         "on a GPU, one for each core but two."),
            click.option("--validation", type=click.IntRange(min=0), default=4, show_default=True,
                         help="Images per set scored."),
            click.option("--validate-minutes", type=click.FloatRange(min=0, min_open=True),
                         help="Also score every so often."),
        )
    ):
        function = option(function)
    return function


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What differs between these commands.

    ``network`` makes it; ``supply`` feeds it, called as ``ctrecon.training.whole.Supply``; ``scores`` takes a network,
    the families of phantoms, the folder of CT slices, the scanner and the count; ``load`` reads weights; ``card``
    writes the model card.
    """

    network: Callable[[], Any]
    supply: Callable[..., Any]
    scores: Callable[[nn.Module, Sequence[tuple[str, Sampler]], Path | None, Scanner, int], Scores]
    load: Callable[[Path], tuple[Any, dict[str, Any]]]
    card: Callable[[str, Any, dict[str, Any]], str]


def train(
    learner: Learner, *, output: Path, overwrite: bool, fresh: bool, curves: Path | None,
    ct_slices: Path | None, ct_objects: Path | None, images: tuple[Path, ...],
    phantom_files: tuple[Path, ...], scanners: tuple[str, ...], size: int, workers: int | None,
    validation: int, validate_minutes: float | None, device: str, note: tuple[str, ...], **plan_options: Any,
) -> None:
    """Train and write what such a command writes; the options are those of ``supply_options`` and training."""
    from ctrecon.simulation.scanners import walnut_scanner
    from ctrecon.training.loop import Trainer
    from ctrecon.training.processes import join, leave, local_device

    began = time.monotonic()
    check_output(output, curves, fresh=fresh, overwrite=overwrite)
    own, only = read_families(phantom_files), read_scanners(scanners, size)
    how = plan(**plan_options)
    where = local_device(device)
    together = join(where)
    data, names = training_data(ct_slices, ct_objects, images, own)
    asked = learner.network().to(where)
    scored = replace(only[0] if only else walnut_scanner(size), device=str(where))
    drawn = [(family.name, family.sample) for family in own] or families()

    def scores(network: nn.Module) -> Scores:
        return learner.scores(network, drawn, ct_slices, scored, validation)

    takes = 0.0
    if validation:
        how, takes, before = less_scoring(
            how, lambda: scores(copy.deepcopy(asked).eval().requires_grad_(False)), together=together, device=where
        )
        _say(before or {})
    if workers is None:
        workers = max(1, (os.cpu_count() or 1) - 2) if where.type == "cuda" else 0
    supply = learner.supply(
        data, how.batch, where, seed=how.seed + 1000 * together.rank, workers=workers,
        patient=how.minutes is None, only=only,
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
        card = {
            "data": names + list(note), **facts_of(trainer), "size": size, "scan": scan_in_words(scored), "scores": {},
        }  # fmt: skip
        with as_stored(trainer, card) as stored:
            network, _ = learner.load(stored)
        if validation:
            card["scores"] = scores(network.to(trainer.device))
        write_trained(output, trainer, card, learner.card(output.stem, network, card))
    leave()


def _say(scores: Scores) -> None:
    for name, row in scores.items():
        said = ", ".join(f"{one['mean']:.2f} dB at {level}" for level, one in row.items())
        click.echo(f"before training, {name}: {said}")


def _flat(scores: Scores) -> dict[str, float]:
    return {
        f"PSNR in dB, {name}, {level} noise": one["mean"] for name, row in scores.items() for level, one in row.items()
    }


def training_data(
    ct_slices: Path | None, ct_objects: Path | None, images: tuple[Path, ...], own: Sequence[OwnFamily] = ()
) -> tuple[TrainingData, list[str]]:
    """What the options give to train on, and its description for the model card; ``own`` phantoms instead of ours."""
    from ctrecon.phantoms import FAMILIES
    from ctrecon.phantoms.families.polygons import Polygons
    from ctrecon.training.image_sets import read_ct_patients, read_natural_images
    from ctrecon.training.objects import read_objects
    from ctrecon.training.whole import TrainingData

    names = [f"phantoms ({', '.join(family.name for family in own or FAMILIES)})"]
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
    samplers = [family.sample for family in own] or [family.sample for family in (*FAMILIES, Polygons())]
    return TrainingData(samplers=samplers, objects=objects, pictures=pictures), names


def families() -> list[tuple[str, Any]]:
    """The phantoms that networks are scored on, by name."""
    from ctrecon.phantoms import FAMILIES

    return [(family.name, family.sample) for family in FAMILIES]
