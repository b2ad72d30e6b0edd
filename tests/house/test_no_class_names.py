"""Outside of ``ctrecon/geometry`` nobody asks a geometry for its class: capabilities are asked for."""

import ast
from pathlib import Path

import ctrecon
from ctrecon.geometry.registry import geometries

ROOT = Path(ctrecon.__file__).parent
CLASSES = {kind.__name__ for kind in geometries().values()} | {"DetectorRow", "DetectorRows", "Geometry"}
KINDS = set(geometries())


def asked(source):
    """Lines that branch on a geometry's class, or list classes as a union; a text that names none is not parsed."""
    if not any(name in source for name in CLASSES | KINDS):
        return []
    return [node.lineno for node in ast.walk(ast.parse(source)) if asks(node)]


def asks(node):
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
            return bool(names(classes) & CLASSES)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            kinds = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)} & KINDS
            by_kind = kinds and any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides)
            return bool(by_kind or (any(map(is_type, sides)) and names(node) & CLASSES))
        case ast.Subscript() | ast.Dict():
            return bool(any(map(is_type, ast.walk(node))) and names(node) & CLASSES)
        case ast.MatchClass():
            return bool(names(node.cls) & CLASSES)
    return False


def names(node):
    parts = ast.walk(node)
    return {part.id for part in parts if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


def is_type(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def test_no_file_branches_on_a_class_of_geometry():
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent != ROOT / "geometry" and (lines := asked(path.read_text(encoding="utf-8"))):
            found[str(path.relative_to(ROOT))] = lines
    assert not found, f"ask geometry.orbit, geometry.to_vectors() or another member instead: {found}"


def test_the_walk_sees_every_way_of_asking():
    for bad in (
        "isinstance(g, FanBeam)", "isinstance(g, ParallelBeam | FanBeam)", "isinstance(g, (int, fan.FanBeam))",
        "type(g) is ConeBeam", "type(g) in (FanBeam, ArcFanBeam)", "g.kind == 'fan'",
        "match g:\n    case FanBeam():\n        pass",
    ):
        assert asked(bad), bad
    assert not asked("isinstance(x, str); FanBeam(angles_rad=a); g.orbit is None; type(g).__name__")
