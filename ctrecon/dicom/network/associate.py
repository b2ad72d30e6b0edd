"""Associations (PS3.8): opened, explained where they fail, and always closed."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.tls_trouble import asked_again, trouble
from ctrecon.errors import NetworkError, SettingError

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association

IMPLEMENTATION_CLASS = "2.25.137465329083726201650738429561174080251"
IMPLEMENTATION_VERSION = "CTRECON_EDN_01"


def need_pynetdicom() -> None:
    """Raises SettingError, with the remedy, where the optional package is missing."""
    try:
        import pynetdicom  # noqa: F401
    except ImportError:
        raise SettingError("the DICOM network needs pynetdicom; run pip install 'ctrecon-edn[pacs]'") from None


def silence() -> None:
    """Let the libraries of the network print nothing: what they log may hold patient names."""
    for name in ("pynetdicom", "pydicom", "urllib3"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False


def entity(connection: Connection) -> AE:
    """An application entity of ours, without contexts."""
    from pynetdicom import AE

    ae = AE(ae_title=connection.title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS
    ae.implementation_version_name = IMPLEMENTATION_VERSION
    ae.acse_timeout = ae.connection_timeout = connection.timeout_s
    ae.dimse_timeout = ae.network_timeout = connection.timeout_s
    return ae


def without_delay(event: Any) -> None:
    """Send small packets at once: waiting for more of them (Nagle) costs 40 ms per object."""
    with suppress(OSError, AttributeError):
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Causes(logging.Handler):
    """Keeps why a connection could not be made, which the library only logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.cause = ""

    def emit(self, record: logging.LogRecord) -> None:
        _, found, cause = record.getMessage().partition("TCP Initialisation Error: ")
        self.cause = cause if found else self.cause


@contextmanager
def associate(
    node: Node,
    connection: Connection,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    roles: Sequence[str] = (),
    handlers: Sequence[Any] = (),
) -> Iterator[Association]:
    """An association with ``node`` for ``contexts`` (SOP class, transfer syntaxes); released or aborted at the end.

    For the SOP classes in ``roles`` we offer to be the side that stores (PS3.7, D.3.3.4). Tried again up to
    ``connection.retries`` times where the node cannot be reached, with pauses of 1, 2, 4, ... seconds.
    Raises NetworkError: not reached, refused (with the reason given), broken off, or nothing of it accepted.
    """
    need_pynetdicom()
    silence()
    last: NetworkError | None = None
    for attempt in range(connection.retries + 1):
        if attempt:
            time.sleep(min(2.0 ** (attempt - 1), 30.0))
        try:
            association = _open(node, connection, contexts, roles, handlers)
        except _UnreachedError as why:
            last = why
            continue
        break
    else:
        assert last is not None
        raise NetworkError(str(last))
    try:
        yield association
    except BaseException:
        if association.is_established:
            association.abort()
        raise
    if association.is_established:
        association.release()


# A refusal by the provider's side of the upper layer that may pass (PS3.8, 9.3.4): congestion, or a local limit.
_TRANSIENT = (2, 3)


class _UnreachedError(NetworkError):
    """May pass by itself, so worth another try; a refusal for good is not."""


def _open(
    node: Node, connection: Connection, contexts: Sequence[tuple[str, Sequence[str]]], roles: Sequence[str],
    handlers: Sequence[Any],
) -> Association:
    from pydicom.uid import UID
    from pynetdicom import build_context, build_role, evt
    from pynetdicom.pdu_primitives import UserIdentityNegotiation

    ae = entity(connection)
    negotiation: list[Any] = [build_role(UID(sop_class), scp_role=True) for sop_class in dict.fromkeys(roles)]
    if connection.identity is not None:
        item = UserIdentityNegotiation()
        item.user_identity_type = 2 if connection.identity.password else 1
        item.primary_field = connection.identity.user.encode()
        if connection.identity.password:
            item.secondary_field = connection.identity.password.encode()
        item.positive_response_requested = True
        negotiation.append(item)
    tls = connection.tls
    causes = _Causes()
    logger = logging.getLogger("pynetdicom")
    logger.addHandler(causes)
    try:
        association = ae.associate(
            node.host,
            node.port,
            contexts=[build_context(UID(c), [UID(s) for s in syntaxes]) for c, syntaxes in contexts],
            ae_title=node.title,
            ext_neg=negotiation,
            tls_args=None if tls is None else (tls.client(), tls.name or node.host),
            evt_handlers=[(evt.EVT_CONN_OPEN, without_delay), *handlers],
        )
    except OSError as why:
        raise _UnreachedError(f"{node} cannot be reached: {why}; check host and port") from None
    finally:
        logger.removeHandler(causes)
    if association.is_established:
        return association
    if association.is_rejected:
        answer: Any = association.acceptor.primitive
        if (answer.result, answer.result_source) == _TRANSIENT:
            raise _UnreachedError(f"{node} has no room for an association now ({answer.reason_str}); try again later")
        raise NetworkError(
            f"{node} refused the association of {connection.title}: {answer.reason_str}; check both AE titles"
            f"{', user and password' if connection.identity else ''}"
        )
    if association.is_aborted and not causes.cause and association.acceptor.primitive is not None:
        raise NetworkError(f"{node} accepts none of what was offered ({_offered(contexts)})")
    if found := trouble(causes.cause):
        raise NetworkError(f"{node}: no secure connection: {found[0]}; {found[1]}")
    if causes.cause:
        raise _UnreachedError(f"{node} cannot be reached: {causes.cause}; check host and port")
    if tls is not None and (found := asked_again(node.host, node.port, tls, connection.timeout_s)):
        raise _UnreachedError(f"{node}: no secure connection: {found[0]}; {found[1]}")
    secure = "" if tls is not None else ", or whether it wants TLS (--tls-ca)"
    raise _UnreachedError(f"{node} broke the connection off without an answer; check that it speaks DICOM{secure}")


def _offered(contexts: Sequence[tuple[str, Sequence[str]]]) -> str:
    from ctrecon.dicom.network.contexts import name_of

    names = [f"{name_of(c)} in {name_of(s[0])}" for c, s in contexts]
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def echo(node: Node, connection: Connection) -> None:
    """Ask a node whether it is there: C-ECHO (PS3.7, 9.1.5).

    Args:
        node: Whom.
        connection: Our title, time limits and certificates.

    Raises:
        NetworkError: Where it cannot be reached, refuses or does not answer.
    """
    from ctrecon.dicom.network.contexts import UNCOMPRESSED, VERIFICATION

    with associate(node, connection, [(VERIFICATION, [str(s) for s in UNCOMPRESSED])]) as association:
        status = association.send_c_echo()
        if "Status" not in status:
            raise NetworkError(f"{node} did not answer the C-ECHO within {connection.timeout_s:g} s")
        if status.Status != 0:
            raise NetworkError(f"{node} answered the C-ECHO with status 0x{status.Status:04X}")
