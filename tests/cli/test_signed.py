"""``reconstruct --sign`` and ``verify --trusted``: certificates and series by whom they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.dicom.series.manifest import canonical, manifest_bytes, read_manifest


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def pair(name: str) -> None:
    key = Ed25519PrivateKey.generate()
    Path(f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    Path(f"{name}.pem").chmod(0o600)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path(f"{name}.pub.pem").write_bytes(public)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("simulate", "--size", 24, "--views", 24, "-o", "scan.npz").exit_code == 0
    pair("site")
    pair("other")


QUICK = ("--delta", "5%", "--method", "cgls", "--no-preview", "--sign", "site.pem")


def test_a_certificate_is_signed_and_the_signature_checked(here: None) -> None:
    assert run("reconstruct", "scan.npz", *QUICK, "-o", "u.npy").exit_code == 0
    done = run("verify", "u.npy", "--trusted", "site.pub.pem")
    assert done.exit_code == 0
    assert "signed by the trusted key" in done.output
    done = run("verify", "u.npy", "--trusted", "other.pub.pem")
    assert done.exit_code == 1
    assert "its signature u.certificate.sig is not the trusted key's" in done.output
    signature = Path("u.certificate.sig")
    line = signature.read_text()
    signature.write_text(line[:-3] + ("0" if line[-3] != "0" else "1") + line[-2:])
    assert run("verify", "u.npy", "--trusted", "site.pub.pem").exit_code == 1
    signature.unlink()
    assert "u.certificate.sig is missing" in run("verify", "u.npy", "--trusted", "site.pub.pem").output
    assert run("verify", "u.npy").exit_code == 0
    # Without --sign, an old signature does not stay beside a new certificate.
    signature.write_text("old")
    assert run("reconstruct", "scan.npz", *QUICK[:-2], "-o", "u.npy", "--overwrite").exit_code == 0
    assert not signature.exists()


def test_a_series_is_signed_and_a_manifest_made_anew_is_not(here: None) -> None:
    assert run("reconstruct", "scan.npz", *QUICK, "-o", "s/").exit_code == 0
    assert "not checked, names the key" in run("verify", "s").output
    done = run("verify", "s", "--trusted", "site.pub.pem")
    assert done.exit_code == 0, done.output
    assert "signed by the trusted key" in done.output
    assert run("verify", "s", "--trusted", "other.pub.pem").exit_code == 1
    # Somebody who knows how manifests are made changes a comment and the manifest with it.
    image, manifest = dcmread("s/ct-0001.dcm"), dcmread("s/manifest.dcm")
    image.ImageComments = "Approved"
    image.save_as("s/ct-0001.dcm")
    values = read_manifest(manifest_bytes(manifest))
    values["objects"][str(image.SOPInstanceUID)]["says"]["ImageComments"] = "Approved"
    raw = canonical(values)
    manifest.private_block(0x71, "CTRECON")[0x20].value = raw + b" " * (len(raw) % 2)
    manifest.save_as("s/manifest.dcm")
    assert run("verify", "s").exit_code == 0
    done = run("verify", "s", "--trusted", "site.pub.pem")
    assert done.exit_code == 1
    assert "the signature of the manifest is not the trusted key's" in done.output
    for offset in (0x21, 0x22):
        del manifest.private_block(0x71, "CTRECON")[offset]
    manifest.save_as("s/manifest.dcm")
    assert "the manifest is not signed" in run("verify", "s", "--trusted", "site.pub.pem").output


def test_a_key_that_cannot_be_used_is_refused_before_the_work(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("site.pem").chmod(0o644)
    done = run("reconstruct", "scan.npz", *QUICK, "-o", "u.npy")
    assert done.exit_code == 2
    assert "chmod 600" in done.output
    assert not Path("u.npy").exists()
