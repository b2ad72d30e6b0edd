"""Phantoms with exact sinograms, one family per file. ``FAMILIES`` holds one of each."""

from ctrecon.phantoms.base import Family, Phantom, Primitive
from ctrecon.phantoms.chest import Chest
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.ellipses import Ellipses
from ctrecon.phantoms.gaussian import Gaussian
from ctrecon.phantoms.head import Head
from ctrecon.phantoms.polygon import Polygon
from ctrecon.phantoms.polygons import Polygons
from ctrecon.phantoms.seeds import Seeds
from ctrecon.phantoms.textured import Textured
from ctrecon.phantoms.walnut import Walnut

FAMILIES: tuple[Family, ...] = (Ellipses(), Polygons(), Head(), Chest(), Textured(), Seeds())

__all__ = ["FAMILIES", "Ellipse", "Family", "Gaussian", "Phantom", "Polygon", "Polygons", "Primitive", "Walnut"]
