"""Outside of ``ctrecon/geometry`` nobody asks a geometry for its class: capabilities are asked for."""

import ast
from pathlib import Path

import ctrecon
from ctrecon.geometry.as_json import GEOMETRIES

ROOT = Path(ctrecon.__file__).parent
CLASSES = {kind.__name__ for kind in GEOMETRIES.values()} | {"DetectorRow", "Geometry"}
KINDS = set(GEOMETRIES)


def asked(source):
    """Lines that branch on a geometry's class, or list classes as a union."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass"):
            if names(node.args[1]) & CLASSES:
                found.append(node.lineno)
        elif isinstance(node, ast.Compare) and any(is_type(part) for part in (node.left, *node.comparators)):
            if names(node) & CLASSES:
                found.append(node.lineno)
        elif isinstance(node, ast.Subscript | ast.Dict) and any(is_type(part) for part in ast.walk(node)):
            if names(node) & CLASSES:
                found.append(node.lineno)
        elif isinstance(node, ast.MatchClass) and names(node.cls) & CLASSES:
            found.append(node.lineno)
        elif isinstance(node, ast.Compare) and any(
            isinstance(part, ast.Attribute) and part.attr == "kind" for part in (node.left, *node.comparators)
        ):
            constants = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            if constants & KINDS:
                found.append(node.lineno)
    return found


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
