"""The map of an audit in files: a picture, the values, and every disc as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from ctrecon.auditing.audit import Audit
from ctrecon.auditing.picture import draw_map
from ctrecon.auditing.tiles import Map
from ctrecon.io.write import put_array
from ctrecon.support.atomic import atomic_files
from ctrecon.workbench import audit_words as words

_ENDS = {"map": ".png", "values": ".npy", "tiles": ".json"}
_MEANING = "every such image has sign x contrast >= bound; for a certificate ask with --roi COLUMN,ROW,RADIUS"


def map_paths(image: Path) -> dict[str, Path]:
    """Beside ``S.npy``: ``S.audit.png``, ``S.audit.npy``, ``S.audit.json``."""
    stem = image.name.removesuffix(".npy")
    return {what: image.with_name(f"{stem}.audit{end}") for what, end in _ENDS.items()}


def write_map(audit: Audit, found: Map, image: Path) -> dict[str, Path]:
    """Write it beside ``image``, all of it or nothing; the paths. Raises OutputError."""
    paths = map_paths(image)
    listed = [
        {"column": t.column, "row": t.row, "contrast": t.contrast, "sign": t.sign, "bound": t.bound,
         "verdict": "in the data" if t.decided else "not decided"}
        for t in found.tiles
    ]  # fmt: skip
    picture = draw_map(audit, found)
    facts = {**words.assumed_facts(audit), **words.map_facts(found, paths), "meaning": _MEANING, "tiles": listed}
    with atomic_files() as place:
        place(paths["map"]).write_bytes(picture)
        put_array(place(paths["values"]), found.values, paths["values"])
        place(paths["tiles"]).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return paths
