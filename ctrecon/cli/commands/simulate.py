"""Simulate a scan of a phantom or an image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option, percent
from ctrecon.support.folder import in_place

if TYPE_CHECKING:
    from ctrecon.simulation.simulated import Simulated

IN_THE_PLANE, IN_SPACE = (
    tuple(name.replace("_", "-") for name in in_place(f"ctrecon.phantoms.{one}")) for one in ("families", "bodies")
)
FAMILY_NAMES = tuple(dict.fromkeys((*IN_THE_PLANE, *IN_SPACE)))


def _phantom(context: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """One by name, or a Python file of the user's own."""
    if given is None or given in FAMILY_NAMES or given.endswith(".py"):
        return given
    raise click.BadParameter(f"{given!r} is not one of {', '.join(FAMILY_NAMES)}, nor a Python file NAME.py")


@click.command(
    "simulate", cls=Command,
    examples=(
        "ctrecon simulate --phantom head --noise 1% -o scan.npz",
        "ctrecon simulate --phantom chest --photons 1e5 --views 360 -o counts.npz",
        "ctrecon simulate --from-dicom SERIES --slice 40 --dose 1e5 -o scan.npz",
    ),
)  # fmt: skip
@click.option("-o", "--output", type=FilePath, default=Path("scan.npz"), show_default=True, help=".npz or .npy")
@click.option("--phantom", metavar="NAME|FILE.py", callback=_phantom, show_default="chest; of a cone trunk",
    help=f"{', '.join(FAMILY_NAMES)} (of a cone {', '.join(IN_SPACE)}), or a Python file of your own, which is run.")
@click.option("--image", "image_file", type=FilePath, help="Scan this image (.npy, 1/mm) instead of a phantom.")
@click.option("--from-dicom", type=ScanPath, help="Scan slices of this CT series (folder, .zip, file; or NIfTI in HU).")
@click.option("--slice", "which", metavar="N|all", help="Of --from-dicom, from 1. Default: the middle one.")
@click.option("--series", type=int, help="Of --from-dicom: its SeriesNumber, where there are several.")
@click.option("--series-uid", metavar="UID", help="Of --from-dicom: its SeriesInstanceUID, where numbers are the same.")
@click.option("--insist-hu", is_flag=True, help="Of --from-dicom: values are HU, whatever the files call them.")
@click.option("--geometry", "geometry_file", type=FilePath, help="Scanner and grid as JSON.")
@click.option("--beam", type=click.Choice(("fan", "parallel", "cone")), show_default="fan")
@click.option("--size", type=click.IntRange(8, 4096), show_default="164; 64 of a cone", help="Image side and detector.")
@click.option("--views", type=click.IntRange(1, 100_000), show_default="120; 720 with --from-dicom")
@click.option("--noise", type=percent, default="1%", show_default=True, help="Gaussian, relative to ||f||.")
@click.option("--electronic-sigma", type=float, default=0.0, help="With --photons: electronic noise in counts.")
@click.option("--photons", "--dose", type=float, help="Poisson noise with so many photons per ray instead.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    output: Path, as_json: bool, noise: float, photons: float | None, electronic_sigma: float, seed: int,
    from_dicom: Path | None, which: str | None, series: int | None, series_uid: str | None, insist_hu: bool,
    phantom: str | None, image_file: Path | None,
    geometry_file: Path | None, beam: str | None, size: int | None, views: int | None,
    overwrite: bool,
) -> None:
    """Simulate a scan and write it, with the true image beside it as NAME.truth.npy.

    Phantoms have exact line integrals, so nothing is reconstructed with the operator it was simulated with.
    The delta printed is the true one, ||A u - f|| of the true image on the grid, noise and discretisation together.
    With --slice all, slice K is written as NAME.000K.npz, with the seed SEED + K - 1.
    """
    from ctrecon.dicom.images.images import Choice
    from ctrecon.errors import SettingError
    from ctrecon.support.places import check_places
    from ctrecon.workbench import simulate as bench

    bench.check_scan_path(output, photons=photons)
    how: dict[str, Any] = {
        "geometry": geometry_file, "beam": beam, "views": views, "noise": noise, "photons": photons,
        "electronic_sigma": electronic_sigma, "seed": seed,
    }
    scans: Iterable[Simulated]
    numbers: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    if from_dicom is None:
        if which is not None or series is not None or series_uid is not None or insist_hu:
            raise SettingError(
                "--slice and --series choose from a series, --series-uid and --insist-hu too; give it with --from-dicom"
            )
        subject = image_file or phantom
        scans = (bench.simulate(subject, size=size, **how) for _ in (0,))
    else:
        for name, value in (("--phantom", phantom), ("--image", image_file), ("--size", size)):
            if value is not None:
                raise SettingError(f"--from-dicom brings its own picture and size; drop {name} {value}")
        choice = Choice(number=series, uid=series_uid, insist_hu=insist_hu)
        made = bench.simulate_slices(from_dicom, which=which, choice=choice, **how)
        scans, numbers, notes = made.scans, made.numbers if which == "all" else (), made.notes
    places = [output.with_name(f"{output.stem}.{n:04d}{output.suffix}") for n in numbers] or [output]
    ours = [path for place in places for path in bench.scan_paths(place).values()]
    read = [given for given in (image_file, geometry_file, from_dicom) if given is not None]
    check_places(ours, overwrite=overwrite, inputs=read)
    told = []
    for place, number, one in zip(places, numbers or [None], scans, strict=True):
        paths = bench.write_simulated(place, one)
        rows = {} if one.scan.sinogram.ndim == 2 else {"detector_rows": one.scan.sinogram.shape[1]}
        told.append({
            "scan": str(paths["scan"]), "truth": str(paths["truth"]), "views": one.scan.sinogram.shape[0],
            "detectors": one.scan.sinogram.shape[-1], "size": one.truth.shape[0], "true_delta": one.delta,
            "true_delta_percent": one.delta_percent, "whitened_delta": one.whitened_delta,
            **rows, **({} if number is None else {"slice": number}),
        })  # fmt: skip
    if as_json:
        facts: Any = told[0] if which != "all" else {"scans": told}
        click.echo(json.dumps({**facts, "notes": list(notes)}, allow_nan=False))
        return
    for note in notes:
        click.echo(f"note: {printable(note)}")
    for one_told in told:
        cells = f"{one_told['detectors']} cells"
        if "detector_rows" in one_told:
            cells = f"{one_told['detector_rows']} x {cells}"
        extent = f"{one_told['views']} views of {cells}"
        click.echo(f"scan:  {printable(one_told['scan'])}  ({extent})")
        click.echo(f"truth: {printable(one_told['truth'])}")
        percent_of = one_told["true_delta_percent"]
        click.echo(f"true delta ||A u - f|| = {one_told['true_delta']:.6g} ({percent_of:.3g}% of ||f||)")
