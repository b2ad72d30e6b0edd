"""Enlarge a picture so that, pooled again, it is the given one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import EXIT_DELTA_NOT_MET, printable
from ctrecon.cli.options import FilePath, overwrite_option
from ctrecon.support.rounded import at_least

if TYPE_CHECKING:
    from ctrecon.io.pictures import Picture


@click.command("superres", cls=Command, examples=("ctrecon superres photo.png --scale 4 -o large.png",))
@click.argument("image", metavar="IMAGE", type=FilePath)
@click.option("--scale", type=click.IntRange(2, 16), default=4, show_default=True, help="How much larger; whole.")
@click.option(
    "--tolerance", type=float, default=0.5, show_default=True,
    help="Most by which any pixel of the image, pooled again, may differ from IMAGE, in grey levels.",
)
@click.option(
    "--prior", default="superres-default", show_default=True, metavar="NAME|FILE|none",
    help="Network weights, for their own scale; none interpolates, for every scale.",
)
@click.option("--careful", is_flag=True, help="Ask the network about all eight mirror images: better, 8 times slower.")
@click.option("--iterations", type=click.IntRange(min=1), default=15, show_default=True, help="Most iterations.")
@click.option("-o", "--output", type=FilePath, help="PNG or TIFF (.nii for DICOM and NIfTI). Default: IMAGE.x4.png.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context, image: Path, scale: int, tolerance: float, prior: str, careful: bool, iterations: int,
    output: Path | None, overwrite: bool, as_json: bool,
) -> None:
    """Enlarge IMAGE so that, pooled again, it is the given one.

    IMAGE is a picture of 8 or 16 bits, grey or colour, or one slice of DICOM or NIfTI; every size can be enlarged.
    Writes the picture S.png, its values S.npy, the given ones S.data.npy, and S.certificate.json, which `ctrecon
    verify` checks. Exit code 0: certified. 2: bad input. 3: tolerance not met; the image is written all the same.
    """
    from ctrecon.applications.superresolution.enlarge import enlarge_levels, load_superresolution_network
    from ctrecon.certificates.feasible import FeasibleCertificate
    from ctrecon.certificates.pooled import certify_pooled
    from ctrecon.certificates.worth import worth_of
    from ctrecon.errors import SettingError
    from ctrecon.io.pictures import read_picture
    from ctrecon.outputs.picture import PictureTarget

    began = time.monotonic()
    if not 0 < tolerance < 1e9:
        raise SettingError(f"the tolerance must be a number of grey levels > 0, got {tolerance}")
    picture = read_picture(image)
    suffix = ".png" if picture.spacing_mm is None else ".nii"
    target = PictureTarget.at(
        output or Path(f"{image.name.split('.')[0]}.x{scale}{suffix}"), picture, inputs=[image, Path(prior)],
        overwrite=overwrite,
    )
    network: Any = None if prior == "none" else load_superresolution_network(prior, scale)
    if careful and network is not None:
        from ctrecon.networks.mirrored import Mirrored

        network = Mirrored(network)
    larger = enlarge_levels(
        picture.levels, scale, network, lowest=picture.lowest, highest=picture.highest, whole=picture.whole,
        most_iterations=iterations,
    )
    certificate = certify_pooled(larger, picture.levels, scale, tolerance, source=image)
    written = target.write(larger, scale, certificate)
    facts = {
        "status": "certified" if "certificate" in written else "tolerance not met",
        "scale": scale,
        "shape": list(larger.shape),
        "tolerance": tolerance,
        "largest_difference": certificate.residual,
        "largest_difference_proved": certificate.residual_upper_bound,
        "says": worth_of(certificate).said if isinstance(certificate, FeasibleCertificate) else "",
        "image": str(written["picture"]),
        "values": str(written["image"]),
        "certificate": str(written["certificate"]) if "certificate" in written else None,
        "seconds": round(time.monotonic() - began, 3),
        "notes": [picture.note] if picture.note else [],
    }
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))
    else:
        _tell(facts, picture, written)
    if "certificate" not in written:
        ctx.exit(EXIT_DELTA_NOT_MET)


def _tell(facts: dict[str, Any], picture: Picture, written: dict[str, Path]) -> None:
    for note in facts["notes"]:
        click.echo(f"note: {printable(note)}")
    rows, columns = picture.levels.shape[:2]
    most = at_least(facts["largest_difference_proved"], 3)
    click.echo(
        f"{facts['status']} after {facts['seconds']:.1f} s: {rows} x {columns} pixels are now {facts['shape'][0]} x "
        f"{facts['shape'][1]}; pooled again they differ by at most {most} grey levels "
        f"(tolerance {facts['tolerance']:g})" + (f"; {facts['says']}" if facts["says"] else "")
    )
    for what, path in written.items():
        click.echo(f"{what:>12}: {printable(str(path))}")
