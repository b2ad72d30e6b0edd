"""What is offered and accepted on the network: SOP classes and transfer syntaxes, as docs/conformance.md lists them."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import uid

VERIFICATION = "1.2.840.10008.1.1"
UNCOMPRESSED = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
LOSSLESS = (
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
)
LOSSY = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.UID("1.2.840.10008.1.2.4.53"),  # the retired processes 6 & 8 and 10 & 12, which archives still hold
    uid.UID("1.2.840.10008.1.2.4.55"),
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
)

# Received for reconstruction. A certificate speaks of measured data, so no lossy syntax; no deflated one, since a few
# kilobytes of it can stand for gigabytes, which nothing in the protocol announces; and only what can be decoded here.
RECEIVED_CLASSES = (uid.CTImageStorage, uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)
RECEIVED_SYNTAXES = (*UNCOMPRESSED, *LOSSLESS[:5])

# Asked for by C-GET and taken by C-MOVE: images in every syntax, documents and our certificates (raw data)
# in those without pixels.
RETRIEVED_IMAGES = (*RECEIVED_CLASSES, uid.SecondaryCaptureImageStorage, uid.ParametricMapStorage)
RETRIEVED_DOCUMENTS = (
    uid.ComprehensiveSRStorage,
    uid.Comprehensive3DSRStorage,
    uid.EnhancedSRStorage,
    uid.BasicTextSRStorage,
    uid.XRayRadiationDoseSRStorage,
    uid.EncapsulatedPDFStorage,
    uid.RawDataStorage,
)
DOCUMENT_SYNTAXES = (*UNCOMPRESSED, uid.DeflatedExplicitVRLittleEndian)
IMAGE_SYNTAXES = (*DOCUMENT_SYNTAXES, *LOSSLESS, *LOSSY)

# One association carries at most 128 presentation contexts (PS3.8, 7.1.1.13).
MOST_CONTEXTS = 128


def retrieved_pairs() -> list[tuple[str, str]]:
    """SOP class and transfer syntax of every storage context of a retrieval, one syntax per context.

    One each, so that the other side can send an object only as it is stored: no context leaves a choice.
    """
    images = [(str(c), str(s)) for c in RETRIEVED_IMAGES for s in IMAGE_SYNTAXES]
    return images + [(str(c), str(s)) for c in RETRIEVED_DOCUMENTS for s in DOCUMENT_SYNTAXES]


def batches(pairs: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The distinct pairs in groups that fit into one association each, in order."""
    distinct = list(dict.fromkeys(pairs))
    return [distinct[k : k + MOST_CONTEXTS] for k in range(0, len(distinct), MOST_CONTEXTS)]


def name_of(value: str) -> str:
    """A UID's name where the standard gives one, else the UID."""
    return str(uid.UID(value).name)


def standard_name(value: str) -> str:
    """What the standard calls a UID that came from outside, and never the UID itself."""
    name = name_of(value)
    return "another class" if name == value else name
