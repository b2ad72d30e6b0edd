"""Check certificates, independently of how they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import EXIT_BAD_INPUT, printable, show_cause
from ctrecon.cli.options import FilePath, FolderPath, ScanPath, reading_options

if TYPE_CHECKING:
    from ctrecon.workbench.verify import Verified

EXIT_REFUSED = 1


@click.command(
    "verify", cls=Command,
    examples=(
        "ctrecon verify head.certificate.json",
        "ctrecon verify head.npy --scan scan.npz",
        "ctrecon verify series/ --trusted site.pub.pem",
    ),
)  # fmt: skip
@click.argument("files", metavar="CERTIFICATE...", nargs=-1, required=True, type=ScanPath)
@click.option("--image", type=ScanPath, help="The image, where it is not beside its certificate.")
@click.option("--data", type=ScanPath, help="The data, where they are not beside the certificate.")
@click.option("--certificates", type=FolderPath, help="With a series: their folder, where it is not in the series.")
@click.option(
    "--scan", type=ScanPath,
    help="The scan that it must have been made from: read again as S.history.json says, and compared value by value.",
)  # fmt: skip
@reading_options
@click.option("--trusted", type=FilePath, metavar="PUBKEY", help="Public key (PEM) that must have signed it.")
@click.option("--strict", is_flag=True, help="With a series: refuse also what an archive may change.")
@click.option("--pixels-only", is_flag=True, help="With a series: without its manifest, so nothing of its headers.")
@click.option(
    "--effort", type=click.FloatRange(min=1), default=1.0, show_default=True,
    help="How many times the usual work and memory a check may take.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per certificate.")
@click.pass_context
def command(
    ctx: click.Context, /, files: tuple[Path, ...], image: Path | None, data: Path | None, certificates: Path | None,
    scan: Path | None, trusted: Path | None, strict: bool, pixels_only: bool, effort: float, as_json: bool,
    **reading: Any,
) -> None:
    """Check certificates with numpy and scipy alone, from image and data as they are on disk.

    Give S.certificate.json, or the image S.npy beside it. Exit code 0: all valid. 1: one is refused. 2: unreadable.
    Give a stack (NAME.zarr, or a volume with NAME.evidence/ beside it): every slice at its place with its certificate.
    Give the folder of a DICOM series, and every file in it is compared with its certificate, none may be missing.
    For super-resolution, a picture S.png, S.tif or S.nii beside them must hold exactly the certified values.
    With --scan the data and the geometry must be those of that scan; without it they are taken on trust.
    """
    from ctrecon.workbench.verify import verify

    if (image or data) and len(files) > 1:
        raise click.UsageError("--image and --data go with one certificate")
    if (certificates or strict or pixels_only) and not all(file.is_dir() for file in files):
        raise click.UsageError("--certificates, --strict and --pixels-only go with the folder of a DICOM series")

    def say(finding: Verified) -> None:
        if finding.cause is not None:
            show_cause(ctx, finding.cause)
        if not finding.readable and finding.kind is None and not finding.path.exists():
            click.echo(f"ctrecon: there is no certificate {printable(str(finding.path))}", err=True)
        elif as_json:
            click.echo(json.dumps(finding.to_dict()))
        else:
            click.echo(str(finding))

    worst = 0
    for file in files:
        found = verify(
            file, image=image, data=data, certificates=certificates, scan=scan, trusted=trusted, strict=strict,
            pixels_only=pixels_only, effort=effort, watch=say, **reading,
        )
        say(found)
        if not found:
            worst = max(worst, EXIT_REFUSED if found.readable else EXIT_BAD_INPUT)
    ctx.exit(worst)
