"""Certified learned CT reconstruction: networks that cannot disregard the measurement.

The front door. ``import ctrecon as ct`` costs next to nothing; a name is loaded when it is first used (PEP 562):

>>> scan = ct.read_scan("scan.h5")
>>> result = ct.reconstruct(scan, delta="auto")
>>> result.certified, result.residual
>>> result.save("head.npy")

What lies below in the rooms (``ctrecon.operators``, ``ctrecon.energies``, ...) is for those who build on it;
``docs/api.md`` says what is promised of which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctrecon import errors as errors
    from ctrecon.geometry.arc_cone import ArcCone as ArcCone
    from ctrecon.geometry.arc_fan import ArcFanBeam as ArcFanBeam
    from ctrecon.geometry.cone import ConeBeam as ConeBeam
    from ctrecon.geometry.cone import HelicalCone as HelicalCone
    from ctrecon.geometry.fan import FanBeam as FanBeam
    from ctrecon.geometry.grid import Grid as Grid
    from ctrecon.geometry.parallel import ParallelBeam as ParallelBeam
    from ctrecon.geometry.parallel_rows import ParallelRows as ParallelRows
    from ctrecon.geometry.vector_geometry import VectorGeometry as VectorGeometry
    from ctrecon.geometry.vectors_in_space import VectorsInSpace as VectorsInSpace
    from ctrecon.io.arrays import read_scan as read_scan
    from ctrecon.measurement.scan import Scan as Scan
    from ctrecon.reconstruction.settings import Settings as Settings
    from ctrecon.workbench.audit import audit as audit
    from ctrecon.workbench.calibrate import calibrate as calibrate
    from ctrecon.workbench.compare import compare as compare
    from ctrecon.workbench.diagnose import diagnose as diagnose
    from ctrecon.workbench.members import members as members
    from ctrecon.workbench.operator import operator as operator
    from ctrecon.workbench.reconstruct import reconstruct as reconstruct
    from ctrecon.workbench.result import Reconstruction as Reconstruction
    from ctrecon.workbench.simulate import simulate as simulate
    from ctrecon.workbench.stack.reconstruct import reconstruct_stack as reconstruct_stack
    from ctrecon.workbench.verify import verify as verify

    __version__: str

# Where each name is from. ``tests/workbench/test_front_door.py`` compares this with the imports above.
_FROM = {
    "ArcCone": "geometry.arc_cone",
    "ArcFanBeam": "geometry.arc_fan",
    "ConeBeam": "geometry.cone",
    "FanBeam": "geometry.fan",
    "Grid": "geometry.grid",
    "HelicalCone": "geometry.cone",
    "ParallelBeam": "geometry.parallel",
    "ParallelRows": "geometry.parallel_rows",
    "Reconstruction": "workbench.result",
    "Scan": "measurement.scan",
    "Settings": "reconstruction.settings",
    "VectorGeometry": "geometry.vector_geometry",
    "VectorsInSpace": "geometry.vectors_in_space",
    "audit": "workbench.audit",
    "calibrate": "workbench.calibrate",
    "compare": "workbench.compare",
    "diagnose": "workbench.diagnose",
    "members": "workbench.members",
    "operator": "workbench.operator",
    "read_scan": "io.arrays",
    "reconstruct": "workbench.reconstruct",
    "reconstruct_stack": "workbench.stack.reconstruct",
    "simulate": "workbench.simulate",
    "verify": "workbench.verify",
}

__all__ = [*_FROM, "__version__", "errors"]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "errors":
        return importlib.import_module("ctrecon.errors")
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("ctrecon-edn")
        except PackageNotFoundError:
            return "unknown"
    if name not in _FROM:
        raise AttributeError(f"module 'ctrecon' has no attribute {name!r}; it offers {', '.join(sorted(__all__))}")
    # Not kept: a room such as ``ctrecon.simulation`` would never be mistaken for it, and looking it up again is cheap.
    return getattr(importlib.import_module(f"ctrecon.{_FROM[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
