"""Search for studies or series (C-FIND, QIDO-RS)."""

from __future__ import annotations

import json
from typing import Any

import click

from ctrecon.cli.dicom_options import connection_options, other_side, web_options
from ctrecon.cli.help import Command
from ctrecon.cli.main import printable

_STUDY = (
    ("StudyDate", "date"), ("ModalitiesInStudy", "modality"), ("NumberOfStudyRelatedSeries", "series"),
    ("NumberOfStudyRelatedInstances", "objects"), ("AccessionNumber", "accession"),
    ("StudyDescription", "description"), ("StudyInstanceUID", "study"),
)
_SERIES = (
    ("SeriesNumber", "number"), ("Modality", "modality"), ("NumberOfSeriesRelatedInstances", "objects"),
    ("SeriesDescription", "description"), ("SeriesInstanceUID", "series"),
)
_PATIENT = (("PatientID", "patient"), ("PatientName", "name"))


@click.command(
    "find", cls=Command,
    examples=(
        "ctrecon dicom find --from PACS@archive.example:11112 --modality CT --date 20260101-",
    ),
)  # fmt: skip
@click.option("--from", "node", metavar="TITLE@HOST:PORT", help="The node.")
@web_options
@click.option("--study", metavar="UID", help="List the series of this study. Default: list studies.")
@click.option("--patient-id", metavar="ID", help="Wildcards * and ? here and below.")
@click.option("--patient-name", metavar="NAME", help="As in DICOM: FAMILY^GIVEN.")
@click.option("--date", metavar="YYYYMMDD[-YYYYMMDD]", help="Date of the study, or first and last.")
@click.option("--accession", metavar="NUMBER", help="Accession number.")
@click.option("--modality", metavar="CT", help="Modality of a series.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Most results.")
@click.option("--show-patient", is_flag=True, help="Also print patient ID and name. Default: they stay unseen.")
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(
    node: str | None, url: str | None, study: str | None, patient_id: str | None, patient_name: str | None,
    date: str | None, accession: str | None, modality: str | None, limit: int, show_patient: bool, as_json: bool,
    **options: Any,
) -> None:
    """Search for studies, or for the series of a study (C-FIND, or QIDO-RS with --url).

    Exit code 0, also where nothing matches. 2: bad input, not reached, refused.
    """
    level = "series" if study is not None else "study"
    given = {
        "StudyInstanceUID": study, "PatientID": patient_id, "PatientName": patient_name, "StudyDate": date,
        "AccessionNumber": accession, "Modality" if study is not None else "ModalitiesInStudy": modality,
    }
    match = {key: value for key, value in given.items() if value}
    if study is not None and (patient_id or patient_name or date or accession):
        raise click.UsageError("--study lists the series of one study; drop the others")
    from ctrecon.dicom.network.query_keys import check_match

    check_match(match)
    connection, there, web = other_side(node, url, "--from", options)
    from ctrecon.dicom.network.query import find

    if web is not None:
        rows = web.find(level, match, limit=limit)
    else:
        assert there is not None
        rows = find(there, connection, level, match, limit=limit)
    if not show_patient:
        rows = [{key: value for key, value in row.items() if key not in ("PatientID", "PatientName")} for row in rows]
    if as_json:
        click.echo(json.dumps(rows))
        return
    columns = _SERIES if study is not None else (*_STUDY, *(_PATIENT if show_patient else ()))
    cells = [[name for _, name in columns], *([printable(row.get(key, "")) for key, _ in columns] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    if rows:
        for line in cells:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    click.echo(f"{len(rows)} found" + (f" (no more than --limit {limit} are shown)" if len(rows) == limit else ""))
