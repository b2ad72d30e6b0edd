"""Families of phantoms in the plane: a file in this folder is one, by being here.

Its class is a ``Family`` of this ``name`` and bears it in capitals: ``soft_parts.py`` has ``SoftParts``, "soft-parts".
"""

from __future__ import annotations

from ctrecon.phantoms.base import Family
from ctrecon.support.folder import one_of_each

FAMILIES: tuple[Family, ...] = one_of_each(__name__)
"""One of each, in the order of the ``PLACE`` of their files."""
