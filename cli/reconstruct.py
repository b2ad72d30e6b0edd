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
from ctrecon.cli.options import FilePath, scan_options

if TYPE_CHECKING:
    from ctrecon.classical.fbp import Window
    from ctrecon.problem import Outcome, Problem, Progress, Watch
    from ctrecon.reconstruction import Reconstruction

METHODS = ("energy", "gradient", "cgls", "huber-tv", "fbp")
WINDOWS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")


@click.command("reconstruct")
@click.argument("scan_file", metavar="INPUT", type=FilePath)
@click.option(
    "--delta",
    default="auto",
    show_default=True,
    metavar="VALUE|auto|PERCENT",
    help="Bound on ||Au - f||: a value in the data's units, a percentage of ||f||, or auto (from counts, whitened; "
    "else estimated from the sinogram).",
)
@click.option("--quantile", type=float, show_default="0.95", help="With auto: chance that the true image meets delta.")
@click.option("--method", type=click.Choice(METHODS), default="energy", show_default=True)
@click.option("--window", type=click.Choice(WINDOWS), help="Filter of fbp. Default: the smoothest that meets delta.")
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE", help="Network weights.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations. Default: the method's own.")
@click.option("--operator", type=click.Choice(("sparse", "joseph", "astra")), help="Default: by device and size.")
@click.option("--device", help="cpu, cuda, cuda:1, ... Default: cuda where there is one.")
@click.option("-o", "--output", type=FilePath, help="Image as .npy. Default: INPUT.recon.npy in this folder.")
@click.option("--preview/--no-preview", default=True, help="Also write a picture beside the image.")
@click.option("--report", type=FilePath, help="Also write one page about it, for a browser (.html).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
@click.pass_context
def command(
    ctx: click.Context, /, scan_file: Path, delta: str, quantile: float | None, output: Path | None, preview: bool,
    report: Path | None, as_json: bool, **options: Any,
) -> None:
    """Reconstruct a certified image from the sinogram INPUT.

    Writes S.npy (attenuation in 1/mm), S.certificate.json and S.data.npy (what `ctrecon verify` checks), S.history.json
    (how it was made) and S.png.
    Exit code 0: certified. 2: bad input. 3: delta not met; the best image is written with its true residual.
    """
    from ctrecon import outputs
    from ctrecon.errors import SettingError
    from ctrecon.io.arrays import read_scan
    from ctrecon.noise import delta_for
    from ctrecon.problem import prepare
    from ctrecon.reconstruction import conclude

    began = time.monotonic()
    given = (scan_file, scan_file.with_suffix(".json"), options["geometry_file"], Path(options["prior"]))
    target = outputs.Target.at(
        output or Path(scan_file.name.removesuffix(scan_file.suffix) + ".recon.npy"),
        inputs=[path for path in given if path is not None and path.exists()],
    )
    if report is not None:
        from ctrecon.report.page import check_place

        check_place(report, *(path for path in given if path is not None))
    if options["iterations"] is not None and options["method"] in ("huber-tv", "fbp"):
        raise SettingError(f"--method {options['method']} runs to its own end; drop --iterations")
    if options["window"] is not None and options["method"] != "fbp":
        raise SettingError(f"--method {options['method']} has no filter; drop --window or use --method fbp")
    if quantile is not None and delta.strip().lower() != "auto":
        raise SettingError(f"--quantile {quantile:g} belongs to --delta auto, not to --delta {delta}; drop one of them")
    clock = _Clock()
    scan = read_scan(scan_file, **{key: options[key] for key in SCAN_KEYS})
    bound = delta_for(scan, delta, 0.95 if quantile is None else quantile)
    clock.note("read")
    if not as_json:
        for note in scan.notes:
            click.echo(f"note: {printable(note)}")
        click.echo(f"delta = {bound.value:.6g} ({bound.norm}; {bound.how})")
    problem = prepare(scan, bound, operator=options["operator"], device=options["device"])
    clock.note("prepare")
    with _watching(problem, quiet=as_json) as watch:
        outcome = _run(problem, watch, **{key: options[key] for key in ("method", "prior", "iterations", "window")})
    clock.note("reconstruct")
    result = conclude(
        problem, outcome, source=str(scan_file), began=began, method=options["method"], timings=clock.seconds
    )
    written = target.write(result, preview=preview)
    if report is not None:
        written["report"] = _report(report, written["image"], result)
    if as_json:
        click.echo(json.dumps(_summary(result, written, options["method"]), allow_nan=False))
    else:
        _tell(result, written, options["method"])
    if not result.certified:
        ctx.exit(EXIT_DELTA_NOT_MET)


SCAN_KEYS = ("geometry_file", "center", "row", "every", "size", "pixel_mm")


class _Clock:
    """Seconds by what was done since the note before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def note(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what], self._last = now - self._last, now


def _report(page: Path, image: Path, result: Reconstruction) -> Path:
    """From the files as they now are; the data of an image without certificate are at hand only here."""
    from ctrecon.report.content import gather
    from ctrecon.report.page import write_page

    write_page(page, gather(image, scan=None if result.certified else result.problem.scan))
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
        "status": "certified" if result.certified else "delta not met",
        "reason": result.outcome.reason,
        "method": method,
        "delta": result.problem.delta.value,
        "norm": result.problem.delta.norm,
        "delta_from": result.problem.delta.how,
        "residual": result.residual,
        "iterations": result.iterations,
        "image": str(written["image"]),
        "shape": list(result.image.shape),
        "pixel_mm": None if grid is None else grid.pixel_mm,
        "unit": None if grid is None else "1/mm",
        "certificate": str(written["certificate"]) if "certificate" in written else None,
        "preview": str(written["preview"]) if "preview" in written else None,
        "report": str(written["report"]) if "report" in written else None,
        "operator": type(operator).__name__,
        "seconds": round(result.seconds, 3),
        "notes": list(result.problem.scan.notes),
    }


def _tell(result: Reconstruction, written: dict[str, Path], method: str) -> None:
    delta, count = result.problem.delta, result.iterations
    after = f"after {count} iteration{'s' if count != 1 else ''}, {result.seconds:.1f} s"
    if result.certified:
        click.echo(f"certified {after}: residual {result.residual:.6g} <= delta {delta.value:.6g}")
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
