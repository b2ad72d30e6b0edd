"""A signed series in the hands of somebody who knows how manifests, keys and certificates are made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dicom_series import GRID, dicom_files, write
from pydicom import dcmread

from ctrecon.certificates.verify import Refused
from ctrecon.dicom.common.private import CREATOR, GROUP, KEY, MANIFEST, SIGNATURE
from ctrecon.dicom.series.manifest import canonical, entry_of, manifest_bytes, read_manifest, slice_of
from ctrecon.dicom.series.manifest_check import manifest_in
from ctrecon.dicom.series.part_check import _placed
from ctrecon.dicom.series.series_check import check_series
from ctrecon.support.site_key import PublicKey, SiteKey

SITE, OTHER = (SiteKey(Ed25519PrivateKey.from_private_bytes(bytes([k]) * 32)) for k in (1, 2))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("signed") / "series", 2, key=SITE)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another series of the same site and patient."""
    return write(tmp_path_factory.mktemp("second") / "series", 1, key=SITE)


@pytest.fixture
def series(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "series"))


def rewrite(series: Path, change: Callable[[Any], None]) -> None:
    """Change the manifest's private block."""
    ds = dcmread(series / "manifest.dcm")
    change(ds.private_block(GROUP, CREATOR))
    ds.save_as(series / "manifest.dcm")


def with_values(change: Callable[[dict[str, Any]], None], key: SiteKey | None = None) -> Callable[[Path], None]:
    def do(series: Path) -> None:
        def edit(block: Any) -> None:
            values = read_manifest(bytes(block[MANIFEST].value).rstrip(b" "))
            change(values)
            raw = canonical(values)
            block[MANIFEST].value = raw + b" " * (len(raw) % 2)
            if key is not None:
                block[SIGNATURE].value, block[KEY].value = key.sign(raw), key.public.raw

        rewrite(series, edit)

    return do


def strip(series: Path) -> None:
    rewrite(series, lambda block: [block.__delitem__(one) for one in (SIGNATURE, KEY)])


def strip_signature(series: Path) -> None:
    rewrite(series, lambda block: block.__delitem__(SIGNATURE))


def sign_as(key: SiteKey, *, claim: PublicKey) -> Callable[[Path], None]:
    def do(series: Path) -> None:
        raw = manifest_bytes(dcmread(series / "manifest.dcm"))

        def edit(block: Any) -> None:
            block[SIGNATURE].value, block[KEY].value = key.sign(raw), claim.raw

        rewrite(series, edit)

    return do


def cut(series: Path) -> None:
    rewrite(series, lambda block: setattr(block[SIGNATURE], "value", bytes(block[SIGNATURE].value)[:32]))


def of_a_certificate(series: Path) -> None:
    """A signature of the site's, but of other bytes."""
    rewrite(series, lambda block: setattr(block[SIGNATURE], "value", SITE.sign(b"another file of the site")))


SIGNED = {
    "stripped": (strip, "not signed"),
    "key without signature": (strip_signature, "not signed"),
    "signed by another": (sign_as(OTHER, claim=OTHER.public), "signed by another key"),
    "key replaced": (sign_as(SITE, claim=OTHER.public), "signed by another key"),
    "another's signature under the site's key": (sign_as(OTHER, claim=SITE.public), "not the trusted key's"),
    "half a signature": (cut, "not the trusted key's"),
    "signature of another file": (of_a_certificate, "not the trusted key's"),
    "older version": (with_values(lambda v: v.update(format="ctrecon-manifest-0")), "another format"),
    "no version": (with_values(lambda v: v.pop("format")), "another format"),
    "older version, signed by another": (with_values(lambda v: v.update(format="0"), OTHER), "another format"),
    "entry added": (with_values(lambda v: v.update(approved=True)), "other entries"),
    "slice dropped from the list": (with_values(lambda v: v["slices"].pop()), "not the trusted key's"),
    "made anew by another": (with_values(lambda v: v["slices"].pop(), OTHER), "signed by another key"),
}


def asked(series: Path) -> str:
    """What the manifest's signature says to who trusts the site."""
    manifest = manifest_in([(path, dcmread(path)) for path in dicom_files(series)])
    assert manifest is not None
    return manifest.said_of_signature(SITE.public)


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_that_is_not_the_sites_is_refused(series: Path, name: str) -> None:
    change, said = SIGNED[name]
    assert "trusted key" in asked(series)
    change(series)
    with pytest.raises(Refused, match=said):
        asked(series)


def test_slices_of_two_series_both_signed_are_neither(series: Path, second: Path) -> None:
    assert check_series(series, trusted=SITE.public).valid
    shutil.copy(second / "ct-0001.dcm", series / "ct-0001.dcm")
    shutil.copy(second / "certificate-0001.dcm", series / "certificate-0001.dcm")
    shutil.rmtree(series / "certificates")
    mixed = check_series(series, trusted=SITE.public)
    assert not mixed.valid
    shutil.copy(second / "manifest.dcm", series / "manifest-2.dcm")
    with pytest.raises(Refused, match="2 manifests"):
        asked(series)


def test_a_slice_that_is_moved_with_its_manifest_is_refused_by_its_certificate(series: Path) -> None:
    """Unsigned, so that the manifest can be made anew: what the certificate says of z is still what it was."""
    ds = dcmread(series / "ct-0002.dcm")
    ds.ImagePositionPatient[2] = ds.SliceLocation = -3.5
    ds.save_as(series / "ct-0002.dcm")

    def follow(values: dict[str, Any]) -> None:
        values["objects"][str(ds.SOPInstanceUID)] = entry_of(ds)
        values["slices"][1] = slice_of(ds)

    with_values(follow, OTHER)(series)
    verdict = check_series(series)
    assert not verdict.valid
    said = {finding.path.name: finding.said for finding in verdict.findings if not finding.valid}
    assert "ImagePositionPatient is at z = -3.5 mm, its certificate at -10 mm" in said["ct-0002.dcm"]


def test_a_certificate_without_a_place_is_of_no_series(series: Path) -> None:
    ds = dcmread(series / "ct-0001.dcm")
    _placed(ds, GRID, GRID.spacing_mm, float(ds.ImagePositionPatient[2]))
    for z, said in ((None, "does not say where"), (-12.4999, "its certificate at")):
        with pytest.raises(Refused, match=said):
            _placed(ds, GRID, GRID.spacing_mm, z)
