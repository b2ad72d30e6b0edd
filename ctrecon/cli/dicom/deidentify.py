"""Remove what identifies a patient, by the basic profile of PS3.15."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option


@click.command("deidentify", cls=Command, examples=("ctrecon dicom deidentify SERIES CLEAN",))
@click.argument("given", metavar="IN", type=ScanPath)
@click.argument("folder", metavar="OUT", type=ScanPath)
@click.option(
    "--secret-file", type=FilePath,
    help="At least 16 bytes that decide the new UIDs, to use again for more of the same patients. Default: random.",
)
@click.option("--move-dates", is_flag=True, help="Move dates by days that belong to the patient, instead of removing.")
@click.option("--retain-uids", is_flag=True, help="Keep UIDs as they are; whoever has the originals can find them.")
@click.option(
    "--clean-pixel-data", is_flag=True,
    help="Leave out images into which text is drawn, by a recogniser, or may be, by what they say.",
)
@click.option(
    "--clean-faces", is_flag=True,
    help="Leave out images that may show a face, by what they say: heads, necks, whole bodies, or no part at all.",
)
@click.option(
    "--clean-descriptors", is_flag=True,
    help="Keep of descriptions the words that describe images (anatomy, planes, phases), instead of removing them.",
)
@click.option("--remove-private", is_flag=True, help="Remove all private attributes, those known to be harmless too.")
@click.option(
    "--report", "report_file", type=FilePath,
    help="Write what was changed, attribute by attribute and without values, to this JSON file.",
)
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(
    given: Path, folder: Path, secret_file: Path | None, move_dates: bool, retain_uids: bool, clean_pixel_data: bool,
    clean_faces: bool, clean_descriptors: bool, remove_private: bool, report_file: Path | None, overwrite: bool,
    as_json: bool,
) -> None:
    """Write the DICOM images of IN (a folder, a .zip, a file) to the new folder OUT, without what identifies patients.

    Attributes stay where they are known to be harmless, pixels are written anew, without whatever else a file can hold;
    their values are not changed: look for burned-in text yourself. Whoever has the secret file can test guesses: keep
    it apart from the images, or let it be random, which no file remembers.
    """
    from ctrecon.dicom.deidentify.files import deidentify_folder
    from ctrecon.dicom.deidentify.identity import Identity
    from ctrecon.dicom.deidentify.options import Options
    from ctrecon.errors import InputError
    from ctrecon.support.places import check_places

    secret = secrets.token_bytes(32)
    if secret_file is not None:
        if not secret_file.is_file():
            raise InputError(f"there is no file {secret_file}")
        with secret_file.open("rb") as stream:
            secret = stream.read(4096)
    options = Options(
        clean_pixels=clean_pixel_data, clean_faces=clean_faces, clean_descriptors=clean_descriptors,
        retain_uids=retain_uids, safe_private=not remove_private,
    )  # fmt: skip
    if report_file is not None:
        check_places([report_file], overwrite=overwrite)
    identity = Identity(secret=secret, move_dates=move_dates)
    done = deidentify_folder(given, folder, identity, options, overwrite=overwrite, report=report_file)
    if as_json:
        codes = options.codes(move_dates=move_dates)
        told = {"written": done.written, "left_out": done.left_out, "warnings": list(done.warnings), "codes": codes}
        click.echo(json.dumps({**told, "folder": str(folder)}))
        return
    for warning in done.warnings:
        click.echo(f"warning: {warning}")
    left = f", {done.left_out} others left out" if done.left_out else ""
    click.echo(f"{done.written} images de-identified in {printable(str(folder))}{left}")
