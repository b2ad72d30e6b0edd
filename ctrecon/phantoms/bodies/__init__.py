"""Families of bodies with exact line integrals in space: a file in this folder is one, by being here.

Its class is a ``BodyFamily`` that bears the name of its file, as words in capitals: ``head_in_space.py`` has
``HeadInSpace``.
"""

from __future__ import annotations

from ctrecon.phantoms.body_family import BodyFamily
from ctrecon.support.folder import one_of_each

BODIES: tuple[BodyFamily, ...] = one_of_each(__name__)
"""One of each, in the order of the ``PLACE`` of their files."""
