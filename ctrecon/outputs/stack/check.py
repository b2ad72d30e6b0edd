"""Whether a stack is what its certificates prove: volume, places, and every slice's certificate, one by one."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.certificates.parts import npy_bytes, plain
from ctrecon.certificates.verify import FILES, Refused, Verdict, check, one_line, require
from ctrecon.certificates.worth import NOTHING, Worth, worth
from ctrecon.errors import CtreconError
from ctrecon.geometry.as_json import grid_from_dict
from ctrecon.io.npy import read_npy
from ctrecon.measurement.units import CELLS, MM
from ctrecon.outputs.history import MAX_BYTES
from ctrecon.outputs.history import SUFFIX as HISTORY
from ctrecon.outputs.stack.formats import load_format, stack_suffix
from ctrecon.outputs.stack.manifest import MOST_BYTES, NAME, SIGNATURE, WHOLE, Manifest, read_manifest
from ctrecon.outputs.stack.store import places_of
from ctrecon.outputs.stack.volume_file import ATTENUATION, HU, shown
from ctrecon.reconstruction.pieces import slice_name
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arrays import Array
from ctrecon.support.beside import history_sha256
from ctrecon.support.signatures import parse_signature

if TYPE_CHECKING:
    from ctrecon.support.site_key import PublicKey

OfSlice = Callable[[Verdict, int], None]
"""Raises Refused where the certificate of a slice, by its number from 0, is not of a scan."""


@dataclass(frozen=True, kw_only=True)
class StackVerdict:
    """What was found of a stack, in a sentence. ``slices_alone``: it is not valid because of single slices alone.

    ``repeated``: of each certified slice whose data are those of one before, both by their number from 0.
    """

    valid: bool
    said: str
    readable: bool = True
    slices_alone: bool = False
    repeated: tuple[tuple[int, int], ...] = ()


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
        manifest, signed = _manifest(evidence, trusted)
        _no_links(volume, evidence)
        require(volume.name == manifest.volume, f"the manifest is of {manifest.volume!r}, not of {volume.name!r}")
        _nothing_else(evidence, manifest)
        bad, ends, empty = 0, (math.inf, -math.inf), 0
        form = load_format(stack_suffix(volume) or "")
        require(form.values != HU or manifest.water_mu_per_mm is not None, "the manifest of HU lacks its water")
        of_form = ATTENUATION if manifest.values != "HU" else manifest.values
        require(form.values == of_form, f"the manifest says {manifest.values!r}, which such a file does not hold")
        words = _of_the_manifest(manifest) + signed
        if manifest.whole is not None:
            said = _check_whole(volume, evidence, manifest, watch, of_slice, effort)
            return StackVerdict(valid=True, said=said + words)
        seen: dict[str, int] = {}
        again: list[tuple[int, int]] = []
        for k, values in enumerate(form.read(volume, manifest)):
            path = evidence / (slice_name(k + 1) + FILES[""])
            found = _checked(manifest, evidence, k, values, form.values, of_slice, effort)
            said = f"slice {k + 1}, by the manifest at z = {manifest.slices[k]['z_mm']:g}: as certified"
            watch(path, not found.fault, found.fault or f"{said}{found.worth and f' ({found.worth})'}")
            bad += bool(found.fault)
            empty += found.worth.startswith(NOTHING)
            if (other := seen.setdefault(found.data, k)) != k and found.data:
                again.append((k, other))
            ends = min(ends[0], found.least), max(ends[1], found.most)
        if bad:
            said = f"{bad} of {manifest.shape[0]} slices are refused"
            return StackVerdict(valid=False, said=said, slices_alone=True, repeated=tuple(again))
        require(ends == manifest.range, f"its values go from {ends[0]!r} to {ends[1]!r}, not as the manifest says")
    except (Refused, CtreconError) as why:
        return StackVerdict(valid=False, said=one_line(why))
    except OSError as why:
        return StackVerdict(valid=False, said=one_line(f"cannot be read ({why})"), readable=False)
    return StackVerdict(
        valid=True,
        said=f"{manifest.shape[0]} slices, all that the manifest lists, each where it says, and within its delta of its"
        + (" data as stored" + (f"; for {empty} of them that says nothing, see their lines" if empty else ""))
        + (f"; {same_data(again)}" if again else "")
        + words,
        repeated=tuple(again),
    )


def same_data(repeated: Sequence[tuple[int, int]]) -> str:
    """That slices are of the same data, in a clause.

    Args:
        repeated: As of a verdict, at least one.

    Returns:
        The first of them, and how many more there are.
    """
    slice_number, other = repeated[0]
    more = f", and {len(repeated) - 1} more repeat data of others" if len(repeated) > 1 else ""
    return f"slices {other + 1} and {slice_number + 1} are of the same data, as no two measurements are{more}"


def _no_links(volume: Path, evidence: Path) -> None:
    """What a link leads to is no part of the stack, and may be something else tomorrow. Raises Refused."""
    for folder in {volume, evidence}:
        for root, folders, files in os.walk(folder):
            for name in (*folders, *files):
                require(not Path(root, name).is_symlink(), f"{name} is a link")


def _of_the_manifest(manifest: Manifest) -> str:
    """What no certificate says, as a clause."""
    if manifest.values != HU:
        return ""
    return f"; in HU with water at {manifest.water_mu_per_mm:g} {MM.attenuation}, by the manifest"


def _manifest(evidence: Path, trusted: PublicKey | None) -> tuple[Manifest, str]:
    """The manifest, and who signed it, as a clause. Raises Refused, CtreconError, OSError."""
    path = evidence / NAME
    require(not path.is_symlink() and path.stat().st_size <= MOST_BYTES, f"{NAME} is too large, or a link")
    raw = path.read_bytes()
    manifest = read_manifest(NAME, raw)
    Settings.from_dict(manifest.settings)  # which the scan is read again by
    signed = _signed(evidence / SIGNATURE, raw, trusted)
    z = tuple(float(one["z_mm"]) for one in manifest.slices)
    step = manifest.step_mm[0]
    listed = manifest.slices if manifest.whole is None else (manifest.whole,)
    require(all(one["files"] == sorted(set(one["files"])) for one in listed), "a slice lists a file twice")
    even = all(abs(at - (manifest.first_mm[0] + k * step)) <= 1e-6 * max(1.0, abs(step)) for k, at in enumerate(z))
    require(even, "the manifest's slices do not stand where its volume says")
    return manifest, signed


def _signed(place: Path, raw: bytes, trusted: PublicKey | None) -> str:
    if not place.is_file():
        require(trusted is None, f"its signature {SIGNATURE} is missing, and a key was to be trusted")
        return ""
    try:
        with place.open("rb") as stream:
            stated, signature = parse_signature(stream.read(1000))
    except ValueError as why:
        raise Refused(f"its signature {SIGNATURE} cannot be read ({why})") from None
    if trusted is None:
        return f"; its signature, not checked, names the key {stated.hex()[:16]}: --trusted PUBKEY checks it"
    require(stated == trusted.raw and trusted.made(signature, raw), "its signature is not the trusted key's")
    return f"; its manifest is signed by the trusted key {stated.hex()[:16]}"


def _nothing_else(evidence: Path, manifest: Manifest) -> None:
    known = {NAME, SIGNATURE}
    if manifest.whole is not None:
        parts = manifest.whole["files"]
        known |= {WHOLE + HISTORY, *(WHOLE + FILES[str(part)] for part in parts if str(part) in FILES)}
    for k, one in enumerate(manifest.slices):
        known |= {slice_name(k + 1) + FILES[str(part)] for part in one.get("files", ()) if str(part) in FILES}
    there = {path.name for path in evidence.iterdir()}
    others = sorted(there - known)
    require(not others, f"the evidence holds {others[:1]}, which the manifest does not list")
    missing = known - there - {SIGNATURE}
    require(not missing, f"the evidence lacks {min(missing, default='')!r}")


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """Why a slice is refused, if it is; else its statement's worth, its data's hash, and the ends of its values."""

    fault: str = ""
    worth: str = ""
    data: str = ""
    least: float = math.inf
    most: float = -math.inf


def _checked(
    manifest: Manifest, evidence: Path, k: int, values: Array, kind: str, of_slice: OfSlice | None, effort: float
) -> _Checked:
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
        verdict, found = _certified(manifest, said, evidence / (slice_name(k + 1) + FILES[""]), effort)
        if of_slice is not None:
            of_slice(verdict, k)
    except (Refused, CtreconError, OSError, KeyError, TypeError) as why:
        return _Checked(fault=one_line(why) or type(why).__name__)
    data = verdict.claims["data"]["sha256"]
    return _Checked(worth=found.said, data=data, least=float(image.min()), most=float(image.max()))


def _same_words(manifest: Manifest, said: Mapping[str, Any], verdict: Verdict) -> Worth:
    """What the manifest says of a certificate is what the certificate says itself. Raises Refused."""
    for name in ("delta", "norm", "residual"):
        require(verdict.claims[name] == said[name], f"its {name} is not the manifest's")
    found, unit = worth(verdict), verdict.claims["image"]["unit"]
    stated = (said["says_nothing"], said["says_little"])
    require(stated == (list(found.nothing), list(found.little)), "the manifest says another worth of it")
    units = {f"attenuation in {unit or 'units of the matrix'}", *(["HU"] if unit == MM.attenuation else [])}
    require(manifest.values in units, f"the manifest has values in {manifest.values[:60]!r}, its certificate in {unit}")
    lengths = "cell" if unit == CELLS.attenuation else manifest.length_unit if unit is None else "mm"
    require(manifest.length_unit == lengths, f"the manifest has lengths in {manifest.length_unit[:9]!r}, not {lengths}")
    return found


def _certified(manifest: Manifest, said: Any, certificate: Path, effort: float) -> tuple[Verdict, Worth]:
    """What the checker finds of a certificate. Raises Refused where it does not hold, or is not the manifest's."""
    raw = certificate.read_bytes()
    require(hashlib.sha256(raw).hexdigest() == said["certificate_sha256"], f"{certificate.name} is another one")
    verdict = check(certificate, effort=effort)
    require(verdict.valid, verdict.reason)
    require(verdict.kind == "feasible", f"{certificate.name} does not speak of an image")
    _same_place(manifest, verdict)
    return verdict, _same_words(manifest, said, verdict)


def _check_whole(
    volume: Path, evidence: Path, manifest: Manifest, watch: Callable[[Path, bool, str], None],
    of_slice: OfSlice | None, effort: float,
) -> str:
    """A volume with one certificate: every voxel of it, and that. Raises Refused, CtreconError, OSError."""
    said: Any = manifest.whole
    form = load_format(stack_suffix(volume) or "")
    path = evidence / (WHOLE + FILES["image"])
    require(not path.is_symlink(), f"{path.name} is a link")
    image = read_npy(path)
    own = hashlib.sha256(npy_bytes(plain(image, "image"))).hexdigest()
    require(own == said["image_sha256"], f"{path.name} is not the image that the manifest lists")
    require(image.shape == manifest.shape, f"{path.name} has shape {image.shape}, not the manifest's")
    for k, values in enumerate(form.read(volume, manifest)):
        same = np.array_equal(values, shown(manifest, image[k], form.values))
        require(same, f"slice {k + 1} of {volume.name} is not that of the certified volume")
    _same_history(evidence / (WHOLE + HISTORY), said["history_sha256"])
    certificate = evidence / (WHOLE + FILES[""])
    require(said["status"] == "certified", f"the volume is not certified: {said['reason']}")
    ends = float(image.min()), float(image.max())
    require(ends == manifest.range, f"its values go from {ends[0]!r} to {ends[1]!r}, not as the manifest says")
    verdict, worth_of_it = _certified(manifest, said, certificate, effort)
    if of_slice is not None:
        of_slice(verdict, 0)
    found = f"one volume of {manifest.shape[0]} slices, as certified: within its delta of its data as stored"
    found += f" ({worth_of_it.said})" if worth_of_it.said else ""
    watch(certificate, True, found)
    return found


def _same_history(path: Path, sha256: str) -> None:
    """Refuse a history that the manifest does not list."""
    require(not path.is_symlink() and path.stat().st_size <= MAX_BYTES, f"{path.name} is too large, or a link")
    try:
        own = history_sha256(path.read_bytes())
    except (ValueError, RecursionError) as why:
        raise Refused(f"{path.name} is no history ({type(why).__name__})") from None
    require(own == sha256, f"{path.name} is not the history that the manifest lists: it was changed")


def _same_place(manifest: Manifest, verdict: Verdict) -> None:
    """In the plane a certificate says itself where its pixels are."""
    stated = verdict.claims["operator"].get("grid")
    if stated is None:
        return
    z = tuple(float(one["z_mm"]) for one in manifest.slices)
    first, step = places_of(z, grid_from_dict(stated))
    if len(stated.get("centre_mm", ())) == 3:
        own = grid_from_dict(stated)
        level = np.allclose(own.z_mm, z, rtol=0, atol=1e-9 * step[0])
        require(bool(level), "its slices stand elsewhere than the manifest's volume says")
    same = np.allclose(first[1:], manifest.first_mm[1:], rtol=0, atol=1e-9 * max(step[1:])) and step[1:] == tuple(
        manifest.step_mm[1:]
    )
    require(bool(same), "its pixels stand elsewhere than the manifest's volume says")
