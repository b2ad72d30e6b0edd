"""A certificate with its data as Raw Data Storage (PS3.3 A.37), so that a study can be checked wherever it went.

The private block ``CTRECON`` holds the certificate's files, byte for byte, but for the image: that is what the CT
images it refers to decode to.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate
from ctrecon.certificates.verify import require
from ctrecon.dicom.common.private import CREATOR, GROUP
from ctrecon.dicom.series.ct_image import code
from ctrecon.dicom.series.raw_data import raw_data
from ctrecon.dicom.series.study import Study

# The element of each file of a certificate, and that with their lengths: DICOM pads to an even number of bytes.
ELEMENTS = {"": 0x10, "data": 0x11, "weights": 0x12, "matrix": 0x13}
LENGTHS = 0x1F


def raw_certificate(
    images: Sequence[Dataset], certificate: FeasibleCertificate, first: int, *, study: Study
) -> Dataset:
    """The certificate of what ``images`` show, from that of number ``first`` on, without its own UIDs."""
    ds = raw_data(images[0], "raw", "certificates with their data", first, study=study)
    ds.ReferencedInstanceSequence = DicomSequence([_reference(image) for image in images])
    block = ds.private_block(GROUP, CREATOR, create=True)
    lengths = []
    for name, element in ELEMENTS.items():
        raw = certificate.files.get(name, b"")
        lengths.append(len(raw))
        if raw:
            block.add_new(element, "OB", raw + b"\0" * (len(raw) % 2))
    block.add_new(LENGTHS, "LO", " ".join(str(length) for length in lengths))
    return ds


def _reference(image: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = DicomSequence([code("certified-image", "99CTRECON", "Certified image")])
    return reference


def files_of(ds: Dataset) -> dict[str, bytes]:
    """The certificate's files by part, as written; raises Refused or what a damaged file leads to."""
    block = ds.private_block(GROUP, CREATOR)
    text = block[LENGTHS].value
    lengths = [int(word) for word in (text.decode("ascii") if isinstance(text, bytes) else str(text)).split()]
    files = {}
    for (name, element), length in zip(ELEMENTS.items(), lengths, strict=True):
        if length > 0:
            raw = bytes(block[element].value)
            whole = len(raw) == length + length % 2 and not raw[length:].strip(b"\0")
            require(whole, f"its part {name or 'certificate'} has another length")
            files[name] = raw[:length]
    require("" in files and "data" in files, "it lacks the certificate or its data")
    return files


def hash_of(ds: Dataset) -> str:
    """SHA-256 of the certificate that it carries. Raises Refused where its other parts are not those of it."""
    files = files_of(ds)
    claims = verify.parse_certificate(files[""])
    claimed = {**claims, "matrix": claims["operator"].get("entries")}
    for part in (name for name in ELEMENTS if name):
        expected = (claimed.get(part) or {}).get("sha256")
        own = hashlib.sha256(files[part]).hexdigest() if part in files else None
        require(own == expected, f"its {part} are not those of its certificate")
    return hashlib.sha256(files[""]).hexdigest()


def unpack(ds: Dataset, decoded: Iterable[npt.NDArray[np.float64]], image_path: Path) -> None:
    """Write the certificate's files around ``image_path`` (``S.npy``), the image from its decoded slices.

    Where slices are lost there is no such image: how many there should be, the certificate says.
    """
    stem, files = image_path.name.removesuffix(verify.FILES["image"]), files_of(ds)
    for name, raw in files.items():
        image_path.with_name(stem + verify.FILES[name]).write_bytes(raw)
    shape = verify.parse_certificate(files[""])["image"]["shape"]
    slices = list(decoded)
    if len(slices) == math.prod(shape[:-2]):
        with image_path.open("wb") as stream:
            whole = np.concatenate(slices).reshape(shape)
            np.lib.format.write_array(stream, whole, version=(1, 0), allow_pickle=False)
