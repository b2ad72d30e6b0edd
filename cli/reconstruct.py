"""``ctrecon reconstruct``."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import EXIT_DELTA_NOT_MET, printable
from ctrecon.cli.options import FilePath, ScanPath, scan_options
from ctrecon.cli.series import series_options, series_target

if TYPE_CHECKING:
    from ctrecon.classical.fbp import Window
    from ctrecon.problem import Outcome, Problem, Progress, Watch
    from ctrecon.reconstruction import Missed, Reconstruction

METHODS = ("energy", "gradient", "cgls", "huber-tv", "fbp")
WINDOWS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")


@click.command("reconstruct")
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option(
    "--delta",
    default="auto",
    show_default=True,
    metavar="VALUE|auto|PERCENT",
    help="Bound on ||Au - f||: a value in the data's units, a percentage of ||f||, or auto (from counts, whitened; "
    "else estimated from the sinogram).",
)
@click.option("--repeat", type=FilePath, help="A second scan of the same object: delta from both, image of their mean.")
@click.option("--model-error", metavar="VALUE|PERCENT", help="Room in delta for what the operator does not model.")
@click.option("--quantile", type=float, show_default="0.95", help="With auto: chance that the true image meets delta.")
@click.option("--method", type=click.Choice(METHODS), default="energy", show_default=True)
@click.option("--window", type=click.Choice(WINDOWS), help="Filter of fbp. Default: the smoothest that meets delta.")
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE", help="Network weights.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations. Default: the method's own.")
@click.option("--operator", type=click.Choice(("sparse", "joseph", "astra")), help="Default: by device and size.")
@click.option("--device", help="cpu, cuda, cuda:1, ... Default: cuda where there is one.")
@click.option(
    "--most-attenuation",
    type=float,
    metavar="1/MM",
    help="Where delta is not met: prove it for all images from 0 to this (per cell where lengths are in detector "
    "cells). Default: what one pixel needs to absorb as much as the most absorbing ray.",
)
@click.option(
    "-o", "--output", help=".npy; .nii.gz, .mha, .nrrd in HU, too; FOLDER/ for a DICOM series. Default: INPUT.recon.npy"
)
@click.option("--preview/--no-preview", default=True, help="Also draw pictures.")
@click.option("--report", type=FilePath, help="Also write one page about it, for a browser (.html).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
@series_options
@click.pass_context
def command(
    ctx: click.Context, /, scan_file: Path, delta: str, repeat: Path | None, model_error: str | None,
    quantile: float | None, output: str | None, preview: bool, report: Path | None, as_json: bool, **options: Any,
) -> None:
    """Reconstruct a certified image from the sinogram INPUT, a file or a folder of CT projections.

    Writes S.npy (attenuation in 1/mm), S.certificate.json and S.data.npy (what `ctrecon verify` checks), S.history.json
    (how it was made) and S.png.
    With -o FOLDER: a DICOM series in HU with report and certificates instead (docs/dicom.md).
    Exit code 0: certified. 2: bad input. 3: delta not met; the best image is written with its true residual and, where
    no image at all meets delta, the certificate that proves this.
    """
    from ctrecon import outputs
    from ctrecon.delta import delta_for, delta_with_model_error, mean_of_repeats
    from ctrecon.errors import SettingError
    from ctrecon.io.arrays import read_scan
    from ctrecon.problem import prepare
    from ctrecon.reconstruction import conclude

    began = time.monotonic()
    given = (
        scan_file, scan_file.with_suffix(".json"), repeat, options["geometry_file"], Path(options["prior"]),
        options["template"],
    )
    inputs = [path for path in given if path is not None and path.exists()]
    series = series_target(output, options, inputs, pictures=preview)
    if series is None:
        image = Path(output or scan_file.name.removesuffix(scan_file.suffix) + ".recon.npy")
        target = outputs.Target.at(image, inputs=inputs)
    if report is not None:
        if series is not None:
            raise SettingError(
                f"a series brings its own reports, so drop --report {report}; `ctrecon report` makes the page of a "
                "slice from its certificate"
            )
        from ctrecon.report.page import check_place

        check_place(report, *inputs)
    if options["iterations"] is not None and options["method"] in ("huber-tv", "fbp"):
        raise SettingError(f"--method {options['method']} runs to its own end; drop --iterations")
    if options["window"] is not None and options["method"] != "fbp":
        raise SettingError(f"--method {options['method']} has no filter; drop --window or use --method fbp")
    if quantile is not None and delta.strip().lower() != "auto":
        raise SettingError(f"--quantile {quantile:g} belongs to --delta auto, not to --delta {delta}; drop one of them")
    if repeat is not None and delta.strip().lower() != "auto":
        raise SettingError(f"--repeat {repeat} gives delta, so drop --delta {delta}, or --repeat")
    clock = _Clock()
    reading, chance = {key: options[key] for key in SCAN_KEYS}, 0.95 if quantile is None else quantile
    scan = read_scan(scan_file, **reading)
    if repeat is None:
        bound = delta_for(scan, delta, chance)
    else:
        scan, bound = mean_of_repeats(scan, read_scan(repeat, **reading), chance)
    if model_error is not None:
        bound = delta_with_model_error(bound, scan, model_error)
    clock.note("read")
    if not as_json:
        for note in (*scan.notes, *(() if series is None else series.study.notes)):
            click.echo(f"note: {printable(note)}")
        click.echo(f"delta = {bound.value:.6g} ({bound.norm}; {bound.how})")
    problem = prepare(scan, bound, **{key: options[key] for key in ("operator", "device", "most_attenuation")})
    clock.note("prepare")
    with _watching(problem, quiet=as_json) as watch:
        outcome = _run(problem, watch, **{key: options[key] for key in ("method", "prior", "iterations", "window")})
    clock.note("reconstruct")
    # A certificate notes the hash of the file it came from; a folder has none.
    source = None if scan_file.is_dir() else str(scan_file)
    result = conclude(
        problem, outcome, source=source, began=began, method=options["method"], timings=clock.seconds
    )
    if series is None:
        written = target.write(result, preview=preview)
    else:
        method, thickness = options["method"], options["slice_mm"]
        (result,), written = series.write(
            [result], method=method, iterative=method != "fbp", thickness_mm=thickness, source=source
        )
    if report is not None:
        written["report"] = _report(report, written["image"], result, options["water_mu"])
    if as_json:
        click.echo(json.dumps(_summary(result, written, options["method"]), allow_nan=False))
    else:
        _tell(result, written, options["method"])
    if not result.certified:
        ctx.exit(EXIT_DELTA_NOT_MET)


SCAN_KEYS = ("geometry_file", "center", "row", "every", "size", "pixel_mm", "z_mm")


class _Clock:
    """Seconds by what was done since the note before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def note(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what], self._last = now - self._last, now


def _report(page: Path, image: Path, result: Reconstruction, water_mu: float | None) -> Path:
    """From the files as they now are; the data of an image without certificate are at hand only here."""
    from ctrecon.report.content import gather
    from ctrecon.report.page import write_page

    scan = result.problem.scan
    content = gather(image, scan=None if result.certified else scan)
    write_page(page, content, water_mu_per_mm=water_mu or scan.water_mu_per_mm)
    return page


def _run(
    problem: Problem, watch: Watch | None, *, method: str, prior: str, iterations: int | None, window: Window | None
) -> Outcome:
    from ctrecon import reconstruction as r
    from ctrecon.networks.pretrained import load_ct_network

    most: dict[str, Any] = {} if iterations is None else {"most_iterations": iterations}
    if method == "energy":
        return r.energy_dissipation(problem, load_ct_network(prior)[0], **most, watch=watch)
    if method == "gradient":
        return r.gradient_descent(problem, **most, watch=watch)
    if method == "cgls":
        return r.conjugate_gradients(problem, **most, watch=watch)
    if method == "huber-tv":
        return r.huber_tv(problem, watch=watch)
    return r.filtered_back_projection(problem, window=window, watch=watch)


@contextlib.contextmanager
def _watching(problem: Problem, *, quiet: bool) -> Iterator[Watch | None]:
    """Show residual and delta live, on a terminal in one line, elsewhere a line per iteration."""
    from rich.console import Console

    if quiet:
        yield None
        return
    console = Console(highlight=False)

    def line(progress: Progress) -> str:
        return (
            f"iteration {progress.iteration:3d}   residual {progress.residual:.6g}   "
            f"delta {problem.delta.value:.6g}   E {progress.energy:.6g}"
        )

    if console.is_terminal:
        with console.status("descending") as status:
            yield lambda progress: status.update(line(progress))
    else:
        yield lambda progress: click.echo(line(progress)) if _worth_a_line(progress.iteration) else None


def _worth_a_line(iteration: int) -> bool:
    return iteration <= 20 or iteration % 10 ** (len(str(iteration)) - 1) == 0


def _summary(result: Reconstruction, written: dict[str, Path], method: str) -> dict[str, Any]:
    grid, operator = result.problem.grid, result.problem.operator
    return {
        "status": _status(result),
        "reason": result.outcome.reason,
        "method": method,
        "delta": result.problem.delta.value,
        "norm": result.problem.delta.norm,
        "delta_from": result.problem.delta.how,
        "model_error": result.problem.delta.model_error,
        "residual": result.residual,
        **({} if result.missed is None else _known(result.missed)),
        "iterations": result.iterations,
        "image": str(written["image"]),
        "shape": list(result.image.shape),
        "pixel_mm": None if grid is None else grid.pixel_mm,
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


def _tell(result: Reconstruction, written: dict[str, Path], method: str) -> None:
    delta, count = result.problem.delta, result.iterations
    after = f"after {count} iteration{'s' if count != 1 else ''}, {result.seconds:.1f} s"
    missed = result.missed
    if missed is None:
        click.echo(f"certified {after}: residual {result.residual:.6g} <= delta {delta.value:.6g}")
    elif missed.certificate is not None:
        click.echo(
            f"infeasible {after}: no image with 0 <= u <= {missed.most_attenuation:.4g} meets delta {delta.value:.6g}, "
            f"which is proved; the smallest delta not excluded is {missed.lower_bound:.6g}, the best residual found "
            f"there {missed.best_residual:.6g}; check geometry and data, or try "
            f"--delta {missed.best_residual * 1.01:.4g}"
        )
    else:
        click.echo(
            f"delta not met {after} ({result.outcome.reason}): the residual is {result.residual:.6g}, "
            f"{result.residual / delta.value:.3g} times delta; "
            + (
                "no filter of FBP fits the data this well, use another --method"
                if method == "fbp"
                else f"the scan may not fit the model this well, try --delta {result.residual * 1.01:.4g}"
            )
        )
    for what, path in written.items():
        click.echo(f"{what:>12}: {printable(str(path))}")
