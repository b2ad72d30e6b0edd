"""Which certificates stay in a de-identified folder: those that name nobody and whose images stand beside them.

The hash of a certified image is 32 bytes that anybody may have chosen, a name among them, until there are the pixels
that it is of. So a certificate stays only where its images are in the same run and show exactly what it says.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from ctrecon.certificates import verify
from ctrecon.dicom.common.files import Source, is_dicom, read_dataset
from ctrecon.dicom.common.private import CREATOR
from ctrecon.dicom.deidentify.safe_private import holds_certificate, names_nobody
from ctrecon.dicom.series.part_check import decoded
from ctrecon.dicom.series.raw_certificate import files_of, hash_of


def staying_certificates(found: Sequence[Source]) -> frozenset[str]:
    """The hashes of those among the files that are de-identified together.

    Args:
        found: The files; of one alone there is nothing beside it.

    Returns:
        SHA-256 of each, as the tie of an image names it.
    """
    ours: dict[str, Source] = {}
    certificates: list[Dataset] = []
    for source in found if len(found) > 1 else ():
        data = source.read()
        if CREATOR.encode() in data and is_dicom(data):
            ds = read_dataset(source.name, data)
            if not holds_certificate(ds):
                ours[str(ds.get("SOPInstanceUID"))] = source
            elif names_nobody(ds):
                certificates.append(ds)
    return frozenset(hash_of(ds) for ds in certificates if _shows(ds, ours))


def _shows(certificate: Dataset, ours: dict[str, Source]) -> bool:
    """Whether the images that it refers to, decoded one by one, are what it speaks of, byte for byte."""
    try:
        claim = verify.parse_certificate(files_of(certificate)[""])["image"]
        header = io.BytesIO()
        form = {"descr": claim["dtype"], "fortran_order": False, "shape": tuple(claim["shape"])}
        np.lib.format.write_array_header_1_0(header, form)
        own = hashlib.sha256(header.getvalue())
        sources = [ours[str(one.ReferencedSOPInstanceUID)] for one in certificate.ReferencedInstanceSequence]
        for values in decoded(read_dataset(source.name, source.read()) for source in sources):
            own.update(np.ascontiguousarray(values, claim["dtype"]).tobytes())
    except Exception:  # damaged in any of many ways, or another's
        return False
    return own.hexdigest() == str(claim["sha256"])
