"""Certificates of the tests' own authority, and some that nobody should accept."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
_DAY = datetime.timedelta(days=1)
# Authority, names, first and last day of each.
_LEAVES: dict[str, tuple[str, list[x509.GeneralName], int, int]] = {
    "ours": ("ca", [_LOOPBACK, x509.DNSName("pacs.test")], -1, 1),
    "other": ("stranger", [_LOOPBACK], -1, 1),
    "elsewhere": ("ca", [x509.DNSName("elsewhere.test")], -1, 1),
    "expired": ("ca", [_LOOPBACK], -2, -1),
    "early": ("ca", [_LOOPBACK], 1, 2),
}


def write_certificates(folder: Path) -> Path:
    """``ca.pem`` and ``stranger.pem`` are authorities; ``NAME.pem`` with ``NAME.key`` what they have signed."""
    now = datetime.datetime.now(datetime.UTC)
    authorities = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "stranger")}
    for name, (by, names, first, last) in {
        **{one: (one, [], -9, 9) for one in authorities}, **_LEAVES,
    }.items():  # fmt: skip
        key = authorities.get(name) or ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(_called(name)).issuer_name(_called(by)).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + first * _DAY).not_valid_after(now + last * _DAY)
            .add_extension(x509.BasicConstraints(ca=name in authorities, path_length=None), critical=True)
        )  # fmt: skip
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = made.sign(authorities[by], hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
    return folder


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {name}")])
