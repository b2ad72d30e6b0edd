"""``ctrecon dicom deidentify``."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import click

from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option


@click.command("deidentify")
@click.argument("given", metavar="IN", type=ScanPath)
@click.argument("folder", metavar="OUT", type=ScanPath)
@click.option(
    "--secret-file", type=FilePath,
    help="At least 16 bytes that decide the new UIDs, to use again for more of the same patients. Default: random.",
)
@click.option("--move-dates", is_flag=True, help="Move dates by days that belong to the patient, instead of removing.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    given: Path, folder: Path, secret_file: Path | None, move_dates: bool, overwrite: bool, as_json: bool,
) -> None:
    """Write the DICOM images of IN (a folder, a .zip, a file) to the new folder OUT, without what identifies patients.

    Pixels are not changed: look for burned-in text yourself. Whoever has the secret file can test guesses: keep it
    apart from the images, or let it be random, which no file remembers.
    """
    from ctrecon.dicom.deidentify.dataset import Identity
    from ctrecon.dicom.deidentify.files import deidentify_folder
    from ctrecon.errors import InputError

    secret = secrets.token_bytes(32)
    if secret_file is not None:
        if not secret_file.is_file():
            raise InputError(f"there is no file {secret_file}")
        secret = secret_file.read_bytes()[:4096]
    done = deidentify_folder(given, folder, Identity(secret=secret, move_dates=move_dates), overwrite=overwrite)
    if as_json:
        told = {"written": done.written, "left_out": done.left_out, "warnings": list(done.warnings)}
        click.echo(json.dumps({**told, "folder": str(folder)}))
        return
    for warning in done.warnings:
        click.echo(f"warning: {warning}")
    left = f", {done.left_out} others left out" if done.left_out else ""
    click.echo(f"{done.written} images de-identified in {printable(str(folder))}{left}")
