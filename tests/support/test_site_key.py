"""Keys of a site: what openssl writes is read, what others may read is refused, and signatures hold for their bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dicom_series import need

from ctrecon.errors import SettingError
from ctrecon.support.signatures import parse_signature
from ctrecon.support.site_key import read_public_key, read_site_key


def make_pair(folder: Path, name: str = "site") -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_the_documented_lines_of_openssl_make_a_pair(tmp_path: Path) -> None:
    tool = need("openssl")
    private, public = tmp_path / "site.pem", tmp_path / "site.pub.pem"
    subprocess.run([tool, "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    private.chmod(0o600)
    subprocess.run([tool, "pkey", "-in", private, "-pubout", "-out", public], check=True)
    key, trusted = read_site_key(private), read_public_key(public)
    assert trusted.raw == key.public.raw
    stated, signature = parse_signature(key.signed(b"a certificate"))
    assert stated == trusted.raw
    assert trusted.made(signature, b"a certificate")
    assert not trusted.made(signature, b"another")
    assert not trusted.made(signature[:-1] + bytes([signature[-1] ^ 1]), b"a certificate")
    assert "BEGIN" not in repr(key)


def test_what_is_no_key_or_not_private_is_refused(tmp_path: Path) -> None:
    private, public = make_pair(tmp_path)
    private.chmod(0o640)
    with pytest.raises(SettingError, match="others may read this private key; chmod 600"):
        read_site_key(private)
    private.chmod(0o600)
    for wrong, reader, said in (
        (public, read_site_key, "no private key"), (private, read_public_key, "no public key"),
        (tmp_path / "none", read_public_key, "cannot be read"),
        (Path("/dev/zero"), read_public_key, "larger than a key|cannot be read"),  # it says no size, and has no end
    ):
        wrong.parent == tmp_path and wrong.exists() and wrong.chmod(0o600)
        with pytest.raises(SettingError, match=said):
            reader(wrong)
    other = generate_private_key(public_exponent=65537, key_size=2048)
    private.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingError, match="another kind than Ed25519"):
        read_site_key(private)
    for raw in (b"", b"ed25519 00 00", b"ed25519 zz", b"\xff", b"rsa " + b"0" * 64 + b" " + b"0" * 128):
        with pytest.raises(ValueError):
            parse_signature(raw)
