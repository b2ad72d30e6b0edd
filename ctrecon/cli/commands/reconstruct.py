"""Reconstruct a certified image from a sinogram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, ScanPath, scan_options
from ctrecon.cli.series import series_options, series_target
from ctrecon.reconstruction.methods import METHODS
from ctrecon.reconstruction.objectives import ENERGIES, REGULARISERS
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.reconstruction.settings import Settings
    from ctrecon.support.site_key import SiteKey
    from ctrecon.workbench.stack.cluster import Cluster

WINDOWS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")

GROUPS = {
    "The noise, and what is corrected": ("delta", "repeat", "model_error", "quantile", "correct"),
    "The method": ("method", "prior", "looks", "iterations", "window"),
    "The energy": ("energy", "regularise", "weight"),
    "What is computed, and where": ("operator", "device", "most_attenuation"),
    "What is written": ("output", "preview", "report", "sign", "overwrite", "as_json"),
    "All slices of a scan": ("all_slices", "spacing", "workers", "scheduler"),
}

@click.command(
    "reconstruct", cls=Command,
    examples=(
        "ctrecon reconstruct scan.npz --delta auto -o head.npy",
        "ctrecon reconstruct scan.npz --method huber-tv --delta 1% --report tv.html -o tv.npy",
        "ctrecon reconstruct scan.npz -o series/ --template INPUT.dcm",
        "ctrecon reconstruct scan.h5 --all-slices -o volume.zarr",
    ),
    groups=GROUPS,
)  # fmt: skip
@click.argument("scan_file", metavar="INPUT", type=ScanPath)
@click.option(
    "--delta",
    default="auto",
    is_flag=False,
    flag_value="auto",
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
@click.option("--correct", metavar="NAME,NAME:KEY=NUMBER", help="Corrections of the data; see ctrecon correct --help.")
@click.option("--method", type=click.Choice(METHODS), default="energy", show_default=True)
@click.option("--window", type=click.Choice(WINDOWS), help="Filter of fbp. Default: the smoothest that meets delta.")
@click.option(
    "--prior", metavar="NAME|FILE",
    help="Network weights. Default: ct-volume for a volume measured in space (cones), else ct-default.",
)  # fmt: skip
@click.option(
    "--energy", type=click.Choice(tuple(ENERGIES)), default="least-squares", show_default=True,
    help="What the methods energy and gradient lower; poisson for scans that keep their counts. Delta and certificate "
    "are those of the data all the same.",
)  # fmt: skip
@click.option("--regularise", type=click.Choice(tuple(REGULARISERS)), help="Add to it how rough the image is.")
@click.option("--weight", type=float, show_default="0.35", help="Of that, in units of the noise's pull at a pixel.")
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
    "-o", "--output",
    help=".npy; .nii.gz, .mha, .nrrd in HU, too; FOLDER/ for a DICOM series; of all slices .zarr, .nii.gz, .tif, .h5. "
    "Default: INPUT.recon.npy",
)
@click.option("--preview/--no-preview", default=True, help="Also draw pictures.")
@click.option("--report", type=FilePath, help="Also write one page about it, for a browser (.html).")
@click.option(
    "--sign", type=FilePath, metavar="KEY", help="Sign certificate or series with this private key (PEM, Ed25519)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@scan_options
@series_options
@click.option(
    "--all-slices", is_flag=True,
    help="Of a file of several rows, or a folder of projections: a volume of all, or a series. NAME.zarr implies it.",
)
@click.option("--spacing", type=float, metavar="MM", help="Of all slices. Default: a detector row at the axis.")
@click.option("--workers", type=click.IntRange(min=1), help="Slices, or views of a cone, on so many processes (Dask).")
@click.option("--scheduler", metavar="ADDRESS", help="Likewise, by the Dask cluster at this address (docs/cluster.md).")
@click.pass_context
def command(
    ctx: click.Context, /, scan_file: Path, output: str | None, preview: bool, report: Path | None, as_json: bool,
    all_slices: bool, spacing: float | None, workers: int | None, scheduler: str | None, **options: Any,
) -> None:
    """Reconstruct a certified image from the sinogram INPUT, a file or a folder of CT projections.

    Writes S.npy (attenuation in 1/mm), S.certificate.json and S.data.npy (what `ctrecon verify` checks), S.history.json
    (how it was made) and S.png.
    With -o FOLDER: a DICOM series in HU with report and certificates instead (docs/dicom.md).
    A job that was killed goes on where it was, about, when the same command is given again.
    Exit code 0: certified. 2: bad input. 3: delta not met; the best image is written with its true residual and, where
    no image at all meets delta, the certificate that proves this.
    """
    from ctrecon.errors import SettingError

    settings = settings_of(options)
    options["key"] = _key(options["sign"])
    inputs = [scan_file, *_named(options)]
    if not scan_file.is_dir():
        inputs.append(scan_file.with_suffix(".json"))
    stack = _stack_of(output, options, asked=all_slices or spacing is not None or _one_volume(output, options))
    if stack is not None:
        from ctrecon.cli.reconstruct_stack import to_stack
        from ctrecon.cli.reconstruct_volume import to_volume
        from ctrecon.io.slices import InSpaceError
        from ctrecon.outputs.stack.store import StackTarget

        executor = _executor(workers, scheduler)
        target = StackTarget(
            path=stack, water_mu=options["water_mu"], key=options["key"], overwrite=options["overwrite"]
        )
        try:
            if settings.all_rows:
                raise InSpaceError("asked for as one volume")
            code = to_stack(
                scan_file, settings, stack, spacing, executor=executor, water_mu=options["water_mu"],
                preview=preview, page=report, overwrite=options["overwrite"], key=options["key"], as_json=as_json,
            )  # fmt: skip
        except InSpaceError:
            if spacing is not None:
                raise SettingError(
                    f"{scan_file}: is measured in space, one volume whose grid says where slices stand; drop --spacing"
                ) from None
            code = to_volume(
                scan_file, settings, target, executor=executor, preview=preview, page=report, as_json=as_json
            )
        ctx.exit(code)
    series = series_target(
        output, options, [path for path in inputs if path.exists()], pictures=preview,
        folder=scan_file if scan_file.is_dir() else None, elsewhere=_elsewhere(output, report),
    )
    many = all_slices or spacing is not None
    if many and series is None:
        raise SettingError(
            "--all-slices and --spacing go with a folder of projections and -o FOLDER/, or with -o NAME.zarr, .nii.gz, "
            ".tif, .h5; drop them"
        )
    executor = _executor(workers, scheduler)
    if series is not None and not as_json:
        for note in series.study.notes:
            click.echo(f"note: {printable(note)}")
    where: dict[str, Any] = {name: options[name] for name in ("slice_mm", "water_mu")}
    if series is None:
        where["key"] = options["key"]
        from ctrecon.cli.reconstruct_one import to_files

        code = to_files(
            scan_file, settings, inputs, output, preview=preview, page=report, overwrite=options["overwrite"],
            as_json=as_json, executor=executor, **where,
        )
    elif many:
        from ctrecon.cli.reconstruct_stack import to_series

        code = to_series(
            scan_file, settings, series, spacing, executor=executor,
            slice_mm=options["slice_mm"], as_json=as_json,
        )  # fmt: skip
    else:
        from ctrecon.cli.reconstruct_one import to_one_series

        code = to_one_series(
            scan_file, settings, series, page=report, as_json=as_json, executor=executor, **where
        )
    ctx.exit(code)


def _key(path: Path | None) -> SiteKey | None:
    """The private key, read before any work is done."""
    if path is None:
        return None
    from ctrecon.support.site_key import read_site_key

    return read_site_key(path)


def settings_of(options: dict[str, Any]) -> Settings:
    """The options of the command that are settings of the library."""
    from dataclasses import fields

    from ctrecon.reconstruction.settings import Settings

    names = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in options.items() if name in names})


def _executor(workers: int | None, scheduler: str | None) -> Cluster | None:
    """Who does slices, or blocks of views; None for this process. Raises SettingError where Dask is not installed."""
    if workers is None and scheduler is None:
        return None
    from ctrecon.errors import SettingError

    try:
        from ctrecon.workbench.stack.cluster import Cluster
    except ImportError as why:
        raise SettingError(
            f"--workers and --scheduler need Dask ({why.name} is missing); pip install 'ctrecon-edn[cluster]'"
        ) from None
    return Cluster(workers=workers, scheduler=scheduler)


def _stack_of(output: str | None, options: dict[str, Any], *, asked: bool) -> Path | None:
    """The volume of all slices that ``-o`` names; None where it names something else. Raises SettingError."""
    from ctrecon.cli.series import KEYS
    from ctrecon.errors import SettingError
    from ctrecon.outputs.stack.formats import ONLY_STACKS, stack_suffix

    suffix = None if output is None else stack_suffix(Path(output.rstrip("/")))
    if output is None or suffix is None or not (asked or suffix in ONLY_STACKS):
        return None
    for name in KEYS:
        if name != "water_mu" and options[name] not in (None, False):
            option = "--" + name.replace("_", "-")
            raise SettingError(f"{option} belongs to a DICOM series; write one with -o FOLDER/, or drop it")
    return Path(output.rstrip("/"))


def _one_volume(output: str | None, options: dict[str, Any]) -> bool:
    """Whether all rows go to a format that no image beside them is written to."""
    from ctrecon.io.volume_names import volume_suffix

    return options["all_rows"] and output is not None and volume_suffix(Path(output)) is None


def _named(options: dict[str, Any]) -> list[Path]:
    """The files that the options name: no output may replace one."""
    return [Path(options[name]) for name in ("repeat", "geometry", "prior", "template", "sign") if options[name]]


def _elsewhere(output: str | None, report: Path | None) -> tuple[str, ...]:
    """Options of a series that a volume or a report has a use for, too."""
    from ctrecon.io.volume_names import volume_suffix

    volume = output is not None and volume_suffix(Path(output)) is not None
    return ("water_mu",) * (volume or report is not None) + ("slice_mm",) * volume
