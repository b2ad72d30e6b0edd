"""The file of a signature beside a certificate: one line, ``ed25519 KEY SIGNATURE``, in hexadecimal digits."""

from __future__ import annotations

SIGNATURE = ".certificate.sig"
"""What the signature file of ``S.certificate.json`` ends with."""
SIGNATURE_BYTES, KEY_BYTES = 64, 32


def signature_line(key: bytes, signature: bytes) -> bytes:
    """The file's bytes, of a public key of 32 bytes and a signature of 64."""
    return f"ed25519 {key.hex()} {signature.hex()}\n".encode()


def parse_signature(raw: bytes) -> tuple[bytes, bytes]:
    """Key and signature of a signature file. Raises ValueError where it is none."""
    words = raw.decode("ascii").split()
    if len(words) != 3 or words[0] != "ed25519":
        raise ValueError("it is no signature file")
    key, signature = bytes.fromhex(words[1]), bytes.fromhex(words[2])
    if (len(key), len(signature)) != (KEY_BYTES, SIGNATURE_BYTES):
        raise ValueError("its key or signature has another length")
    return key, signature
