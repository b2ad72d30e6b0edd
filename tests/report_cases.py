"""Reconstructions to report on, and certificates of regions as ``ctrecon audit`` writes them."""

from __future__ import annotations

import hashlib
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from ctrecon.certificates import verify
from ctrecon.cli.main import cli

HOSTILE = "<script>window.pwned=1</script><img src=x onerror=\"window.pwned=1\">'\"&</title></script>\u2028{{7*7}}"
SUFFIXES = (".npy", ".data.npy", ".certificate.json", ".history.json")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def reconstruct(folder: Path, stem: str = "head", *more: object) -> Path:
    """A certified head of 48 x 48 pixels, ``stem.npy``."""
    scan = folder / "scan.npz"
    if not scan.exists():
        made = run("simulate", "--phantom", "head", "--size", 48, "--views", 40, "--noise", "2%", "-o", scan)
        assert made.exit_code == 0, made.output
    image = folder / f"{stem}.npy"
    options = more or ("--delta", "2.5%")
    done = run("reconstruct", scan, "--method", "cgls", *options, "-o", image, "--no-preview", "--json")
    assert done.exit_code in (0, 3), done.output
    return image


def copied(image: Path, folder: Path, stem: str) -> Path:
    """The same reconstruction under another name."""
    for suffix in SUFFIXES:
        shutil.copy(image.with_name(image.stem + suffix), folder / (stem + suffix))
    return folder / f"{stem}.npy"


def claim_of(image: Path) -> dict[str, Any]:
    return verify.parse_certificate(image.with_name(image.stem + ".certificate.json").read_bytes())


def add_audit(
    image: Path, label: str, region: str, lower: float, upper: float, times: float = 1.0, **changed: Any
) -> Path:
    """An interval certificate beside ``image``: its numbers are made up, its form and its hashes are right.

    ``times`` is a factor of the functional's part in the region.
    """
    main = claim_of(image)
    u = np.load(image)
    rows, columns = np.mgrid[: u.shape[0], : u.shape[1]]
    distance = np.hypot(rows - 20, columns - 30)
    inside, around = distance < 4, (distance >= 5) & (distance < 8)
    functional = image.with_name(f"{image.stem}.{label}.functional.npy")
    np.save(functional, times * inside / inside.sum() - around / around.sum())
    values = {
        **{name: main[name] for name in ("format", "norm", "delta", "operator", "data", "weights", "limits")},
        **{"kind": "interval", "statement": "", "kappa": 31.2, "lo": 0.0, "hi": 0.06},
        **{"region": region, "lower": lower, "upper": upper},
        "functional": {
            "sha256": hashlib.sha256(functional.read_bytes()).hexdigest(), "shape": list(u.shape), "dtype": "<f8",
        },
        **changed,
    }  # fmt: skip
    path = image.with_name(f"{image.stem}.{label}.certificate.json")
    path.write_bytes(verify.encode(values))
    return path


def make_infeasible(image: Path, lower_bound: float = 0.7654321) -> None:
    """Replace the certificate by one that says that no image explains the data. Made up, but whole."""
    main = claim_of(image)
    values = {name: main[name] for name in ("format", "norm", "operator", "data", "weights", "limits")}
    values |= {"kind": "infeasible", "delta": 0.5, "lower_bound": lower_bound, "lo": 0.0, "hi": 0.06, "statement": ""}
    values["image_shape"] = main["image"]["shape"]
    image.with_name(image.stem + ".certificate.json").write_bytes(verify.encode(values))


def believing(path: Path) -> verify.Verdict:
    """The checker, but an interval or infeasible certificate holds if its own hash does: its numbers are made up."""
    verdict = verify.check(path)
    if verdict.kind not in ("interval", "infeasible"):
        return verdict
    try:
        values = verify.parse_certificate(path.read_bytes())
    except verify.Refused as why:
        return verify.Verdict(False, verdict.kind, reason=str(why))
    arrays = {"data": _by_hash(path.parent, values["data"]["sha256"])}
    if values["weights"] is not None:
        arrays["weights"] = _by_hash(path.parent, values["weights"]["sha256"])
    if verdict.kind == "infeasible":
        arrays["dual"] = np.ones(arrays["data"].shape)
    if verdict.kind == "interval":
        functional = _by_hash(path.parent, values["functional"]["sha256"])
        arrays |= {"functional": functional, "member": np.ones(functional.shape)}
        # Such as prove nothing without the data.
        arrays |= {name: np.ones(arrays["data"].shape) for name in ("lower_y", "upper_y")}
        arrays |= {name: np.full((2, *functional.shape), 1e6) for name in ("lower_p", "upper_p")}
    return verify.Verdict(True, verdict.kind, f"made up, for a test: {HOSTILE}", claims=values, arrays=arrays)


def _by_hash(folder: Path, sha256: str) -> Any:
    """The array of that file, or 1 where a test has it say that there is one."""
    found = (path for path in folder.glob("*.npy") if hashlib.sha256(path.read_bytes()).hexdigest() == sha256)
    path = next(found, None)
    return np.ones(1) if path is None else np.load(path)


class Page(HTMLParser):
    """The elements and the text of a page. ``faults`` are tags that do not match."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})
    SILENT = frozenset({"script", "style"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if len(dict(attributes)) != len(attributes):
            self.faults.append(f"<{tag}> repeats an attribute")
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] not in self.SILENT:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())
