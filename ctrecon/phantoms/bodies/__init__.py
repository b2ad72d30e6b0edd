"""Bodies with exact line integrals in space, one family per file. ``BODIES`` holds one of each."""

from ctrecon.phantoms.bodies.base import BodyFamily
from ctrecon.phantoms.bodies.ellipsoids import Ellipsoids
from ctrecon.phantoms.bodies.head_in_space import HeadInSpace
from ctrecon.phantoms.bodies.trunk import Trunk

BODIES: tuple[BodyFamily, ...] = (Ellipsoids(), HeadInSpace(), Trunk())

__all__ = ["BODIES", "BodyFamily", "Ellipsoids", "HeadInSpace", "Trunk"]
