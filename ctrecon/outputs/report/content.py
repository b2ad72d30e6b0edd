"""What a report says, as values: gathered from the files beside ``S.npy``, every certificate checked anew.

Nothing that a file claims is repeated as fact before the checker agrees. Paths come from the name ``S`` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from ctrecon.certificates import verify
from ctrecon.certificates.worth import Worth, worth
from ctrecon.diagnosis.doubts import DOUBT
from ctrecon.diagnosis.structure import Structure, structure_of
from ctrecon.errors import CtreconError, GeometryError, InputError
from ctrecon.geometry.as_json import geometry_from_dict, grid_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.io.npy import read_npy
from ctrecon.measurement.center import Center, estimate_center
from ctrecon.measurement.cut_off import undecided_beyond_mm
from ctrecon.measurement.patient_position import axes_of
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.units import Units, of_attenuation, units_of
from ctrecon.outputs.history import SUFFIX, History, read_history
from ctrecon.outputs.report.audits import Audit, find_audits
from ctrecon.outputs.report.members import FoundMembers, find_members
from ctrecon.support.arrays import Array

Status = Literal["certified", "infeasible", "refused", "not certified"]
Checker = Callable[[Path], verify.Verdict]


@dataclass(frozen=True, kw_only=True)
class Residual:
    """``A u - f``, of the shape of the data, float64, of the image as stored; whitened in standard deviations.

    ``counted``: how many values have weight. ``norm`` is its size in the certificate's norm, ``of_data`` that of the
    data. ``structure`` is what it shows beside noise, tested here anew; None where it is too small for that. ``axis``
    is where the data have the rotation axis; None where they do not show it. ``undecided_beyond_mm``: the radius about
    the axis beyond which they decide nothing, of an object that is cut off.
    """

    values: Array
    norm: float
    of_data: float
    whitened: bool
    counted: int
    structure: Structure | None
    axis: Center | None
    undecided_beyond_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    name: str
    role: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything a report shows. ``image`` is ``[rows, columns]``, of a volume ``[slices, rows, columns]``, in 1/mm.

    Without a ``grid`` it has no unit.

    ``verdict`` is the checker's finding on ``claim``, the certificate's values; both None where there is none, and
    ``worth``, what the statement says beside the data, where none holds.
    ``missing`` says, per part that is left out ("history", "residual", "geometry"), why.
    """

    stem: str
    status: Status
    image: Array
    grid: Grid | None
    geometry: Geometry | None
    verdict: verify.Verdict | None
    claim: Mapping[str, Any] | None
    worth: Worth | None
    delta: float | None
    norm: str | None
    residual: Residual | None
    history: History | None
    audits: tuple[Audit, ...]
    files: tuple[StoredFile, ...]
    missing: Mapping[str, str]
    members: FoundMembers | None = None

    @property
    def empty(self) -> bool:
        """Whether the certificate holds and says nothing."""
        return self.worth is not None and bool(self.worth.nothing)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What seemed wrong with the scan when it was reconstructed, as its history says it."""
        notes = () if self.history is None else self.history.notes
        return tuple(note.removeprefix(DOUBT) for note in notes if note.startswith(DOUBT))

    @property
    def axes(self) -> dict[str, tuple[str, str]] | None:
        """The patient's directions along the axes of the image; None where nobody said how the patient lay."""
        return None if self.history is None else axes_of(self.history.patient_position)

    @property
    def units(self) -> Units:
        """What lengths and attenuation are called, as certificate or history say it; mm where nothing does."""
        if self.claim is not None and "image" in self.claim:
            return of_attenuation(self.claim["image"]["unit"])
        return units_of("mm" if self.history is None else self.history.length_unit, placed=self.grid is not None)


def gather(path: Path, *, scan: Scan | None = None, check: Checker = verify.check) -> Content:
    """The content of the report on an image.

    Args:
        path: ``S.certificate.json``, or the image ``S.npy`` of any reconstruction.
        scan: What an image without certificate was made from, if it is at hand: its data are not stored beside it.
        check: Checks each certificate.

    Returns:
        Image, verdict, residual, history and audits, and what is missing, each with a sentence.

    Raises:
        InputError: Where there is no image of a scan, or no word on how it was made.
    """
    stem = stem_of(path)
    paths = {name: path.with_name(stem + suffix) for name, suffix in verify.FILES.items()}
    missing: dict[str, str] = {}
    history = _history(path.with_name(stem + SUFFIX), paths["image"], missing)
    verdict, claim = None, None
    if paths[""].exists():
        verdict = check(paths[""])
        claim = _claim(paths[""]) if verdict.valid else None
        if verdict.kind == "interval":
            raise InputError(f"{path}: is about one region; give the certificate or image of the whole reconstruction")
    elif history is None:
        raise InputError(f"{path}: beside it there is neither {paths[''].name} nor {stem}{SUFFIX}; reconstruct first")
    if claim is not None and claim["operator"].get("projector") == "pooling":
        raise InputError(f"{path}: speaks of an enlarged picture, and reports are for scans; use ctrecon verify")
    status = _status(verdict)
    image = _image(paths["image"], claim)
    operator = dict(claim["operator"]) if claim is not None else _operator(history, image, scan, status)
    geometry, grid = _geometry(operator, image, missing)
    delta = claim["delta"] if claim is not None else None if history is None else history.delta
    norm = claim["norm"] if claim is not None else None if history is None else history.norm
    residual = None
    if status == "refused":
        missing["residual"] = "A certificate that is refused does not say which data belong to this image."
    elif operator is not None and norm is not None:
        residual = _residual(image, operator, norm, paths, claim, scan, geometry, grid)
    if residual is None:
        missing.setdefault(
            "residual",
            "The data are stored only beside a certificate; ctrecon reconstruct --report draws them in any case.",
        )
    return Content(
        stem=stem,
        status=status,
        image=image,
        grid=grid,
        geometry=geometry,
        verdict=verdict,
        claim=claim,
        worth=None if verdict is None or not verdict.valid else worth(verdict),
        delta=delta,
        norm=norm,
        residual=residual,
        history=history,
        audits=find_audits(path.with_name(stem), image, claim, check),
        files=_files(paths, claim),
        missing=missing,
        members=find_members(path.with_name(stem), image, claim, check) if image.ndim == 2 else None,
    )


def stem_of(path: Path) -> str:
    """``S`` of ``S.certificate.json`` or ``S.npy``. Raises InputError for other names."""
    for suffix in (verify.FILES[""], SUFFIX, ".npy"):
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    raise InputError(f"{path}: a report is about S.certificate.json or S.npy; give one of these")


def _status(verdict: verify.Verdict | None) -> Status:
    if verdict is None:
        return "not certified"
    if not verdict.valid:
        return "refused"
    return "infeasible" if verdict.kind == "infeasible" else "certified"


def _claim(path: Path) -> dict[str, Any]:
    try:
        return verify.parse_certificate(verify.read(path, verify.MAX_BYTES))
    except (verify.Refused, OSError) as why:  # it was just found valid: someone is changing it
        raise InputError(f"{path}: {why}; try again when nobody writes there") from None


def _image(path: Path, claim: Mapping[str, Any] | None) -> Array:
    try:
        if claim is not None and "image" in claim:
            image = verify.load(dict(claim["image"]), path, "image")
        else:
            image = read_npy(path)
    except verify.Refused as why:
        raise InputError(f"{path}: {why}; try again when nobody writes there") from None
    except OSError as why:
        raise InputError(f"{path}: cannot be read: {why.strerror or why}; a report needs the image") from None
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype.kind != "f" or not bool(np.isfinite(image).all()):
        raise InputError(f"{path}: is no image or volume of finite numbers but {image.dtype} {image.shape}")
    return image


def _history(path: Path, image: Path, missing: dict[str, str]) -> History | None:
    if not path.exists():
        missing["history"] = f"There is no {path.name} beside the image, which would tell how it was made."
        return None
    try:
        history = read_history(path)
        if history.image_sha256 == _sha256(image):
            return history
        missing["history"] = f"{path.name} speaks of another image than the one that is stored here now."
    except (InputError, OSError) as why:
        missing["history"] = str(why)
    return None


def _operator(history: History | None, image: Array, scan: Scan | None, status: Status) -> dict[str, Any] | None:
    """Geometry and grid of an image that no certificate speaks of, as its history tells them."""
    if history is None or history.operator is None or status == "refused":
        return None
    operator = dict(history.operator)
    geometry = operator.get("geometry")
    try:
        if scan is not None:
            verify.check_operator(operator, list(image.shape), list(scan.sinogram.shape))
        elif isinstance(geometry, dict):
            measured = geometry_from_dict(geometry)[0].shape
            verify.check_operator(operator, list(image.shape), list(measured))
    except (verify.Refused, GeometryError, KeyError, TypeError):
        return None
    return operator


def _geometry(
    operator: Mapping[str, Any] | None, image: Array, missing: dict[str, str]
) -> tuple[Geometry | None, Grid | None]:
    if operator is None or "grid" not in operator:
        missing["geometry"] = (
            "The scan brought its own matrix, which is stored beside the image: no geometry is known."
            if operator is not None
            else "No geometry that could be checked is stored with this image."
        )
        return None, None
    geometry, _ = geometry_from_dict(dict(operator["geometry"]))
    return geometry, grid_from_dict(operator["grid"])


def _residual(
    image: Array,
    operator: dict[str, Any],
    norm: str,
    paths: Mapping[str, Path],
    claim: Mapping[str, Any] | None,
    scan: Scan | None,
    geometry: Geometry | None,
    grid: Grid | None,
) -> Residual | None:
    """By the checker's own projector, in float64, from the files the certificate names (or the ``scan`` at hand)."""
    weights = None
    matrix = None
    if claim is not None:
        data = verify.load(claim["data"], paths["data"], "data")
        if claim["weights"] is not None:
            weights = verify.load(claim["weights"], paths["weights"], "weights")
        if operator["projector"] == "matrix":
            matrix = _matrix(operator, paths["matrix"])
    elif scan is not None:
        data = scan.sinogram
        weights = scan.weights(whitened=norm == "whitened")
    else:
        return None
    scale = 1.0 if weights is None else np.sqrt(weights.astype(np.float64))
    explained = _product(operator, image, matrix).reshape(data.shape)
    values = scale * (explained - data)
    return Residual(
        values=values,
        norm=float(np.linalg.norm(values)),
        of_data=float(np.linalg.norm(scale * data.astype(np.float64))),
        # Weights of 0 and 1 leave out what is missing; they are no variances.
        whitened=weights is not None and bool(((weights != 0) & (weights != 1)).any()),
        counted=data.size if weights is None else int(np.count_nonzero(weights)),
        structure=structure_of(data, explained, weights),
        axis=_axis(data, geometry),
        undecided_beyond_mm=undecided_beyond_mm(data, geometry, grid, None if weights is None else weights > 0),
    )


def _axis(data: Array, geometry: Geometry | None) -> Center | None:
    if geometry is None or geometry.orbit is None or not geometry.orbit.steady:
        return None
    try:
        return estimate_center(data, geometry)
    except CtreconError:
        return None


def _matrix(operator: dict[str, Any], path: Path) -> csr_matrix:
    return verify.sparse(verify.load(operator["entries"], path, "matrix"), operator["shape"])


def _product(operator: dict[str, Any], image: Array, matrix: csr_matrix | None) -> Array:
    return verify.apply(operator, image, matrix)[0]


def _files(paths: Mapping[str, Path], claim: Mapping[str, Any] | None) -> tuple[StoredFile, ...]:
    """Those that the certificate binds together, or what there is of certificate and image where none does."""
    parts = () if claim is None else tuple(name for name in paths if claim.get(name) is not None)
    own_matrix = ("matrix",) if claim is not None and claim["operator"]["projector"] == "matrix" else ()
    names = dict.fromkeys(("", "image", *parts, *own_matrix))
    found = ((name or "certificate", paths[name]) for name in names if paths[name].is_file())
    return tuple(
        StoredFile(name=path.name, role=role, size=path.stat().st_size, sha256=_sha256(path)) for role, path in found
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
