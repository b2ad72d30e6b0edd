"""``ctrecon simulate``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, percent

if TYPE_CHECKING:
    pass

FAMILY_NAMES = ("ellipses", "polygons", "head", "chest", "textured", "seeds")


@click.command("simulate")
@click.option("-o", "--output", type=FilePath, default=Path("scan.npz"), show_default=True, help=".npz or .npy")
@click.option("--phantom", type=click.Choice(FAMILY_NAMES), show_default="chest")
@click.option("--image", "image_file", type=FilePath, help="Scan this image (.npy, 1/mm) instead of a phantom.")
@click.option("--from-dicom", type=ScanPath, help="Scan slices of this CT series (folder, .zip, file; or NIfTI in HU).")
@click.option("--slice", "which", metavar="N|all", help="Of --from-dicom, from 1. Default: the middle one.")
@click.option("--series", type=int, help="Of --from-dicom: its SeriesNumber, where there are several.")
@click.option("--geometry", "geometry_file", type=FilePath, help="Scanner and grid as JSON.")
@click.option("--beam", type=click.Choice(("fan", "parallel")), show_default="fan")
@click.option("--size", type=click.IntRange(8, 4096), show_default="164", help="Image side and detector.")
@click.option("--views", type=click.IntRange(1, 100_000), show_default="120; 720 with --from-dicom")
@click.option("--noise", type=percent, default="1%", show_default=True, help="Gaussian, relative to ||f||.")
@click.option("--electronic-sigma", type=float, default=0.0, help="With --photons: electronic noise in counts.")
@click.option("--photons", "--dose", type=float, help="Poisson noise with so many photons per ray instead.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    output: Path, as_json: bool, noise: float, photons: float | None, electronic_sigma: float,
    seed: int, **options: Any,
) -> None:
    """Simulate a scan and write it, with the true image beside it as NAME.truth.npy.

    Phantoms have exact line integrals, so nothing is reconstructed with the operator it was simulated with.
    The delta printed is the true one, ||A u - f|| of the true image on the grid, noise and discretisation together.
    With --slice all, slice K is written as NAME.000K.npz, with the seed SEED + K - 1.
    """
    from ctrecon.errors import InputError
    from ctrecon.io.write import write_array, write_scan
    from ctrecon.simulation.simulate import simulate

    if output.suffix not in (".npy", ".npz"):
        raise InputError(f"a scan is written as .npz or .npy, got {output.name}")
    if photons is not None and output.suffix != ".npz":
        raise InputError(f"{output.name} cannot hold the variances that counts have; give -o NAME.npz")
    subjects, notes = _subjects(**options)
    scans = [_Paths.of(output, subject.get("number")) for subject in subjects]
    for given in (options["image_file"], options["geometry_file"], options["from_dicom"]):
        if given is not None and given.resolve() in {p.resolve() for paths in scans for p in paths.all}:
            raise InputError(f"{output} and the files beside it would replace the input {given}; give another -o FILE")
    told = []
    for k, (subject, paths) in enumerate(zip(subjects, scans, strict=True)):
        number = subject.pop("number", None)
        made = simulate(
            **subject, relative_noise=noise, photons=photons, electronic_sigma=electronic_sigma,
            seed=seed + (k if len(scans) > 1 else 0),
        )
        write_scan(paths.scan, made.scan)
        write_array(paths.truth, made.truth)
        told.append({
            "scan": str(paths.scan), "truth": str(paths.truth), "views": made.scan.sinogram.shape[0],
            "detectors": made.scan.sinogram.shape[1], "size": made.truth.shape[0], "true_delta": made.delta,
            "true_delta_percent": made.delta_percent, "whitened_delta": made.whitened_delta,
            **({} if number is None else {"slice": number}),
        })  # fmt: skip
    if as_json:
        facts: Any = told[0] if options["which"] != "all" else {"scans": told}
        click.echo(json.dumps({**facts, "notes": list(notes)}, allow_nan=False))
        return
    for note in notes:
        click.echo(f"note: {printable(note)}")
    for one in told:
        click.echo(f"scan:  {printable(one['scan'])}  ({one['views']} views of {one['detectors']} cells)")
        click.echo(f"truth: {printable(one['truth'])}")
        click.echo(f"true delta ||A u - f|| = {one['true_delta']:.6g} ({one['true_delta_percent']:.3g}% of ||f||)")


@dataclass(frozen=True)
class _Paths:
    scan: Path
    truth: Path

    @staticmethod
    def of(output: Path, number: int | None) -> _Paths:
        scan = output if number is None else output.with_name(f"{output.stem}.{number:04d}{output.suffix}")
        return _Paths(scan, scan.with_name(scan.stem + ".truth.npy"))

    @property
    def all(self) -> tuple[Path, ...]:
        return self.scan, self.truth, self.scan.with_suffix(".json")


def _subjects(
    from_dicom: Path | None, which: str | None, series: int | None, **options: Any
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """What is to be scanned and how, as arguments of ``simulate``; ``number`` where several slices are asked for."""
    from ctrecon.errors import SettingError

    if from_dicom is None:
        if which is not None or series is not None:
            raise SettingError("--slice and --series choose from a series; give it with --from-dicom")
        return [_arguments(**options)], ()
    from ctrecon.simulation.clinical import VIEWS, clinical_slices

    for name, key in (("--phantom", "phantom"), ("--image", "image_file"), ("--size", "size")):
        if options[key] is not None:
            raise SettingError(f"--from-dicom brings its own picture and size; drop {name} {options[key]}")
    slices, notes = clinical_slices(
        from_dicom, which=which, series=series, beam=options["beam"] or "fan", views=options["views"] or VIEWS
    )
    subjects = []
    for one in slices:
        subject = {"subject": one.mu, "geometry": one.geometry, "grid": one.grid}
        if options["geometry_file"] is not None:
            subject["geometry"] = _scanner(options["geometry_file"], options["beam"], None, options["views"])[0]
        subjects.append(subject | ({"number": one.number} if which == "all" else {}))
    return subjects, notes


def _scanner(geometry_file: Path | None, beam: str | None, size: int | None, views: int | None) -> tuple[Any, Any]:
    from ctrecon.errors import SettingError
    from ctrecon.geometry.grid import default_grid
    from ctrecon.geometry.as_json import geometry_from_dict
    from ctrecon.io.sidecar import find_sidecar
    from ctrecon.simulation.simulate import standard_scanner

    if geometry_file is None:
        return standard_scanner(beam or "fan", size or 164, views or 120)
    for name, value in (("--beam", beam), ("--size", size), ("--views", views)):
        if value is not None:
            raise SettingError(f"--geometry says what {name} {value} would; drop one of them")
    sidecar = find_sidecar(geometry_file, geometry_file)
    assert sidecar is not None  # a named file is found, or the reason why not is raised
    geometry, maybe = geometry_from_dict(sidecar.geometry or {})
    return geometry, default_grid(geometry) if maybe is None else maybe


def _arguments(
    phantom: str | None, image_file: Path | None, geometry_file: Path | None, beam: str | None, size: int | None,
    views: int | None,
) -> dict[str, Any]:
    from ctrecon.errors import InputError
    from ctrecon.io.images import read_image_array
    from ctrecon.phantoms import FAMILIES

    geometry, grid = _scanner(geometry_file, beam, size, views)
    subject: Any = next(family for family in FAMILIES if family.name == (phantom or "chest"))
    if image_file is not None:
        subject = read_image_array(image_file)
        if subject.shape != grid.shape:
            raise InputError(f"{image_file} has shape {subject.shape}, the grid {grid.shape}; use --size or --geometry")
    return {"subject": subject, "geometry": geometry, "grid": grid}
