"""Who is called and who calls: application entities, user identity, and TLS."""

from __future__ import annotations

import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.errors import InputError, SettingError

USER, PASSWORD = "CTRECON_DICOM_USER", "CTRECON_DICOM_PASSWORD"  # names of environment variables
_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_NODE = re.compile(r"(?P<title>[^@]*)@(?P<host>\[[0-9A-Fa-f:]+\]|[^@:\[\]]+):(?P<port>[0-9]{1,5})")


def ae_title(text: str) -> str:
    """An application entity's title: 1 to 16 printable ASCII characters without backslash (PS3.5, 6.2, AE).

    Raises SettingError.
    """
    if not _TITLE.fullmatch(text):
        raise SettingError(f"an AE title has 1 to 16 printable ASCII characters and no backslash, got {text!r}")
    return text


@dataclass(frozen=True, kw_only=True)
class Node:
    """Another application entity."""

    title: str
    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Node:
        """Read a node as people write it.

        Args:
            text: ``TITLE@HOST:PORT``, an IPv6 address in brackets.

        Returns:
            The node.

        Raises:
            SettingError: For another form, a port that is none, or a title that DICOM does not allow.
        """
        found = _NODE.fullmatch(text)
        if found is None or not 1 <= int(found["port"]) <= 65535:
            raise SettingError(f"a node is written TITLE@HOST:PORT, as in PACS@192.0.2.7:11112, got {text!r}")
        return Node(title=ae_title(found["title"]), host=found["host"].strip("[]"), port=int(found["port"]))

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user of the network. The password is in no representation."""

    user: str
    password: str = field(repr=False, default="")

    @staticmethod
    def read(path: Path | None) -> Identity | None:
        """From a file of two lines, user and password, or from the environment.

        Never from the command line, which every process of the machine can read.

        Args:
            path: The file; None for the environment.

        Returns:
            The user; None where neither is given.

        Raises:
            InputError: For a file that others may read, or that is no such file.
        """
        if path is None:
            user = os.environ.get(USER)
            return None if user is None else Identity(user=user, password=os.environ.get(PASSWORD, ""))
        try:
            if path.stat().st_size > 4096:
                raise InputError(f"{path}: a file of user and password has two lines, not {path.stat().st_size} bytes")
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise InputError(f"{path}: other users may read this password; run chmod 600 {path}")
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as why:
            raise InputError(f"{path}: user and password cannot be read: {why}") from None
        if not 1 <= len(lines) <= 2 or not lines[0]:
            raise InputError(f"{path}: expected the user in the first line and the password in the second")
        return Identity(user=lines[0], password=lines[1] if len(lines) == 2 else "")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Certificates of a secure connection, as PEM files (PS3.15, B: TLS 1.2 or later).

    ``ca``: who is trusted; ``certificate`` and ``key``: ourselves; ``name``: the name in the other side's certificate
    where it is not the host's.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    def client(self) -> ssl.SSLContext:
        """A context that checks the other side's certificate and its name.

        Returns:
            For whoever calls.

        Raises:
            InputError: Where certificates or key cannot be read.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._load(context)

    def server(self) -> ssl.SSLContext:
        """A context that demands a certificate of whoever connects.

        Returns:
            For whoever listens.

        Raises:
            SettingError: Without a certificate of our own.
            InputError: Where certificates or key cannot be read.
        """
        if self.certificate is None:
            raise SettingError("a node that listens with TLS needs --tls-certificate and --tls-key")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._load(context)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca)
        except (OSError, ssl.SSLError) as why:
            raise InputError(f"{self.ca}: no certificates that could be trusted: {why}") from None
        if self.certificate is not None:
            try:
                # No key with a password: there is nobody to type it. An empty one is refused instead of asked for.
                context.load_cert_chain(self.certificate, self.key, password="")
            except (OSError, ssl.SSLError, ValueError) as why:
                raise InputError(f"{self.certificate}: no certificate with this key: {why}") from None
        return context


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to call: our title, who we are, how safely, and how patiently (seconds)."""

    title: str = "CTRECON"
    identity: Identity | None = None
    tls: Tls | None = None
    timeout_s: float = 30.0
    retries: int = 2
