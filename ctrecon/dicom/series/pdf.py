"""The certificates of a series for people: Encapsulated PDF (PS3.3 A.45.1) with key pictures.

No patient is named on the page: the DICOM header says whose it is, and de-identification reaches only the header.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from pathlib import Path

import fpdf
import matplotlib
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EncapsulatedPDFStorage

from ctrecon.certificates import verify
from ctrecon.dicom.series.ct_image import (
    NOT_FOR_DIAGNOSIS,
    SERIES_NUMBERS,
    SeriesPart,
    certificate_hash,
    clean,
    code,
    contributing_equipment,
    program_version,
)
from ctrecon.dicom.series.item_by_item import Grown, Items, Spools
from ctrecon.dicom.series.sr import CERTIFICATE
from ctrecon.dicom.series.study import Study

MOST_ROWS = 400
HOW_TO_CHECK = (
    "To check: `ctrecon verify FOLDER` decodes every image, compares it bit for bit with the certified pixels and "
    "recomputes the bound; the file ctrecon/certificates/verify.py does the latter with numpy and scipy alone."
)


def encapsulated_pdf(
    images: Sequence[Dataset], parts: Sequence[SeriesPart], *, study: Study, method: str, notes: Sequence[str],
    spools: Spools,
) -> Grown:
    """The report on ``images`` (finished CT datasets, in the order of ``parts``), without its own UIDs."""
    raw = draw_pdf(parts, method=method, notes=notes)
    ds = Dataset()
    study.copy_to(ds)
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.Modality = "DOC"
    ds.Manufacturer = ds.ManufacturerModelName = "ctrecon"
    ds.SoftwareVersions = program_version()
    ds.ContributingEquipmentSequence = DicomSequence([contributing_equipment()])
    ds.SeriesDescription = "RESEARCH certificates, not for diagnosis"
    ds.SeriesNumber = SERIES_NUMBERS["pdf"]
    ds.InstanceNumber = 1
    ds.ConversionType = "SYN"
    ds.ContentDate, ds.ContentTime = study.moment
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = "NO"
    ds.RecognizableVisualFeatures = "NO"
    ds.DocumentTitle = "RESEARCH: certificates of a CT reconstruction, not for diagnosis"
    ds.ConceptNameCodeSequence = DicomSequence(
        [code(CERTIFICATE.value, CERTIFICATE.scheme_designator, CERTIFICATE.meaning)]
    )
    references = Items(spools)
    for image in images:
        references.add(_reference(image))
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(raw)
    ds.add_new("EncapsulatedDocument", "OB", raw + b"\0" * (len(raw) % 2))
    return Grown(ds, {"SourceInstanceSequence": references})


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def draw_pdf(parts: Sequence[SeriesPart], *, method: str, notes: Sequence[str]) -> bytes:
    """The pages: what is proved, slice by slice, what is not, and pictures of some. The same input, the same bytes."""
    pdf = fpdf.FPDF(format="A4")
    pdf.set_creation_date(datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC))
    pdf.set_title("Certificates of a CT reconstruction: research, not for diagnosis")
    pdf.set_author(f"ctrecon {program_version()}")
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdf.add_font("DejaVu", "", fonts / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", "B", fonts / "DejaVuSans-Bold.ttf")
    pdf.set_auto_page_break(True, margin=15)
    pdf.add_page()
    _heading(pdf, "Certificates of a CT reconstruction", 16)
    _paragraph(pdf, NOT_FOR_DIAGNOSIS, bold=True)
    what = "volume" if max(len(one.z_mm) for one in parts) > 1 else "slice"
    certified = sum(one.certificate is not None for one in parts)
    count = f"{certified} of {len(parts)} {what}{'s are' if len(parts) != 1 else ' is'} certified"
    said = (
        "Of these: projected again, the pixels as they are stored miss the stored data by at most delta. That these "
        "are the data of a scan is taken on trust here."
    )
    made = f"Made by ctrecon {program_version()}, method {clean(method)}."
    _paragraph(pdf, f"{made} {count}. {said}" if certified else f"{made} {count}, so nothing is proved of any.")
    _worth(pdf, parts)
    first = next((one for one in parts if one.certificate is not None), None)
    if first is not None and first.certificate is not None:
        _heading(pdf, "What is proved", 12)
        others = f" So for each certified {what}, with its own delta." if len(parts) > 1 else ""
        _paragraph(pdf, first.certificate.statement + others)
        _heading(pdf, "What is not proved", 12)
        _paragraph(pdf, verify.LIMITS["feasible"])
    if notes:
        _heading(pdf, "What was assumed", 12)
        for note in notes:
            _paragraph(pdf, f"- {clean(note)}")
    _heading(pdf, "How to check", 12)
    _paragraph(pdf, HOW_TO_CHECK)
    numbers = _numbers(parts)
    for index, one in key_slices(parts):
        if one.picture is not None:
            _picture(pdf, numbers[index - 1], one, one.picture())
    _heading(pdf, f"All {what}s", 12)
    _table(pdf, numbers, parts)
    return bytes(pdf.output())


def _worth(pdf: fpdf.FPDF, parts: Sequence[SeriesPart]) -> None:
    """Of certificates that are empty or weak: how many, and why."""
    found = [one.worth.said for one in parts if one.worth is not None and one.worth.said]
    for said in dict.fromkeys(found):
        count = found.count(said)
        _paragraph(pdf, f"Of {count} of these certificates: {said}.", bold=True)


def key_slices(parts: Sequence[SeriesPart]) -> list[tuple[int, SeriesPart]]:
    """Of the parts first, middle, last and the one closest to (or farthest beyond) delta, numbered from 1."""
    worst = max(range(len(parts)), key=lambda k: parts[k].residual / parts[k].delta)
    return [(k + 1, parts[k]) for k in sorted({0, len(parts) // 2, len(parts) - 1, worst})]


def _numbers(parts: Sequence[SeriesPart]) -> list[str]:
    """Of the images that each part has."""
    found, first = [], 1
    for one in parts:
        last = first + len(one.z_mm) - 1
        found.append(str(first) if last == first else f"{first}-{last}")
        first = last + 1
    return found


def _heading(pdf: fpdf.FPDF, text: str, size: int) -> None:
    pdf.set_font("DejaVu", "B", size)
    pdf.ln(2)
    pdf.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT", align="L")


def _paragraph(pdf: fpdf.FPDF, text: str, *, bold: bool = False) -> None:
    pdf.set_font("DejaVu", "B" if bold else "", 9)
    pdf.multi_cell(0, 4.8, text, new_x="LMARGIN", new_y="NEXT", align="L")
    pdf.ln(1)


def _table(pdf: fpdf.FPDF, numbers: Sequence[str], parts: Sequence[SeriesPart]) -> None:
    pdf.set_font("DejaVu", "", 6)
    pdf.ln(1)
    with pdf.table(col_widths=(9, 13, 13, 18, 18, 14, 89), line_height=3.6, text_align="LEFT") as table:
        table.row(("slice", "z in mm", "certified", "residual", "delta", "norm", "SHA-256 of the certificate"))
        for number, one in zip(numbers[:MOST_ROWS], parts, strict=False):
            sha256 = "-" if one.certificate is None else certificate_hash(one.certificate)
            word = "NO" if one.certificate is None else "empty" if one.says_nothing else "yes"
            table.row((number, one.span, word, f"{one.residual:.7g}", f"{one.delta:.7g}", one.norm, sha256))
    if len(parts) > MOST_ROWS:
        _paragraph(pdf, f"{len(parts) - MOST_ROWS} more slices stand in the structured report.")


def _picture(pdf: fpdf.FPDF, number: str, one: SeriesPart, picture: bytes) -> None:
    width = pdf.epw
    if pdf.will_page_break(width * 0.42):
        pdf.add_page()
    _heading(pdf, f"{'Slices' if len(one.z_mm) > 1 else 'Slice'} {number}, z = {one.span} mm", 11)
    pdf.image(io.BytesIO(picture), w=width)
