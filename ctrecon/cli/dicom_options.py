"""Options that the commands of the DICOM network share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.options import F, FilePath

if TYPE_CHECKING:
    from ctrecon.dicom.network.dicomweb import Web
    from ctrecon.dicom.network.node import Connection, Node

EXIT_PARTLY = 3

TLS_OPTIONS = (
    click.option("--tls-ca", type=FilePath, help="Use TLS and trust the certificates in this PEM file alone."),
    click.option("--tls-certificate", type=FilePath, help="Our own certificate (PEM)."),
    click.option("--tls-key", type=FilePath, help="Its key (PEM, without password). Default: in the same file."),
    click.option("--tls-name", metavar="NAME", help="Name in the other side's certificate. Default: its host."),
)
_CONNECTION = (
    click.option("--ae-title", default="CTRECON", show_default=True, metavar="TITLE", help="Our own AE title."),
    click.option(
        "--credentials",
        type=FilePath,
        help="File with user and password in two lines, readable by you alone (chmod 600). "
        "Default: CTRECON_DICOM_USER and CTRECON_DICOM_PASSWORD of the environment, if set.",
    ),
    *TLS_OPTIONS,
    click.option(
        "--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, metavar="SECONDS",
        help="Patience with each answer.",
    ),
    click.option("--retries", type=click.IntRange(0, 20), default=2, show_default=True, help="Further attempts."),
)
_WEB = (click.option("--url", metavar="URL", help="A DICOMweb service instead, like https://HOST/dicom-web."),)


def connection_options(function: F) -> F:
    """Who calls, and how."""
    for option in reversed(_CONNECTION):
        function = option(function)
    return function


def web_options(function: F) -> F:
    """DICOMweb in place of a node."""
    for option in reversed(_WEB):
        function = option(function)
    return function


def connection_of(
    *, ae_title: str, credentials: Path | None, tls_ca: Path | None, tls_certificate: Path | None,
    tls_key: Path | None, tls_name: str | None, timeout: float, retries: int,
) -> Connection:
    """The connection that the options describe."""
    from ctrecon.dicom.network.node import Connection, Identity
    from ctrecon.dicom.network.node import ae_title as checked

    identity = Identity.read(credentials)
    return Connection(
        title=checked(ae_title), identity=identity, tls=tls_of(tls_ca, tls_certificate, tls_key, tls_name),
        timeout_s=timeout, retries=retries,
    )


def tls_of(ca: Path | None, certificate: Path | None, key: Path | None, name: str | None) -> Any:
    """TLS as the options describe it, or None."""
    from ctrecon.dicom.network.node import Tls

    if ca is None:
        if certificate or key or name:
            raise click.UsageError("--tls-certificate, --tls-key and --tls-name need --tls-ca (who is trusted)")
        return None
    if key is not None and certificate is None:
        raise click.UsageError("--tls-key needs --tls-certificate")
    return Tls(ca=ca, certificate=certificate, key=key, name=name)


def other_side(
    node: str | None, url: str | None, option: str, options: dict[str, Any]
) -> tuple[Connection, Node | None, Web | None]:
    """The node or the service: exactly one of them is given."""
    from ctrecon.dicom.network.node import Node

    if (node is None) == (url is None):
        raise click.UsageError(f"give either {option} TITLE@HOST:PORT or --url URL")
    connection = connection_of(**options)
    secure = connection.tls is not None if url is None else url.startswith("https:")
    if connection.identity is not None and connection.identity.password and not secure:
        click.echo("ctrecon: note: the password travels unencrypted; use TLS (--tls-ca, or https)", err=True)
    if url is not None:
        from ctrecon.dicom.network.dicomweb import Web

        return connection, None, Web(url=url, connection=connection)
    assert node is not None
    return connection, Node.parse(node), None
