"""What the training commands share: how long, how fast, where to, and a run that can be interrupted and resumed."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.cli.progress import shown
from ctrecon.cli.training_log import TrainingLog, check_curves, log_path

if TYPE_CHECKING:
    from ctrecon.cli.training_time import Validation
    from ctrecon.training.loop import Trainer, TrainingPlan

F = TypeVar("F", bound=Callable[..., Any])


def training_options(*, steps: int, batch: int, learning_rate: float, gpu: bool = False) -> Callable[[F], F]:
    """The options of every training command, with its own defaults; ``plan`` takes those that it needs.

    With ``gpu`` also those of a training that can run on one, and in several processes.
    """

    def decorate(function: F) -> F:
        on_gpu = (
            click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ..."),
            click.option(
                "--precision", type=click.Choice(("float32", "bfloat16")), default="float32", show_default=True
            ),
        )
        for option in reversed(
            (
                *(on_gpu if gpu else ()),
                click.option("-o", "--output", type=FilePath, default=Path("network.safetensors"), show_default=True),
                overwrite_option,
                click.option("--start", metavar="NAME|FILE", help="Start from the weights of an earlier network."),
                click.option("--steps", type=click.IntRange(min=1), default=steps, show_default=True),
                click.option("--minutes", type=float, help="Time of the whole command, instead of a number of steps."),
                click.option("--batch", type=click.IntRange(min=1), default=batch, show_default=True),
                click.option("--schedule", type=click.Choice(("cosine", "stable")), default="cosine", show_default=True,
                             help="How the learning rate falls: all the time, or in the last 30%."),
                click.option("--learning-rate", type=float, default=learning_rate, show_default=True),
                click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
                click.option("--threads", type=click.IntRange(min=1), help="Processor threads. Default: all."),
                click.option("--fresh", is_flag=True, help="Start anew even where a checkpoint of this output exists."),
                click.option("--note", multiple=True, help="A remark for the model card; may be given repeatedly."),
                click.option("--tensorboard", "curves", type=click.Path(path_type=Path, file_okay=False),
                             help="Folder for the curves of loss, learning rate and scores."),
            )
        ):
            function = option(function)
        return function

    return decorate


def plan(
    *, seed: int, threads: int | None, steps: int, minutes: float | None, batch: int, learning_rate: float,
    precision: Literal["float32", "bfloat16"] = "float32", schedule: Literal["cosine", "stable"] = "cosine",
) -> TrainingPlan:
    """The plan of the given options; torch's own generator (for fresh weights) and threads are set as well."""
    import torch

    from ctrecon.training.loop import TrainingPlan

    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    return TrainingPlan(
        seed=seed, steps=steps, minutes=minutes, batch=batch, learning_rate=learning_rate, precision=precision,
        schedule=schedule,
    )


def card_path(output: Path) -> Path:
    """Where the model card of ``output`` goes."""
    return output.with_suffix(".md")


def checkpoint_path(output: Path) -> Path:
    """Where the training of ``output`` keeps what it could go on from."""
    return output.with_name(output.stem + ".training.safetensors")


def check_output(output: Path, curves: Path | None, *, fresh: bool, overwrite: bool) -> None:
    """Before the work. Raises SettingError for another suffix, OutputError where results are there already.

    A checkpoint of an interrupted run is no result, nor is the log beside it: the run goes on from there, or ``fresh``
    asks for another.
    """
    from ctrecon.errors import SettingError
    from ctrecon.support.places import check_places

    if output.suffix != ".safetensors":
        raise SettingError(f"-o {output} does not say what to make; weights are written as {output.stem}.safetensors")
    interrupted = checkpoint_path(output).exists()
    check_places([output, card_path(output), *(() if interrupted else (log_path(output),))], overwrite=overwrite)
    if fresh or not interrupted:
        check_curves(curves, overwrite=overwrite)


def write_trained(output: Path, trainer: Trainer, card: dict[str, Any], card_text: str) -> None:
    """The averaged weights and their model card, both or none."""
    from ctrecon.networks.pretrained import put_network
    from ctrecon.support.atomic import atomic_files

    with atomic_files() as place:
        put_network(place(output), trainer.network, _averaged(trainer), card)
        place(card_path(output)).write_text(card_text, encoding="utf-8")
    click.echo(f"wrote {output} and {card_path(output)}")


@contextlib.contextmanager
def as_stored(trainer: Trainer, card: dict[str, Any]) -> Iterator[Path]:
    """The averaged weights in a file that goes again: scores are those of what a reader of the file gets."""
    from ctrecon.networks.pretrained import save_network

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.safetensors"
        save_network(path, trainer.network, _averaged(trainer), card)
        yield path


def _averaged(trainer: Trainer) -> dict[str, Any]:
    return {name: value.cpu() for name, value in trainer.averaged.items()}


def run_training(
    trainer: Trainer, output: Path, *, fresh: bool, curves: Path | None = None, validation: Validation | None = None,
    began: float | None = None,
) -> None:
    """Train, with a log ``OUTPUT.log.jsonl`` and a checkpoint that a second call goes on from.

    ``began`` is when the command began, on the monotonic clock: what it took until here counts as time spent.
    ``curves`` is a folder for TensorBoard. ``validation`` is asked for scores now and then; they go to log and curves.
    Of several processes, the first alone writes and talks.
    """
    checkpoint = checkpoint_path(output)
    if checkpoint.exists() and not fresh:
        trainer.resume(checkpoint)
        if trainer.together.leads:
            click.echo(f"resuming {checkpoint} at step {trainer.step}")
    if began is not None:
        trainer.seconds += trainer.together.mean(time.monotonic() - began, trainer.device)
    if not trainer.together.leads:
        for _ in trainer.run():
            pass
        return
    with TrainingLog(log_path(output), curves, step=trainer.step) as log, shown(err=True) as tell:
        try:
            for at in trainer.run(lambda: trainer.save(checkpoint)):
                if tell is not None:
                    tell(at.told())
                facts: dict[str, float] = {}
                if at.step % 100 == 0:
                    facts |= {"loss": round(at.loss, 4), "learning_rate": trainer.plan.rate(at.fraction)}
                if validation is not None and validation.is_due(trainer):
                    facts |= validation.scores(trainer)
                if facts:
                    log.write(at.step, at.seconds, facts)
        except KeyboardInterrupt:
            trainer.save(checkpoint)
            click.echo(f"stopped at step {trainer.step}; {checkpoint} has it, the same command goes on", err=True)
            raise


def command_line() -> str:
    """The command that runs now, as one would type it; of files and folders their names alone."""
    ctx = click.get_current_context()
    words = ["ctrecon", str(ctx.command.name)]
    for option in ctx.command.params:
        given = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        # Remarks and the way to watch say nothing of how the weights came about.
        if not given or option.name in ("fresh", "note", "curves", "overwrite"):
            continue
        value = ctx.params[str(option.name)]
        for each in value if isinstance(value, tuple) else (value,):
            named = Path(each).name if isinstance(each, Path) or option.name == "start" else str(each)
            if option.param_type_name == "option":
                words.append(option.opts[-1] if len(option.opts) > 1 else option.opts[0])
            words.append(shlex.quote(named))
    return " ".join(words)


def facts_of(trainer: Trainer) -> dict[str, Any]:
    """What a model card says of every training."""
    return {
        "seed": trainer.plan.seed,
        "steps": trainer.step,
        "batch": trainer.plan.batch,
        "hours": round(trainer.seconds / 3600, 2),
        "command": command_line(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "loss": round(trainer.final_loss, 3),
    }
