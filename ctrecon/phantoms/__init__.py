"""Phantoms with exact sinograms: shapes; families of objects, one a file, in ``families/``, in space ``bodies/``."""

from ctrecon.phantoms.base import Family, Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.families import FAMILIES
from ctrecon.phantoms.gaussian import Gaussian
from ctrecon.phantoms.polygon import Polygon
from ctrecon.phantoms.walnut import Walnut

__all__ = ["FAMILIES", "Ellipse", "Family", "Gaussian", "Phantom", "Polygon", "Primitive", "Walnut"]
