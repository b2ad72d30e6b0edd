"""``ctrecon simulate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, percent

if TYPE_CHECKING:
    from ctrecon.arc_fan import Beam

FAMILY_NAMES = ("ellipses", "polygons", "head", "chest", "textured", "seeds")


@click.command("simulate")
@click.option("-o", "--output", type=FilePath, default=Path("scan.npz"), show_default=True, help=".npz or .npy")
@click.option("--phantom", type=click.Choice(FAMILY_NAMES), default="chest", show_default=True)
@click.option("--image", "image_file", type=FilePath, help="Scan this image (.npy, 1/mm) instead of a phantom.")
@click.option("--geometry", "geometry_file", type=FilePath, help="Scanner and grid as JSON.")
@click.option("--beam", type=click.Choice(("fan", "parallel")), show_default="fan")
@click.option("--size", type=click.IntRange(8, 4096), show_default="164", help="Image side and detector.")
@click.option("--views", type=click.IntRange(1, 100_000), show_default="120")
@click.option("--noise", type=percent, default="1%", show_default=True, help="Gaussian, relative to ||f||.")
@click.option("--photons", type=float, help="Poisson noise with so many photons per ray instead.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(output: Path, as_json: bool, noise: float, **options: Any) -> None:
    """Simulate a scan and write it, with the true image beside it as NAME.truth.npy.

    Phantoms have exact line integrals, so nothing is reconstructed with the operator it was simulated with.
    The delta printed is the true one, ||A u - f|| of the true image on the grid, noise and discretisation together.
    """
    from ctrecon.errors import InputError
    from ctrecon.io.arrays import write_array, write_scan
    from ctrecon.simulation import simulate

    if output.suffix not in (".npy", ".npz"):
        raise InputError(f"a scan is written as .npz or .npy, got {output.name}")
    truth = output.with_name(output.stem + ".truth.npy")
    for given in (options["image_file"], options["geometry_file"]):
        if given is not None and given.resolve() in {p.resolve() for p in (output, truth, output.with_suffix(".json"))}:
            raise InputError(f"{output} and the files beside it would replace the input {given}; give another -o FILE")
    if options["photons"] is not None and output.suffix != ".npz":
        raise InputError(f"{output.name} cannot hold the variances that counts have; give -o NAME.npz")
    made = simulate(relative_noise=noise, **_arguments(**options))
    write_scan(output, made.scan)
    write_array(truth, made.truth)
    facts = {
        "scan": str(output), "truth": str(truth), "views": made.scan.sinogram.shape[0],
        "detectors": made.scan.sinogram.shape[1], "size": made.truth.shape[0], "true_delta": made.delta,
        "true_delta_percent": made.delta_percent, "whitened_delta": made.whitened_delta,
    }
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))
        return
    click.echo(f"scan:  {printable(str(output))}  ({facts['views']} views of {facts['detectors']} cells)")
    click.echo(f"truth: {printable(str(truth))}")
    click.echo(f"true delta ||A u - f|| = {made.delta:.6g} ({made.delta_percent:.3g}% of ||f||)")


def _arguments(
    phantom: str, image_file: Path | None, geometry_file: Path | None, beam: str | None, size: int | None,
    views: int | None, photons: float | None, seed: int,
) -> dict[str, Any]:
    from ctrecon.errors import InputError, SettingError
    from ctrecon.geometry import default_grid
    from ctrecon.geometry_json import geometry_from_dict
    from ctrecon.io.images import read_image_array
    from ctrecon.io.sidecar import find_sidecar
    from ctrecon.phantoms import FAMILIES
    from ctrecon.simulation import standard_scanner

    if geometry_file is None:
        geometry: Beam
        geometry, grid = standard_scanner(beam or "fan", size or 164, views or 120)
    else:
        for name, value in (("--beam", beam), ("--size", size), ("--views", views)):
            if value is not None:
                raise SettingError(f"--geometry says what {name} {value} would; drop one of them")
        sidecar = find_sidecar(geometry_file, geometry_file)
        assert sidecar is not None  # a named file is found, or the reason why not is raised
        geometry, maybe = geometry_from_dict(sidecar.geometry or {})
        grid = default_grid(geometry) if maybe is None else maybe
    subject: Any = next(family for family in FAMILIES if family.name == phantom)
    if image_file is not None:
        subject = read_image_array(image_file)
        if subject.shape != grid.shape:
            raise InputError(f"{image_file} has shape {subject.shape}, the grid {grid.shape}; use --size or --geometry")
    return {"subject": subject, "geometry": geometry, "grid": grid, "photons": photons, "seed": seed}
