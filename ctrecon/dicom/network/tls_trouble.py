"""Why a secure connection failed and what to do about it, in words, from what OpenSSL says."""

from __future__ import annotations

import socket
import ssl

from ctrecon.dicom.network.node import Tls

_STRANGER = "its certificate is of no authority that is trusted here", "give its authority's certificate with --tls-ca"
_ANOTHER = "its certificate is another host's", "if it is the right one, give the name in it with --tls-name"
_PLAIN = "it speaks no TLS", "use its secure port, or none of the --tls options"
_OLD = "it offers no TLS 1.2 or later", "have that enabled there"
# By words of OpenSSL 1.1.1 and 3: what we found wrong with the other side, then what it says of us.
_TROUBLES = (
    ("certificate has expired", "its certificate has expired", "have it renewed there"),
    ("not yet valid", "its certificate is not valid yet", "check the clocks of both machines"),
    ("hostname mismatch", *_ANOTHER),
    ("ip address mismatch", *_ANOTHER),
    ("self-signed certificate", *_STRANGER),
    ("self signed certificate", *_STRANGER),
    ("unable to get", *_STRANGER),
    ("certificate verify failed", "its certificate cannot be verified", "check it and --tls-ca"),
    ("did not return a certificate", "it has no certificate", "give it one of an authority in --tls-ca"),
    ("wrong version number", *_PLAIN),
    ("http request", *_PLAIN),
    ("record layer failure", *_PLAIN),
    ("unsupported protocol", *_OLD),
    ("protocol version", *_OLD),
    ("no shared cipher", "it offers no cipher of TLS 1.2 or later", "have one enabled there"),
    ("alert certificate expired", "our certificate has expired", "renew --tls-certificate"),
    ("alert unknown ca", "it does not trust the authority of our certificate",
     "have that authority trusted there, or use another --tls-certificate"),
    ("alert certificate required", "it demands a certificate of ours", "give --tls-certificate and --tls-key"),
    ("alert handshake failure", "it demands a certificate of ours", "give --tls-certificate and --tls-key"),
    ("alert", "it does not accept our certificate", "check --tls-certificate, and what is trusted there"),
)  # fmt: skip
_CLOSED = "it closed the connection after the TLS handshake", "it may not accept our --tls-certificate"


def trouble(said: str) -> tuple[str, str] | None:
    """What is wrong and the remedy of the side that called.

    Args:
        said: The text of an ``ssl.SSLError``.

    Returns:
        None where it is not about TLS.
    """
    text = said.lower().replace("_", " ")
    return next(((what, remedy) for mark, what, remedy in _TROUBLES if mark in text), None)


def asked_again(host: str, port: int, tls: Tls, timeout_s: float) -> tuple[str, str] | None:
    """Why a node ends our secure connections: with TLS 1.3 it says what it thinks of our certificate only after the
    handshake, when pynetdicom does not listen, so a connection is made for that alone.

    Args:
        host: Of the node.
        port: Of the node.
        tls: Our certificates.
        timeout_s: For the connection, and for its end.

    Returns:
        As :func:`trouble`; None where it keeps the connection, so that TLS is not the reason.
    """
    try:
        plain = socket.create_connection((host, port), timeout_s)
    except OSError:
        return None
    try:
        with plain:
            with tls.client().wrap_socket(plain, server_hostname=tls.name or host) as secure:
                secure.settimeout(min(timeout_s, 1.0))
                return None if secure.recv(1) else _CLOSED
    except TimeoutError:
        return None
    except ssl.SSLError as why:
        return trouble(str(why)) or _CLOSED
    except OSError:
        return _CLOSED
