"""Signatures with a key of the site: Ed25519 (RFC 8032) over the bytes of a certificate or a manifest.

A hash shows that something was changed; a signature, by whom it was made. Keys are PEM files as openssl writes them:

    openssl genpkey -algorithm ed25519 -out site.pem && chmod 600 site.pem
    openssl pkey -in site.pem -pubout -out site.pub.pem
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ctrecon.errors import SettingError
from ctrecon.support.signatures import signature_line

_LARGEST = 10_000
# So that a signature of one kind of file is none of another.
_DOMAIN = b"ctrecon signature 1\0"


@dataclass(frozen=True)
class SiteKey:
    """A private key. Its text form names no key."""

    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return "SiteKey()"

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(_DOMAIN + data)

    def signed(self, data: bytes) -> bytes:
        """A signature file: one line of key and signature, in hexadecimal digits."""
        return signature_line(self.public.raw, self.sign(data))

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())


@dataclass(frozen=True)
class PublicKey:
    """A public key, trusted or not."""

    _key: Ed25519PublicKey

    @property
    def raw(self) -> bytes:
        """32 bytes."""
        return self._key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def made(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` of ``data`` was made with this key's private half."""
        try:
            self._key.verify(signature, _DOMAIN + data)
        except InvalidSignature:
            return False
        return True


def read_site_key(path: Path) -> SiteKey:
    """The private key in a PEM file that nobody else may read.

    Raises:
        SettingError: For a file that cannot be read, that others may read, or that holds no Ed25519 private key.
    """
    raw = _read(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingError(f"{path}: others may read this private key; chmod 600 it")
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingError(f"{path}: holds no private key in PEM without a password; see docs/guarantees.md") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingError(f"{path}: holds a key of another kind than Ed25519; make one by openssl genpkey")
    return SiteKey(key)


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        SettingError: For a file that cannot be read, or that holds no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingError(f"{path}: holds no public key in PEM; give what openssl pkey -pubout wrote") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingError(f"{path}: holds a key of another kind than Ed25519; make one by openssl genpkey")
    return PublicKey(key)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)  # a device or a pipe says no size, and may have no end
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror or error}); give a PEM file") from None
    if len(raw) > _LARGEST:
        raise SettingError(f"{path}: is larger than a key can be; give a PEM file")
    return raw
