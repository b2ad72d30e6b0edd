"""A certified reconstruction as the files on disk prove it, verified before anything is built on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.auditing.image_set import ImageSet
from ctrecon.auditing.norms import norms
from ctrecon.auditing.roughness import fall_of_spectrum, smoothest
from ctrecon.certificates import verify
from ctrecon.errors import InputError
from ctrecon.geometry.as_json import geometry_from_dict, grid_from_dict
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.object_spectrum import LIKELY
from ctrecon.measurement.units import Units, of_attenuation
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.sparse import SparseOperator
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What a feasible certificate speaks of. ``path`` is the certificate's, ``image`` the certified pixels."""

    path: Path
    verdict: verify.Verdict
    values: dict[str, Any]
    image: Array
    data: Array
    weights: Array | None
    matrix: scipy.sparse.csr_matrix | None
    entries: Array | None

    @property
    def image_path(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(verify.FILES[""]) + verify.FILES["image"])

    @property
    def delta(self) -> float:
        return float(self.values["delta"])

    @property
    def grid(self) -> Grid | None:
        operator = self.values["operator"]
        return grid_from_dict(operator["grid"]) if "grid" in operator else None

    @property
    def units(self) -> Units:
        """What lengths and attenuation are called, as the certificate has it."""
        return of_attenuation(self.values["image"]["unit"])

    def stated(self, lo: float, hi: float) -> verify.Problem:
        """The same problem for the checker.

        Args:
            lo: The smallest value an image may have, in its unit.
            hi: The largest.

        Returns:
            Operator, data, weights and box, as ``verify.py`` takes them.
        """
        return verify.Problem(self.values["operator"], self.matrix, (self.data, self.weights), lo, hi)

    @cached_property
    def operator(self) -> LinearOperator:
        """The project's own float32 operator. Raises GeometryError, OperatorError where it cannot be built."""
        operator = self.values["operator"]
        if self.matrix is not None:
            return SparseOperator(self.matrix, (1, *self.image.shape), (1, *self.data.shape))
        grid = self.grid
        assert grid is not None
        return choose_operator(geometry_from_dict(operator["geometry"])[0], grid)

    @cached_property
    def smoothest(self) -> Tensor:
        """The smoothest image without negative values that explains the scan, ``[1, 1, rows, columns]``."""
        return smoothest(self.operator, single(self.data), self.delta, weights=self._weights)

    @cached_property
    def exponent(self) -> float:
        """That of the object's spectrum, as the scan shows it; the likely one where there is a matrix alone."""
        grid = self.grid
        if grid is None:
            return LIKELY
        geometry = geometry_from_dict(self.values["operator"]["geometry"])[0]
        return fall_of_spectrum(self.data, geometry, grid, self.delta, self.weights)

    @property
    def share(self) -> float:
        """The delta over the norm of the data, as the certificate weighs them."""
        root = 1.0 if self.weights is None else np.sqrt(self.weights.astype(np.float64))
        return self.delta / max(float(np.linalg.norm(root * self.data)), 1e-300)

    def image_set(self, *, kappa: float, lo: float, hi: float) -> ImageSet:
        """The images within ``delta``, ``kappa`` and the box.

        Args:
            kappa: Bound on TV, the sum over pixels of the length of the forward differences, in the image's unit.
            lo: The smallest value an image may have, in its unit.
            hi: The largest.

        Returns:
            The set, with the project's own float32 operator.

        Raises:
            SettingError: For impossible bounds.
            GeometryError: Where the operator cannot be built.
            OperatorError: Where the operator cannot be built.
        """
        return ImageSet(
            operator=self.operator, data=single(self.data), delta=self.delta, kappa=kappa, lo=lo, hi=hi,
            weights=self._weights, known_norms=self._norms,
        )  # fmt: skip

    @cached_property
    def _weights(self) -> Tensor | None:
        return None if self.weights is None else single(self.weights)

    @cached_property
    def _norms(self) -> tuple[float, float]:
        root = None if self._weights is None else self._weights.sqrt()
        return norms(self.operator, root, single(self.image))


def read_evidence(path: Path) -> Evidence:
    """Verify a reconstruction's certificate, and read what it speaks of.

    Args:
        path: ``S.certificate.json``, or ``S.npy`` for the one beside it.

    Returns:
        Image, data, weights and operator, as the certificate has them.

    Raises:
        InputError: Where it is refused, is not of an image in the plane of a scan, or a file is missing.
    """
    if path.name.endswith(".npy"):
        path = path.with_name(path.name.removesuffix(".npy") + verify.FILES[""])
    if not path.name.endswith(verify.FILES[""]):
        raise InputError(f"{path.name}: give a certified image S.npy or its S.certificate.json")
    if not path.is_file():
        raise InputError(f"there is no certificate {path}; audit an image that `ctrecon reconstruct` certified")
    verdict = verify.check(path)
    if not verdict.valid:
        raise InputError(f"{path}: the certificate is refused: {verdict.reason}")
    if verdict.kind == "feasible" and len(verdict.claims["image"]["shape"]) == 3:
        raise InputError(f"{path}: certifies a volume; audits are of images, reconstruct the slice by itself")
    if verdict.kind != "feasible":
        raise InputError(f"{path}: is an {verdict.kind} certificate; give that of the reconstructed image")

    def beside(name: str) -> Path:
        return path.with_name(path.name.removesuffix(verify.FILES[""]) + verify.FILES[name])

    try:
        values = verify.parse_certificate(verify.read(path, verify.MAX_BYTES))
        if values["operator"]["projector"] == "pooling":
            raise InputError(f"{path}: is of an enlarged picture, not of a CT image; only CT images are audited")
        arrays = {
            name: verify.load(values[name], beside(name), name)
            for name in ("image", "data", "weights")
            if values[name] is not None
        }
        operator, entries = values["operator"], None
        if operator["projector"] == "matrix":
            entries = verify.load(operator["entries"], beside("matrix"), "matrix")
        matrix = None if entries is None else verify.sparse(entries, operator["shape"])
    except (verify.Refused, OSError) as why:  # all this was just found valid, so someone is changing it
        raise InputError(f"{path}: {why}") from None
    if arrays["image"].ndim != 2 or arrays["data"].ndim != 2:
        raise InputError(f"{path}: only two-dimensional images and data can be audited, not {arrays['image'].shape}")
    return Evidence(
        path=path, verdict=verdict, values=values, image=arrays["image"], data=arrays["data"],
        weights=arrays.get("weights"), entries=entries, matrix=matrix,
    )  # fmt: skip


def single(values: Array) -> Tensor:
    """``[1, 1, ...]``, float32."""
    return torch.from_numpy(np.array(values, dtype=np.float32))[None, None]
