"""Families of bodies with exact line integrals in space: a file in this folder is one, by being here.

Its class is a ``BodyFamily`` of this ``name`` and bears it in capitals: ``soft_part.py`` has ``SoftPart``, "soft-part".
"""

from __future__ import annotations

from ctrecon.phantoms.body_family import BodyFamily
from ctrecon.support.folder import one_of_each

BODIES: tuple[BodyFamily, ...] = one_of_each(__name__)
"""One of each, in the order of the ``PLACE`` of their files."""
