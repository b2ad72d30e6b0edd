"""What is said of a scan of projections, however it is read: corrections, noise, and how the patient lay."""

from __future__ import annotations

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.projections import ProjectionSet
from ctrecon.measurement.terms import NOBODY

_COMPARED = "as others found for a scanner's own images"
_NEVER_COMPARED = "never compared with a scanner's own images of this position: check left and head against one"


def said_of(scan: ProjectionSet, *, counted: bool) -> list[str]:
    """What its files state, and what they do not.

    Args:
        scan: Of projections.
        counted: Whether they have photon statistics.

    Returns:
        Clauses.
    """
    c, notes = scan.common, list[str]()
    if c.water_mu_per_mm is not None:
        by = f" in {c.water_by}" * (c.water_by != str(tags.WATER))
        notes.append(f"water has {c.water_mu_per_mm:.6g} 1/mm, as the scan says{by}")
    left = [tag.name for tag in tags.CORRECTIONS if tag.name not in c.corrections]
    if left:
        notes.append(f"the files do not say that these corrections were made: {', '.join(left)}")
    if c.water_mu_per_mm is None:
        notes.append(f"{tags.WATER} is not stated")
    if not counted:
        notes.append(f"{tags.PHOTONS} is not stated: the noise of the rays is not known")
    if counted:
        notes.append("variances come from the photons sent to each detector column")
    return notes


def how_it_stood(scan: ProjectionSet) -> list[str]:
    """How detector and patient stood, as far as it may be otherwise.

    Args:
        scan: Of projections.

    Returns:
        Clauses.
    """
    c, notes = scan.common, list[str]()
    if c.manufacturer.upper().startswith("GE"):
        notes.append(
            f"GE scanners are said to count the central column ({c.centre[0]:g}) from the other end: if edges are "
            f"double, use --central-column {c.columns - c.centre[0]:g}"
        )
    notes.append(_how_it_lay(scan))
    return notes


def _how_it_lay(scan: ProjectionSet) -> str:
    position = scan.axes.position
    if position == NOBODY:
        return (
            "it is of no patient, as --patient-position says: x runs to the right as seen from the table, y up, z into "
            "the gantry"
        )
    own = scan.common.patient_position.strip().upper() == position
    return (
        f"the patient lay {position}, as {'the files say' if own else '--patient-position says'}; left, front and head "
        f"follow from the format's frame ({_COMPARED if position == 'FFS' else _NEVER_COMPARED})"
    )
