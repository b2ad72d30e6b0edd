"""``ctrecon train-phantoms``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.options import FilePath, FolderPath

if TYPE_CHECKING:
    from ctrecon.training.data import Source
    from ctrecon.training.loop import Trainer


@click.command("train-phantoms")
@click.option("-o", "--output", type=FilePath, default=Path("network.safetensors"), show_default=True)
@click.option("--network", type=click.Choice(("unet", "dncnn17")), default="unet", show_default=True)
@click.option("--start", metavar="NAME|FILE", help="Start from the weights of an earlier network, not from fresh ones.")
@click.option("--steps", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--minutes", type=float, help="Train for so long instead of a number of steps.")
@click.option("--batch", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient.")
@click.option("--images", type=FolderPath, multiple=True, help="Folder of natural images; may be given repeatedly.")
@click.option("--scanner", type=click.Choice(("many", "walnut")), default="many", show_default=True)
@click.option("--size", type=click.IntRange(16, 512), default=164, show_default=True, help="Of walnut and validation.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads. Default: all.")
@click.option("--validation", type=click.IntRange(min=1), default=4, show_default=True, help="Images per set scored.")
@click.option("--note", multiple=True, help="A remark for the model card; may be given repeatedly.")
@click.option("--fresh", is_flag=True, help="Start anew even where a checkpoint of this output exists.")
def command(
    output: Path, network: str, start: str | None, seed: int, threads: int | None, fresh: bool, ct_slices: Path | None,
    images: tuple[Path, ...], scanner: str, size: int, validation: int, note: tuple[str, ...],
    **plan_options: Any,
) -> None:
    """Train a network on the descent path (paper, section 4.2) on phantoms, and on CT slices and images where given.

    Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a checkpoint and a log; run the same command
    again to resume. Patients of the test and validation splits are never trained on.
    """
    import torch

    from ctrecon.training.loop import Trainer, TrainingPlan

    if threads is not None:
        torch.set_num_threads(threads)
    plan = TrainingPlan(seed=seed, **plan_options)
    torch.manual_seed(seed)
    source, names = _sources(ct_slices, images)
    names += note
    trainer = Trainer(_network(network, start), _problems(scanner, size, seed), source, _noise(), plan)
    checkpoint = output.with_name(output.stem + ".training.safetensors")
    if checkpoint.exists() and not fresh:
        trainer.resume(checkpoint)
        click.echo(f"resuming {checkpoint} at step {trainer.step}")
    _train(trainer, checkpoint, output.with_name(output.stem + ".log.jsonl"))
    _finish(trainer, output, names, ct_slices, size, validation)


def _network(name: str, start: str | None) -> Any:
    from ctrecon.networks.dncnn import DnCNN
    from ctrecon.networks.pretrained import load_network
    from ctrecon.networks.unet import UNet

    if start is not None:
        return load_network(start)[0].train().requires_grad_(True)
    return UNet() if name == "unet" else DnCNN()


def _problems(scanner: str, size: int, seed: int) -> Any:
    from ctrecon.training.problems import training_problems, walnut_problem

    return training_problems(seed) if scanner == "many" else (walnut_problem(size),)


def _noise() -> Any:
    from ctrecon.training.data import Noise

    return Noise()


def _sources(ct_slices: Path | None, images: tuple[Path, ...]) -> tuple[Source, list[str]]:
    from ctrecon.phantoms import FAMILIES
    from ctrecon.training.data import ImageSource, Mixture, PhantomSource
    from ctrecon.training.image_sets import read_ct_slices, read_natural_images

    parts: list[tuple[float, Source]] = [(0.4, PhantomSource([family.sample for family in FAMILIES]))]
    names = [f"phantoms ({', '.join(family.name for family in FAMILIES)})"]
    if ct_slices is not None:
        slices = read_ct_slices(ct_slices, "train")
        parts.append((0.45, ImageSource(slices, zoom=(0.6, 1.05), masked=0.85)))
        names.append(f"{len(slices)} CT slices of the training patients in {ct_slices.name}")
    if images:
        pictures = read_natural_images(images)
        parts.append((0.15, ImageSource(pictures, zoom=(0.4, 1.0), masked=0.8)))
        names.append(f"{len(pictures)} natural images in {', '.join(folder.name for folder in images)}")
    return Mixture(tuple(parts)), names


def _train(trainer: Trainer, checkpoint: Path, log: Path) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, log.open("a", encoding="utf-8") as lines:
        task = bar.add_task("training", total=1.0)
        try:
            for at in trainer.run(lambda: trainer.save(checkpoint)):
                bar.update(task, completed=at.fraction, description=f"step {at.step}  loss {at.loss_db:.2f} dB")
                if at.step % 100 == 0:
                    facts = {"step": at.step, "seconds": round(at.seconds, 1), "loss_db": round(at.loss_db, 3)}
                    lines.write(json.dumps(facts) + "\n")
                    lines.flush()
        except KeyboardInterrupt:
            trainer.save(checkpoint)
            raise


def _finish(
    trainer: Trainer, output: Path, names: list[str], ct_slices: Path | None, size: int, validation: int
) -> None:
    from ctrecon.networks.pretrained import load_network, save_network
    from ctrecon.training.card import model_card, validation_scores

    card = {
        "data": names,
        "seed": trainer.plan.seed,
        "steps": trainer.step,
        "batch": trainer.plan.batch,
        "hours": round(trainer.seconds / 3600, 2),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "loss_db": round(trainer.final_loss_db, 3),
    }
    save_network(output, trainer.network, trainer.averaged, card)
    network, _ = load_network(output)
    from ctrecon.phantoms import FAMILIES

    families = [(family.name, family.sample) for family in FAMILIES]
    card["size"] = size
    card["scores"] = validation_scores(network, families, ct_slices, size=size, count=validation)
    save_network(output, trainer.network, trainer.averaged, card)
    text = model_card(output.stem, network, card)
    output.with_suffix(".md").write_text(text, encoding="utf-8")
    click.echo(f"wrote {output} and {output.with_suffix('.md')}")
