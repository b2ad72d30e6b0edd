"""``ctrecon verify``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import EXIT_BAD_INPUT, printable
from ctrecon.cli.options import FilePath, FolderPath
from ctrecon.cli.verify_series import verify_series

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctrecon.certificates.verify import Verdict

EXIT_REFUSED = 1

# What beside a certificate of super-resolution shows the certified image; beside one of CT it is a preview.
PICTURES = (".png", ".tif", ".tiff", ".nii")


@click.command("verify")
@click.argument("files", metavar="CERTIFICATE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), help="The image, where it is not beside its certificate.")
@click.option("--data", type=click.Path(path_type=Path), help="The data, where they are not beside the certificate.")
@click.option("--certificates", type=FolderPath, help="With a series: their folder, where it is not in the series.")
@click.option("--scan", type=FilePath, help="With a series: the scan that it must have been made from.")
@click.option(
    "--effort", type=click.FloatRange(min=1), default=1.0, show_default=True,
    help="How many times the usual work and memory a check may take.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per certificate.")
@click.pass_context
def command(
    ctx: click.Context, files: tuple[Path, ...], image: Path | None, data: Path | None, certificates: Path | None,
    scan: Path | None, effort: float, as_json: bool,
) -> None:
    """Check certificates with numpy and scipy alone, from image and data as they are on disk.

    Give S.certificate.json, or the image S.npy beside it. Exit code 0: all valid. 1: one is refused. 2: unreadable.
    Give the folder of a DICOM series, and every file in it is compared with its certificate, none may be missing.
    For super-resolution, a picture S.png, S.tif or S.nii beside them must hold exactly the certified values.
    """
    from ctrecon.certificates.verify import check
    from ctrecon.certificates.words import in_words

    if (image or data) and len(files) > 1:
        raise click.UsageError("--image and --data go with one certificate")
    if (scan or certificates) and not all(file.is_dir() for file in files):
        raise click.UsageError("--scan and --certificates go with the folder of a DICOM series")
    worst = 0
    for file in files:
        if file.is_dir():
            worst = max(worst, verify_series(file, certificates=certificates, scan_file=scan, as_json=as_json))
            continue
        path = file
        if file.suffix == ".npy":
            path = file.with_name(file.name.removesuffix(".npy") + ".certificate.json")
        if not path.is_file():
            click.echo(f"ctrecon: there is no certificate {printable(str(path))}", err=True)
            worst = EXIT_BAD_INPUT
            continue
        verdict = check(path, image=image, data=data, effort=effort)
        if verdict.valid and (reason := _fault_of_pictures(path, image)):
            verdict = verdict._replace(valid=False, statement="", reason=reason)
        if as_json:
            facts: dict[str, Any] = {
                "file": str(path),
                "valid": verdict.valid,
                "kind": verdict.kind,
                "statement": verdict.statement,
                "reason": verdict.reason,
                **verdict.proved,
                **(_worth(verdict) if verdict.valid else {}),
            }
            click.echo(json.dumps(facts))
        else:
            said = verdict.statement if verdict.valid else verdict.reason
            click.echo(f"{'valid' if verdict.valid else 'REFUSED'}  {printable(str(path))}: {printable(str(said))}")
            if verdict.valid:
                for line in in_words(verdict):
                    click.echo(f"       {printable(line)}")
        if not verdict.valid:
            worst = max(worst, EXIT_REFUSED if verdict.readable else EXIT_BAD_INPUT)
    ctx.exit(worst)


def _worth(verdict: Verdict) -> dict[str, Any]:
    from ctrecon.certificates.worth import worth

    found = worth(verdict)
    return {
        "delta_of_data": found.share if math.isfinite(found.share) else None,
        "values": found.values, "values_that_count": found.counted,
        "says_nothing": list(found.nothing), "says_little": list(found.little),
    }  # fmt: skip


def _fault_of_pictures(certificate: Path, image: Path | None) -> str:
    """Why a picture beside a valid certificate of super-resolution does not show the certified image, or ``""``."""
    from ctrecon.certificates import verify

    stem = certificate.name.removesuffix(verify.FILES[""])
    try:
        values = verify.parse_certificate(verify.read(certificate, verify.MAX_BYTES))
        if values["operator"]["projector"] != "pooling":
            return ""
        certified = verify.load(values["image"], image or certificate.with_name(stem + verify.FILES["image"]), "image")
    except (verify.Refused, OSError) as why:  # all this was just found valid, so someone is changing it
        return str(why)
    beside = {certificate.with_name(stem + ending) for suffix in PICTURES for ending in (suffix, suffix.upper())}
    for path in sorted(beside):
        if path.is_file() and (fault := _fault_of_picture(path, certified)):
            return f"{path.name} {fault}"
    return ""


def _fault_of_picture(path: Path, certified: npt.NDArray[Any]) -> str:
    import numpy as np
    import SimpleITK

    from ctrecon.errors import InputError
    from ctrecon.io.pictures import read_picture

    itk: Any = SimpleITK  # has no types
    header = itk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        # The size from the header alone, so that no more is decoded than was certified.
        header.ReadImageInformation()
        columns, rows, *others = header.GetSize()
        if (rows, columns) != certified.shape[:2] or any(side != 1 for side in others):
            return f"does not show the certified image: it has {rows} x {columns} pixels, not the certified number"
        picture = read_picture(path)
    except (InputError, RuntimeError, ValueError) as why:
        return f"cannot be compared with the certified image: {(str(why).strip().splitlines() or [''])[-1]}"
    if picture.note and picture.whole:
        return f"does not show the certified image alone: {picture.note}"
    if picture.levels.shape != certified.shape:
        return f"does not show the certified image: its shape is {picture.levels.shape}, not {certified.shape}"
    differing = int(np.count_nonzero(picture.levels != certified))
    return f"does not show the certified image: {differing} of its values differ" if differing else ""
