"""Options of a DICOM series as output."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ctrecon.cli.options import FilePath, overwrite_option

if TYPE_CHECKING:
    from ctrecon.outputs.series import SeriesTarget

F = TypeVar("F", bound=Callable[..., Any])

# Options that are attributes of the study, by keyword.
ATTRIBUTES = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "study_description": "StudyDescription",
    "study_date": "StudyDate",
    "accession_number": "AccessionNumber",
}
# What else has a use for an option.
_VOLUME = "a volume (.nii.gz, .mha, .nrrd)"
ALSO = {"water_mu": f", {_VOLUME} or a --report", "slice_mm": f" or {_VOLUME}"}
KEYS = (*ATTRIBUTES, "template", "water_mu", "slice_mm")


def series_options(function: F) -> F:
    """What a DICOM series says beyond the image."""
    for option in reversed(
        (
            click.option("--template", type=FilePath, help="DICOM file of the study: patient and study pass through."),
            click.option("--patient-id", help="Where no template gives it."),
            click.option("--patient-name", metavar="FAMILY^GIVEN", help="Where no template gives it."),
            click.option("--study-description", help="Where no template gives it."),
            click.option("--study-date", metavar="YYYYMMDD", help="Where no template gives it."),
            click.option("--accession-number", help="Where no template gives it."),
            click.option(
                "--water-mu", type=float, metavar="1/MM", show_default="from the scan, else 0.02",
                help="Attenuation of water, for HU: of a series, a volume, a report.",
            ),
            click.option(
                "--slice-mm", type=click.FloatRange(min=0, min_open=True), help="Thickness of a slice."
            ),
            overwrite_option,
        )
    ):
        function = option(function)
    return function


def is_series(output: str | None) -> bool:
    """Whether ``-o`` names a folder for a series, not a file: ``series/``, or a folder that exists.

    Raises SettingError for a name that could be either.
    """
    from ctrecon.errors import SettingError

    if output is None:
        return False
    folder = output.endswith(("/", os.sep)) or Path(output).is_dir()
    if not folder and not Path(output).suffix:
        raise SettingError(
            f"-o {output} does not say what to make: {output}.npy is an image with its certificate, {output}.nii.gz "
            f"(.mha, .nrrd) also a volume in HU, {output}/ a folder with a DICOM series"
        )
    return folder


def series_target(
    output: str | None, options: dict[str, Any], inputs: list[Path], *, pictures: bool, folder: Path | None = None,
    elsewhere: tuple[str, ...] = (),
) -> SeriesTarget | None:
    """Where to write a series, checked; None where ``output`` names a file. Raises SettingError, OutputError.

    A ``folder`` of projections says itself whose images these are, where no template does. ``elsewhere``: the options
    that say something without a series, too.
    """
    from ctrecon.errors import SettingError

    given = {name: options[name] for name in KEYS if options[name] not in (None, False)}
    if output is None or not is_series(output):
        for name in given:
            if name not in elsewhere:
                option, also = "--" + name.replace("_", "-"), ALSO.get(name, "")
                raise SettingError(f"{option} belongs to a DICOM series{also}; write one with -o FOLDER, or drop it")
        return None
    from ctrecon.dicom.series.study import study_of
    from ctrecon.outputs.series import SeriesTarget

    template = options["template"] or (None if folder is None else _a_dicom_file(folder))
    study = study_of(template, {ATTRIBUTES[name]: given[name] for name in ATTRIBUTES if name in given})
    choices = {name: options[name] for name in ("water_mu", "overwrite", "key")}
    target = SeriesTarget(folder=Path(output), study=study, pictures=pictures, **choices)
    target.check(inputs)
    return target


def _a_dicom_file(folder: Path) -> Path | None:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with path.open("rb") as stream:
                if stream.read(132)[128:] == b"DICM":
                    return path
    return None
