"""Where volume and evidence of a stack stand, by their names."""

from __future__ import annotations

from pathlib import Path

from ctrecon.outputs.stack.formats import stack_suffix
from ctrecon.outputs.stack.manifest import NAME
from ctrecon.outputs.stack.names import EVIDENCE


def evidence_of(path: Path) -> Path:
    """Where the evidence of a volume stands: within a store, else in a folder beside the file."""
    suffix = stack_suffix(path)
    if suffix == ".zarr":
        return path / EVIDENCE
    return path.with_name(path.name[: -len(suffix or "")] + "." + EVIDENCE)


def stack_of(path: Path) -> tuple[Path, Path] | None:
    """Volume and evidence of what a person names: the store, the file, or the folder of evidence. None for others."""
    if path.is_dir() and (path / NAME).is_file():
        return _volume_of(path), path
    if stack_suffix(path) is not None and (evidence_of(path) / NAME).is_file():
        return path, evidence_of(path)
    return None


def _volume_of(evidence: Path) -> Path:
    if evidence.name == EVIDENCE and evidence.parent.name.lower().endswith(".zarr"):
        return evidence.parent
    stem = evidence.name.removesuffix("." + EVIDENCE)
    found = [one for one in sorted(evidence.parent.glob(stem + ".*")) if one.is_file() and stack_suffix(one)
             and evidence_of(one) == evidence]  # fmt: skip
    return found[0] if len(found) == 1 else evidence.with_name(stem)
