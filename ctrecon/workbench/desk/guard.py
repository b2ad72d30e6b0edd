"""Who may ask: this machine's own browser, at the address that only its user was told. Nothing else gets a word.

A page of the web could have its name lead to 127.0.0.1 (DNS rebinding): so the Host must be ours. Another user of the
machine can reach the port: so every address begins with a secret. Pages that we send are forbidden to load, to send or
to frame anything of others, and a report, whose scripts are its own, runs in an origin of its own.
"""

from __future__ import annotations

import hmac
import secrets

COMMON = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
OF_PAGE = {"Content-Security-Policy": _PAGE_POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
OF_REPORT = {"Content-Security-Policy": _REPORT_POLICY}
"""The report's own policy, in its head, narrows this further: the browser holds to both."""


class Guard:
    """``token`` is the first part of every address of the page."""

    def __init__(self, port: int) -> None:
        self.port, self.token = port, secrets.token_urlsafe(24)
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://{self._hosts[0]}/{self.token}/"

    def ours(self, hosts: list[str], origins: list[str]) -> bool:
        """Whether a request names this server as its host, once, and comes from its own page, where it says so."""
        good = tuple(f"http://{host}" for host in self._hosts)
        return len(hosts) == 1 and hosts[0] in self._hosts and all(origin in good for origin in origins)

    def within(self, path: str) -> str | None:
        """What follows the secret in a path; None without it."""
        first, slash, rest = path.removeprefix("/").partition("/")
        return rest if slash and hmac.compare_digest(first.encode(), self.token.encode()) else None
