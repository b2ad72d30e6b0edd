"""What the training commands share: how long, how fast, where to, and a run that can be interrupted and resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ctrecon.cli.options import FilePath

if TYPE_CHECKING:
    from ctrecon.training.loop import Trainer, TrainingPlan

F = TypeVar("F", bound=Callable[..., Any])


def training_options(*, steps: int, batch: int, learning_rate: float) -> Callable[[F], F]:
    """The options of every training command, with its own defaults; ``plan`` takes those that it needs."""

    def decorate(function: F) -> F:
        for option in reversed(
            (
                click.option("-o", "--output", type=FilePath, default=Path("network.safetensors"), show_default=True),
                click.option("--start", metavar="NAME|FILE", help="Start from the weights of an earlier network."),
                click.option("--steps", type=click.IntRange(min=1), default=steps, show_default=True),
                click.option("--minutes", type=float, help="Train for so long instead of a number of steps."),
                click.option("--batch", type=click.IntRange(min=1), default=batch, show_default=True),
                click.option("--learning-rate", type=float, default=learning_rate, show_default=True),
                click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
                click.option("--threads", type=click.IntRange(min=1), help="Processor threads. Default: all."),
                click.option("--fresh", is_flag=True, help="Start anew even where a checkpoint of this output exists."),
                click.option("--note", multiple=True, help="A remark for the model card; may be given repeatedly."),
            )
        ):
            function = option(function)
        return function

    return decorate


def plan(
    *, seed: int, threads: int | None, steps: int, minutes: float | None, batch: int, learning_rate: float
) -> TrainingPlan:
    """The plan of the given options; torch's own generator (for fresh weights) and threads are set as well."""
    import torch

    from ctrecon.training.loop import TrainingPlan

    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    return TrainingPlan(seed=seed, steps=steps, minutes=minutes, batch=batch, learning_rate=learning_rate)


def card_path(output: Path) -> Path:
    """Where the model card of ``output`` goes. Raises SettingError for an output that would be its own card."""
    from ctrecon.errors import SettingError

    if output.suffix.lower() == ".md":
        raise SettingError(f"{output} is the name of a model card; let --output end in .safetensors")
    return output.with_suffix(".md")


def run_training(trainer: Trainer, output: Path, *, fresh: bool) -> None:
    """Train, with a progress bar, a log ``OUTPUT.log.jsonl`` and a checkpoint that a second call goes on from."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    card_path(output)
    checkpoint = output.with_name(output.stem + ".training.safetensors")
    if checkpoint.exists() and not fresh:
        trainer.resume(checkpoint)
        click.echo(f"resuming {checkpoint} at step {trainer.step}")
    log = output.with_name(output.stem + ".log.jsonl")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, log.open("a", encoding="utf-8") as lines:
        task = bar.add_task("training", total=1.0)
        try:
            for at in trainer.run(lambda: trainer.save(checkpoint)):
                bar.update(task, completed=at.fraction, description=f"step {at.step}  loss {at.loss:.3f}")
                if at.step % 100 == 0:
                    facts = {"step": at.step, "seconds": round(at.seconds, 1), "loss": round(at.loss, 4)}
                    lines.write(json.dumps(facts) + "\n")
                    lines.flush()
        except KeyboardInterrupt:
            trainer.save(checkpoint)
            click.echo(f"stopped at step {trainer.step}; {checkpoint} has it, the same command goes on", err=True)
            raise


def facts_of(trainer: Trainer) -> dict[str, Any]:
    """What a model card says of every training."""
    return {
        "seed": trainer.plan.seed,
        "steps": trainer.step,
        "batch": trainer.plan.batch,
        "hours": round(trainer.seconds / 3600, 2),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "loss": round(trainer.final_loss, 3),
    }
