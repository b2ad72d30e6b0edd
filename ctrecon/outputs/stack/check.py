"""Whether a stack is what its certificates prove: volume, places, and every slice's certificate, one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.certificates.parts import npy_bytes, plain
from ctrecon.certificates.verify import FILES, Refused, Verdict, check, one_line, require
from ctrecon.errors import CtreconError
from ctrecon.geometry.as_json import grid_from_dict
from ctrecon.io.npy import read_npy
from ctrecon.outputs.stack.formats import load_format, stack_suffix
from ctrecon.outputs.stack.manifest import MOST_BYTES, NAME, SIGNATURE, Manifest, read_manifest
from ctrecon.outputs.stack.store import places_of
from ctrecon.outputs.stack.volume_file import ATTENUATION, shown
from ctrecon.reconstruction.pieces import slice_name
from ctrecon.support.arrays import Array
from ctrecon.support.signatures import parse_signature

if TYPE_CHECKING:
    from ctrecon.support.site_key import PublicKey

OfSlice = Callable[[Verdict, int], None]
"""Raises Refused where the certificate of a slice, by its number from 0, is not of a scan."""


@dataclass(frozen=True, kw_only=True)
class StackVerdict:
    """What was found of a stack, in a sentence. ``slices_alone``: it is not valid because of single slices alone."""

    valid: bool
    said: str
    readable: bool = True
    slices_alone: bool = False


def check_stack(
    volume: Path, evidence: Path, *, watch: Callable[[Path, bool, str], None] = lambda path, valid, said: None,
    trusted: PublicKey | None = None, of_slice: OfSlice | None = None, effort: float = 1.0,
) -> StackVerdict:
    """Compare every slice of the volume with its certified image, and check every certificate.

    Args:
        volume: The store or file.
        evidence: Where manifest and certificates are.
        watch: Hears of each slice: its certificate, whether it holds, and what was found.
        trusted: The key that must have signed the manifest.
        of_slice: Compares a certificate with the scan.
        effort: See ``verify``.

    Returns:
        Valid where nothing was changed and every slice is certified.
    """
    try:
        manifest = _manifest(evidence, trusted)
        require(volume.name == manifest.volume, f"the manifest is of {manifest.volume!r}, not of {volume.name!r}")
        _nothing_else(evidence, manifest)
        bad = 0
        form = load_format(stack_suffix(volume) or "")
        of_form = ATTENUATION if manifest.values != "HU" else manifest.values
        require(form.values == of_form, f"the manifest says {manifest.values!r}, which such a file does not hold")
        for k, values in enumerate(form.read(volume, manifest)):
            path = evidence / (slice_name(k + 1) + FILES[""])
            fault = _fault(manifest, evidence, k, values, form.values, of_slice, effort)
            watch(path, not fault, fault or f"slice {k + 1} at z = {manifest.slices[k]['z_mm']:g}: as certified")
            bad += bool(fault)
        if bad:
            said = f"{bad} of {manifest.shape[0]} slices are refused"
            return StackVerdict(valid=False, said=said, slices_alone=True)
    except (Refused, CtreconError) as why:
        return StackVerdict(valid=False, said=one_line(why))
    except OSError as why:
        return StackVerdict(valid=False, said=one_line(f"cannot be read ({why})"), readable=False)
    return StackVerdict(
        valid=True,
        said=f"{manifest.shape[0]} slices, none missing, each at its place and within its delta of its data as stored",
    )


def _manifest(evidence: Path, trusted: PublicKey | None) -> Manifest:
    path = evidence / NAME
    require(not path.is_symlink() and path.stat().st_size <= MOST_BYTES, f"{NAME} is too large, or a link")
    raw = path.read_bytes()
    manifest = read_manifest(NAME, raw)
    if trusted is not None:
        place = evidence / SIGNATURE
        require(place.is_file(), f"its signature {SIGNATURE} is missing, and a key was to be trusted")
        try:
            stated, signature = parse_signature(place.read_bytes()[:1000])
        except ValueError as why:
            raise Refused(f"its signature {SIGNATURE} cannot be read ({why})") from None
        require(stated == trusted.raw and trusted.made(signature, raw), "its signature is not the trusted key's")
    z = tuple(float(one["z_mm"]) for one in manifest.slices)
    step = manifest.step_mm[0]
    even = all(abs(at - (manifest.first_mm[0] + k * step)) <= 1e-6 * max(1.0, abs(step)) for k, at in enumerate(z))
    require(even, "the manifest's slices do not stand where its volume says")
    return manifest


def _nothing_else(evidence: Path, manifest: Manifest) -> None:
    known = {NAME, SIGNATURE}
    for k, one in enumerate(manifest.slices):
        known |= {slice_name(k + 1) + FILES[str(part)] for part in one["files"] if str(part) in FILES}
    there = {path.name for path in evidence.iterdir()}
    others = sorted(there - known)
    require(not others, f"the evidence holds {others[:1]}, which the manifest does not list")
    missing = known - there - {SIGNATURE}
    require(not missing, f"the evidence lacks {min(missing, default='')!r}")


def _fault(
    manifest: Manifest, evidence: Path, k: int, values: Array, kind: str, of_slice: OfSlice | None, effort: float
) -> str:
    """Why slice ``k`` is refused; empty where it is not."""
    try:
        said: Any = manifest.slices[k]
        path = evidence / (slice_name(k + 1) + FILES["image"])
        require(not path.is_symlink(), f"{path.name} is a link")
        image = read_npy(path)
        own = hashlib.sha256(npy_bytes(plain(image, "image"))).hexdigest()
        require(own == said["image_sha256"], f"{path.name} is not the image that the manifest lists")
        require(image.shape == manifest.shape[1:], f"{path.name} has shape {image.shape}, not the manifest's")
        require(np.array_equal(values, shown(manifest, image, kind)), f"the volume's slice {k + 1} is not its image")
        require(said["status"] == "certified", f"slice {k + 1} is not certified: {said['status']}")
        certificate = evidence / (slice_name(k + 1) + FILES[""])
        raw = certificate.read_bytes()
        require(hashlib.sha256(raw).hexdigest() == said["certificate_sha256"], f"{certificate.name} is another one")
        verdict = check(certificate, effort=effort)
        require(verdict.valid, verdict.reason)
        require(verdict.kind == "feasible", f"{certificate.name} does not speak of an image")
        _same_place(manifest, verdict)
        for name in ("delta", "norm"):
            require(verdict.claims[name] == said[name], f"its {name} is not the manifest's")
        if of_slice is not None:
            of_slice(verdict, k)
    except (Refused, CtreconError, OSError, KeyError, TypeError) as why:
        return one_line(why) or type(why).__name__
    return ""


def _same_place(manifest: Manifest, verdict: Verdict) -> None:
    """In the plane a certificate says itself where its pixels are."""
    stated = verdict.claims["operator"].get("grid")
    if stated is None:
        return
    z = tuple(float(one["z_mm"]) for one in manifest.slices)
    first, step = places_of(z, grid_from_dict(stated))
    same = np.allclose(first[1:], manifest.first_mm[1:], rtol=0, atol=1e-9 * max(step[1:])) and step[1:] == tuple(
        manifest.step_mm[1:]
    )
    require(bool(same), "its pixels stand elsewhere than the manifest's volume says")
