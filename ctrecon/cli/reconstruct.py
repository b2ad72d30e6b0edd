"""``ctrecon reconstruct``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import EXIT_DELTA_NOT_MET, printable
from ctrecon.cli.options import FilePath, ScanPath, scan_options
from ctrecon.cli.reconstruct_said import proving, summary, tell, tell_all, watching
from ctrecon.cli.series import series_options, series_target

if TYPE_CHECKING:
    from ctrecon.classical.fbp import Window
    from ctrecon.operators.choose import OperatorName, Uses
    from ctrecon.reconstruction.problem import Outcome, Problem, Watch
    from ctrecon.reconstruction.conclude import Reconstruction
    from ctrecon.measurement.scan import Scan

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
@click.option(
    "--model-error",
    default="auto",
    show_default=True,
    metavar="VALUE|auto|PERCENT",
    help="Room in delta for what the operator does not model. auto: with --delta auto, an estimate of what the pixels "
    "cost; a value or a percentage of ||f|| takes its place, 0 is none.",
)
@click.option(
    "--quantile",
    type=float,
    show_default="0.95",
    help="With auto: the share of scans whose true image meets delta, if nothing but noise and pixels is in the way.",
)
@click.option("--method", type=click.Choice(METHODS), default="energy", show_default=True)
@click.option("--window", type=click.Choice(WINDOWS), help="Filter of fbp. Default: the smoothest that meets delta.")
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE", help="Network weights.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations. Default: the method's own.")
@click.option("--looks", type=click.IntRange(1, 30), help="Answers of the network; their mean is the image. Default 4.")
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
@click.option("--all-slices", is_flag=True, help="Of a folder of projections: a series of all slices.")
@click.option("--spacing", type=float, metavar="MM", help="Of all slices. Default: a detector row at the axis.")
@click.pass_context
def command(
    ctx: click.Context, /, scan_file: Path, delta: str, repeat: Path | None, model_error: str,
    quantile: float | None, output: str | None, preview: bool, report: Path | None, as_json: bool, **options: Any,
) -> None:
    """Reconstruct a certified image from the sinogram INPUT, a file or a folder of CT projections.

    Writes S.npy (attenuation in 1/mm), S.certificate.json and S.data.npy (what `ctrecon verify` checks), S.history.json
    (how it was made) and S.png.
    With -o FOLDER: a DICOM series in HU with report and certificates instead (docs/dicom.md).
    Exit code 0: certified. 2: bad input. 3: delta not met; the best image is written with its true residual and, where
    no image at all meets delta, the certificate that proves this.
    """
    from ctrecon.outputs import files as outputs
    from ctrecon.errors import SettingError
    from ctrecon.io.volume_names import volume_suffix

    began = time.monotonic()
    sidecar = None if scan_file.is_dir() else scan_file.with_suffix(".json")
    given = (
        scan_file, sidecar, repeat, options["geometry"], Path(options["prior"]), options["template"],
    )
    inputs = [path for path in given if path is not None and path.exists()]
    volume = output is not None and volume_suffix(Path(output)) is not None
    elsewhere = ("water_mu",) * (volume or report is not None) + ("slice_mm",) * volume
    series = series_target(
        output, options, inputs, pictures=preview, folder=scan_file if scan_file.is_dir() else None, elsewhere=elsewhere
    )
    if series is None:
        name = scan_file.resolve().name if scan_file.is_dir() else scan_file.name.removesuffix(scan_file.suffix)
        image = Path(output or f"{name}.recon.npy")
        target = outputs.Target.at(
            image, inputs=inputs, z_mm=options["z_mm"] or 0.0, water_mu=options["water_mu"],
            slice_mm=options["slice_mm"],
        )
    if report is not None:
        if series is not None:
            raise SettingError(
                f"a series brings its own reports, so drop --report {report}; `ctrecon report` makes the page of a "
                "slice from its certificate"
            )
        from ctrecon.report.page import check_place

        check_place(report, *inputs)
    many = options["all_slices"] or options["spacing"] is not None
    fits_many = series is not None and scan_file.is_dir()
    _check_settings(delta, quantile, repeat, options, many=many, fits_many=fits_many)
    chance = 0.95 if quantile is None else quantile

    def one(
        scan: Scan, second: Scan | None = None, *, started: float = began, title: str | None = None, **changes: Any
    ) -> Reconstruction:
        how = {key: options[key] for key in METHOD_KEYS} | changes
        return _reconstruct(
            scan, second, delta=delta, chance=chance, model_error=model_error, source=scan_file, began=started,
            quiet=as_json, title=title, **how,
        )

    if series is not None and not as_json:
        for note in series.study.notes:
            click.echo(f"note: {printable(note)}")
    results, written = [], {}
    if series is None:
        results = [one(*_scans(scan_file, repeat, options))]
        written = target.write(results[0], preview=preview)
        if volume and not as_json:
            water, how = results[0].problem.scan.water(options["water_mu"])
            click.echo(f"note: {written['volume'].name} is in HU with water at {water:g} per mm ({how})")
        if report is not None:
            written["report"] = _report(report, written["image"], results[0], options["water_mu"])
    else:
        if many:
            from ctrecon.cli.reconstruct_slices import all_slices

            places, results = all_slices(scan_file, options, one, quiet=as_json)
        else:
            places, results = [options["z_mm"] or 0.0], [one(*_scans(scan_file, repeat, options))]
        stored, written = series.write(
            results, method=options["method"], iterative=options["method"] != "fbp", z_mm=places,
            thickness_mm=options["slice_mm"],
        )
        results = list(stored)
    if as_json:
        told = [summary(result, written, options["method"]) for result in results]
        for one_told in told:
            one_told["notes"] += [] if series is None else series.study.notes
        click.echo(json.dumps({"slices": told} if many else told[0], allow_nan=False))
    elif many:
        tell_all(results, written, options["method"])
    else:
        tell(results[0], written, options["method"])
    if not all(result.certified for result in results):
        ctx.exit(EXIT_DELTA_NOT_MET)


def _check_settings(
    delta: str, quantile: float | None, repeat: Path | None, options: dict[str, Any], *, many: bool, fits_many: bool
) -> None:
    """Settings that do not go together. Raises SettingError."""
    from ctrecon.errors import SettingError

    method = options["method"]
    if options["iterations"] is not None and method in ("huber-tv", "fbp"):
        raise SettingError(f"--method {method} runs to its own end; drop --iterations")
    if options["looks"] is not None and method != "energy":
        raise SettingError(f"--method {method} asks no network; drop --looks")
    if options["window"] is not None and method != "fbp":
        raise SettingError(f"--method {method} has no filter; drop --window or use --method fbp")
    automatic = delta.strip().lower() == "auto"
    if quantile is not None and not automatic:
        raise SettingError(f"--quantile {quantile:g} belongs to --delta auto, not to --delta {delta}; drop one of them")
    if repeat is not None and not automatic:
        raise SettingError(f"--repeat {repeat} gives delta, so drop --delta {delta}, or --repeat")
    if many and not fits_many:
        raise SettingError("--all-slices and --spacing go with a folder of projections and -o FOLDER/; drop them")
    if many and (repeat is not None or options["z_mm"] is not None):
        raise SettingError("--all-slices takes every slice of one scan; drop --z and --repeat")


def _scans(scan_file: Path, repeat: Path | None, options: dict[str, Any]) -> tuple[Scan, Scan | None]:
    from ctrecon.io.arrays import read_scan

    reading = {key: options[key] for key in SCAN_KEYS}
    return read_scan(scan_file, **reading), None if repeat is None else read_scan(repeat, **reading)


def _reconstruct(
    scan: Scan, second: Scan | None, *, delta: str, chance: float, model_error: str, source: Path, began: float,
    quiet: bool, title: str | None, method: str, prior: str, iterations: int | None, window: Window | None,
    looks: int | None, operator: OperatorName | None, device: str | None, most_attenuation: float | None,
    uses: Uses = "many",
) -> Reconstruction:
    """One image of ``scan``, or of its mean with ``second``, and what is proved of it.

    With a ``title`` it is one of many, and says nothing but what it is at, on a terminal.
    """
    from ctrecon.measurement.delta import delta_for, mean_of_repeats
    from ctrecon.reconstruction.problem import prepare
    from ctrecon.reconstruction.conclude import conclude

    clock = _Clock(began)
    if second is None:
        bound = delta_for(scan, delta, chance, model_error=model_error)
    else:
        scan, bound = mean_of_repeats(scan, second, chance, model_error=model_error)
    clock.note("read")
    if not quiet and title is None:
        for note in scan.notes:
            click.echo(f"note: {printable(note)}")
        click.echo(f"delta = {bound.value:.6g} ({bound.norm}; {bound.how})")
    problem = prepare(scan, bound, operator=operator, device=device, most_attenuation=most_attenuation, uses=uses)
    if not quiet and title is None:
        for note in problem.scan.notes[len(scan.notes) :]:
            click.echo(f"note: {printable(note)}")
    clock.note("prepare")
    with watching(problem, quiet=quiet, title=title) as watch:
        outcome = _run(problem, watch, method=method, prior=prior, iterations=iterations, window=window, looks=looks)
    clock.note("reconstruct")
    # A certificate notes the hash of the file it came from; a folder has none.
    with proving(problem, quiet=quiet) as proof_watch:
        return conclude(
            problem, outcome, source=None if source.is_dir() else str(source), began=began, method=method,
            timings=clock.seconds, watch=proof_watch,
        )


METHOD_KEYS = ("method", "prior", "iterations", "window", "looks", "operator", "device", "most_attenuation")
SCAN_KEYS = ("geometry", "center", "row", "every", "size", "pixel_mm", "z_mm")


class _Clock:
    """Seconds by what was done since the note before."""

    def __init__(self, began: float) -> None:
        self.seconds: dict[str, float] = {}
        self._last = began

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
    problem: Problem, watch: Watch | None, *, method: str, prior: str, iterations: int | None, window: Window | None,
    looks: int | None,
) -> Outcome:
    from ctrecon.reconstruction import conclude as r
    from ctrecon.networks.pretrained import load_ct_network

    most: dict[str, Any] = {} if iterations is None else {"most_iterations": iterations}
    if method == "energy":
        most |= {} if looks is None else {"looks": looks}
        return r.energy_dissipation(problem, load_ct_network(prior)[0], **most, watch=watch)
    if method == "gradient":
        return r.gradient_descent(problem, **most, watch=watch)
    if method == "cgls":
        return r.conjugate_gradients(problem, **most, watch=watch)
    if method == "huber-tv":
        return r.huber_tv(problem, watch=watch)
    return r.filtered_back_projection(problem, window=window, watch=watch)
