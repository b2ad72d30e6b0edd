"""What ``ctrecon reconstruct`` says: live, as one JSON object, and in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import printable

if TYPE_CHECKING:
    from ctrecon.classical.box import Proving
    from ctrecon.reconstruction.problem import Problem, IterationRecord, Watch
    from ctrecon.reconstruction.conclude import Missed, Reconstruction


@contextlib.contextmanager
def watching(problem: Problem, *, quiet: bool, title: str | None = None) -> Iterator[Watch | None]:
    """Show residual and delta live, on a terminal in one line, elsewhere a line per iteration.

    With a ``title``, as one of many images, on a terminal alone.
    """
    from rich.console import Console

    if quiet:
        yield None
        return
    console = Console(highlight=False)

    def line(progress: IterationRecord) -> str:
        return (
            f"iteration {progress.iteration:3d}   residual {progress.residual:.6g}   "
            f"delta {problem.delta.value:.6g}   E {progress.energy:.6g}"
        )

    if console.is_terminal:
        before = "" if title is None else f"{title}: "
        with console.status(f"{before}descending") as status:
            yield lambda progress: status.update(before + line(progress))
    elif title is not None:
        yield None
    else:
        yield lambda progress: click.echo(line(progress)) if _worth_a_line(progress.iteration) else None


@contextlib.contextmanager
def proving(problem: Problem, *, quiet: bool) -> Iterator[Callable[[Proving], None] | None]:
    """The same while it is asked whether any image at all meets delta."""
    from rich.console import Console

    if quiet:
        yield None
        return
    console = Console(highlight=False)

    def line(now: Proving) -> str:
        return (
            f"delta missed; does any image meet it? step {now.iteration:3d}   best residual {now.misfit:.6g}   "
            f"none below {now.bound:.6g}   delta {problem.delta.value:.6g}"
        )

    if console.is_terminal:
        with console.status("checking") as status:
            yield lambda now: status.update(line(now))
    else:
        yield lambda now: click.echo(line(now)) if now.iteration % 20 == 0 else None


def _worth_a_line(iteration: int) -> bool:
    return iteration <= 20 or iteration % 10 ** (len(str(iteration)) - 1) == 0


def summary(result: Reconstruction, written: dict[str, Path], method: str) -> dict[str, Any]:
    grid, operator = result.problem.grid, result.problem.operator
    return {
        "status": _status(result),
        "reason": result.outcome.reason,
        "method": method,
        "delta": result.problem.delta.value,
        "norm": result.problem.delta.norm,
        "delta_from": result.problem.delta.how,
        "model_error": result.problem.delta.model_error,
        "discretisation": result.problem.delta.discretisation,
        "residual": result.residual,
        **({} if result.missed is None else _known(result.missed)),
        "iterations": result.iterations,
        "image": str(written["image"]),
        "shape": list(result.image.shape),
        "pixel_mm": None if grid is None else grid.to_dict()["pixel_mm"],
        "unit": None if grid is None else "1/mm",
        "certificate": str(written["certificate"]) if "certificate" in written else None,
        "preview": str(written["preview"]) if "preview" in written else None,
        "operator": type(operator).__name__,
        "seconds": round(result.seconds, 3),
        "notes": list(result.problem.scan.notes),
    }


def _status(result: Reconstruction) -> str:
    if result.missed is None:
        return "certified"
    return "delta not met" if result.missed.certificate is None else "infeasible"


def _known(missed: Missed) -> dict[str, float]:
    return {
        "smallest_delta_not_excluded": missed.lower_bound,
        "best_residual_in_box": missed.best_residual,
        "most_attenuation": missed.most_attenuation,
    }


def _undecided(missed: Missed, delta: float) -> str:
    box = f"0 <= u <= {missed.most_attenuation:.4g}"
    if missed.best_residual <= delta:
        return f"an image with {box} that meets delta exists (residual {missed.best_residual:.6g})"
    return (
        f"whether any image with {box} meets delta is not decided: none is below {missed.lower_bound:.6g}, "
        f"the best found has {missed.best_residual:.6g}"
    )


def tell(result: Reconstruction, written: dict[str, Path], method: str) -> None:
    click.echo(verdict(result, method))
    _tell_paths(written)


def tell_all(results: list[Reconstruction], written: dict[str, Path], method: str) -> None:
    """How many of the slices are certified as they are stored, why the others are not, and the paths."""
    _tell_paths(written)
    for k, result in enumerate(results, start=1):
        if not result.certified:
            click.echo(f"slice {k} as stored: {verdict(result, method)}")
    certified = sum(result.certified for result in results)
    click.echo(f"{certified} of {len(results)} slices are certified")


def _tell_paths(written: dict[str, Path]) -> None:
    for what, path in written.items():
        click.echo(f"{what:>12}: {printable(str(path))}")


def verdict(result: Reconstruction, method: str) -> str:
    """What is proved of the image, or how far it is from delta and what to do, in a line."""
    delta, count, missed = result.problem.delta, result.iterations, result.missed
    after = f"after {count} iteration{'s' if count != 1 else ''}, {result.seconds:.1f} s"
    if missed is None:
        return f"certified {after}: residual {result.residual:.6g} <= delta {delta.value:.6g}"
    grid = result.problem.grid
    finer = "" if grid is None else f"pixels smaller than {max(grid.spacing_mm):.3g} mm (--pixel-mm), or "
    if missed.certificate is not None:
        return (
            f"infeasible {after}: no image with 0 <= u <= {missed.most_attenuation:.4g} meets delta {delta.value:.6g}, "
            f"which is proved; the smallest delta not excluded is {missed.lower_bound:.6g}, the best residual found "
            f"there {missed.best_residual:.6g}; check geometry and data, or try "
            f"{finer}--delta {missed.best_residual * 1.01:.4g}"
        )
    return (
        f"delta not met {after} ({result.outcome.reason}): the residual is {result.residual:.6g}, "
        f"{result.residual / delta.value:.3g} times delta; {_undecided(missed, delta.value)}; try "
        + ("another --method, " if method == "fbp" or missed.best_residual <= delta.value else "")
        + f"{finer}--delta {result.residual * 1.01:.4g}"
    )
