"""Every block of shell and Python of the README and the documentation runs, in order, one fresh folder per page.

A comment above a block, ``<!-- not run: WHY -->``, leaves it out; these are listed as skipped. Where a command ends
with another exit code than 0, its comment says so: ``# exit code 3``. Long commands are made smaller; under the mark
``long`` they run as they stand.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import dicom_files
import numpy as np
import pytest
from click.testing import CliRunner
from command_lines import PUZZLE
from PIL import Image
from test_docs import PAGES, ROOT

from ctrecon.certificates import verify
from ctrecon.cli.main import cli
from ctrecon.dicom.network.queue import Limits, Queue

# What makes a command smaller, on every page and on one; the command itself stands on the page.
SMALLER: dict[str, dict[str, str]] = {
    "": {
        "synthesise-projections": "--rows 16 --columns 64 --per-turn 64 --turns 2 --feed 8",
        "reconstruct raw --z": "--method cgls --no-preview --size 48",
        "reconstruct slices/": "--method cgls --no-preview --size 48",
        "reconstruct raw --all-slices": "--spacing 48 --size 32 --method cgls --no-preview",
        "reconstruct raw --all-slices --size": "--spacing 48 --method cgls --no-preview",
        "reconstruct raw/ --all-slices": "--spacing 48 --size 32 --method cgls --no-preview",
        "rebin raw": "--spacing 6",
        "simulate --from-dicom": "--views 60",
        "train-phantoms": "--scanner walnut --size 24 --batch 2 --validation 1",
        "reconstruct scan.npz -o recon.nii.gz": "--size 64",
        "audit": "--iterations 40",
        "members": "--count 2",
        "calibrate": "--size 32",
        "reconstruct raw --all-rows": "--every 24 --size 24 --delta 30%",
    },
    "README.md": {
        "simulate --phantom": "--size 82 --views 70",
        "audit": "--iterations 10",
        "train-phantoms": "--scanner walnut --size 16 --batch 1 --validation 0",
    },
    "tutorial_audit.md": {
        "simulate --image": "--size 82 --views 30",
        "reconstruct": "--method cgls",
        "audit large.recon.npy --scan": "--iterations 8 --radius 16",
        "audit": "--iterations 8",
        "members": "--count 1",
    },
    "guarantees.md": {"reconstruct scan.npz --delta 0.3%": "--iterations 4", "audit": "--iterations 8"},
    "tutorial_own_objects.md": {
        "simulate --phantom discs.py --seed 3 --noise": "--size 32 --views 20",
        "train-phantoms": "--size 24 --batch 1 --steps 1",
        "reproduce helsinki --phantoms": "--size 16 --count 1 --opening 30",
        "reconstruct": "--size 24 --delta 12%",
        "audit": "--kappa 105% --radius 4 --iterations 2",
    },
    "faq.md": {"reconstruct": "--no-preview"},
    "report.md": {"simulate": "--size 48 --views 40"},
    "dicom.md": {
        "simulate": "--size 48 --views 40",
        "simulate --beam cone": "--size 16 --views 24",
        "reconstruct cone.npz": "--method cgls",
    },
}
HARD = "000000061050700000200009000000800300401000000600000000000060080030040000020000700"
# Where a page's scan is made smaller, so are the places that its commands name.
PLACES = {
    "README.md": {"--roi 26,90,6": "--roi 13,45,3", HARD: PUZZLE},
    "tutorial_audit.md": {
        "82,94,6.5": "41,47,3.3", "82-94-6p5": "41-47-3p3", "82,94,3.3": "41,47,1.8", "82-94-3p3": "41-47-1p8",
    },
}  # fmt: skip
SMALLER_PYTHON: dict[str, dict[str, str]] = {
    "": {" iterations=300": " iterations=60", " direction=uphill)": " direction=uphill, iterations=30)"},
    "README.md": {"detector_count=164, detector_spacing_mm=0.7": "detector_count=82, detector_spacing_mm=1.4"},
    "tutorial.md": {"(48, 30, 5)": "(24, 15, 3)", "96": "48", "128": "64", "0.43": "0.86", "_mm=1.2": "_mm=2.4"},
    "tutorial_audit.md": {"(radius, size=164)": "(radius, size=82)", "most_iterations=1000": "most_iterations=200"},
    "tutorial_own_objects.md": {"size=128)": "size=48)", "=128": "=48", "4 * 0.1483": "512 / 48 * 0.1483"},
    "tutorial_layer.md": {
        "range(250)": "range(80)", "range(48)": "range(28)", "(0, 40,": "(0, 20,", "40:]": "20:]", "< 0.45": "< 0.6",
    },
    "diagnosis.md": {'"head", noise': '"head", size=96, views=72, noise', "87.5": "51.5"},
}
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>sh|python)\n(?P<text>.*?)^```", re.M | re.S
)
# Anywhere else on a page these would be commands that nobody runs.
NAMES = "|".join(map(re.escape, cli.list_commands(click.Context(cli))))
COMMAND = re.compile(
    rf"^(?:    |\$ )?(?:ctrecon (?:{NAMES})\b|(?:python3?|pip|make|git|openssl|curl|torchrun) +\S).*", re.M
)


@dataclass(frozen=True)
class Block:
    """Text between two fences: shell or Python, and why it is not run, where it is not."""

    language: str
    text: str
    line: int
    why: str | None

    def commands(self) -> list[str]:
        """Lines of shell, the continued ones joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: str) -> list[Block]:
    return [
        Block(found["language"], found["text"], page[: found.start("text")].count("\n") + 1, found["why"])
        for found in BLOCK.finditer(page)
    ]


PAGE_BLOCKS = {page: blocks(page.read_text(encoding="utf-8")) for page in PAGES}
RUN = [page for page, found in PAGE_BLOCKS.items() if any(block.why is None for block in found)]
LEFT_OUT = [(page, block) for page, found in PAGE_BLOCKS.items() for block in found if block.why is not None]


def smaller(line: str, page: Path) -> list[str]:
    """Options that make the command after ``ctrecon`` smaller: those of the page, else of all; the longest name."""
    for of in (page.name, ""):
        fits = [name for name in SMALLER.get(of, {}) if line.startswith(name)]
        if fits:
            return SMALLER[of][max(fits, key=len)].split()
    return []


def smaller_python(text: str, page: Path) -> str:
    for long, short in (SMALLER_PYTHON[""] | SMALLER_PYTHON.get(page.name, {})).items():
        text = text.replace(long, short)
    return text


def is_made_smaller(block: Block, page: Path) -> bool:
    if block.language == "python":
        return smaller_python(block.text, page) != block.text
    return any(smaller(command.removeprefix("ctrecon "), page) for command in block.commands())


LONG = [
    page for page in RUN if any(block.why is None and is_made_smaller(block, page) for block in PAGE_BLOCKS[page])
]  # fmt: skip


def given(command: str) -> None:
    """What a reader has and no page can make: a photograph, a series, a file of the study, a queue, the checker."""
    if "photo.png" in command and not Path("photo.png").exists():
        values = np.random.default_rng(0).integers(60, 200, (16, 16), dtype=np.uint8)
        Image.fromarray(values).resize((24, 24)).save("photo.png")
    for folder in ("clinical_series", "SERIES"):
        if folder in command and not Path(folder).exists():
            dicom_files.save(Path(folder), *(dicom_files.ct(k) for k in range(41)))
    if "INPUT.dcm" in command:
        dicom_files.save(Path("patient"), dicom_files.ct(0))
        shutil.copy(next(Path("patient").iterdir()), "INPUT.dcm")
    if "discs.py" in command and not Path("discs.py").exists():
        shutil.copy(ROOT / "docs" / "static" / "discs.py", "discs.py")
    if "queue/" in command and not Path("queue").exists():
        Queue(Path("queue"), Limits()).close()
    if "verify.py" in command:
        shutil.copy(str(verify.__file__), "verify.py")


def run(command: str, page: Path = Path(), *, whole: bool) -> None:
    """Run one line of shell, and look at its exit code."""
    code = int(found[1]) if (found := re.search(r"#.*exit code (\d)", command)) else 0
    given(command)
    for place, smaller_place in () if whole else PLACES.get(page.name, {}).items():
        command = command.replace(place, smaller_place)
    words = shlex.split(command, comments=True)
    if words[0] != "ctrecon":
        python = command.replace("python ", f"{sys.executable} ", 1) if words[0] == "python" else command
        # As after ``source .venv/bin/activate``: the command is found, whether that was done or not.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            ["bash", "-ec", python], capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.stderr}"
        return
    words = [part for word in words[1:] for part in (sorted(glob.glob(word)) if "*" in word else [word])]  # noqa: PTH207
    if not whole:
        words += smaller(" ".join(words), page)
    if "--minutes" in words:
        words[words.index("--minutes") : words.index("--minutes") + 2] = ["--steps", "2"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == code, f"{command}: {result.output}"


def run_page(page: Path, *, whole: bool) -> None:
    space: dict[str, object] = {"__name__": "tutorial"}
    for block in PAGE_BLOCKS[page]:
        if block.why is not None:
            continue
        if block.language == "python":
            text = block.text if whole else smaller_python(block.text, page)
            exec(compile(text, page.name, "exec", dont_inherit=True), space)
            continue
        for command in block.commands():
            run(command, page, whole=whole)


# Where what may be wrong with a scan is looked for, as everywhere; on other pages it is long.
DOUBTING = ("README.md", "diagnosis.md")


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.doubts) if page.name in DOUBTING else page for page in RUN],
    ids=lambda page: page.name,
)  # fmt: skip
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    run_page(page, whole=False)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", LONG, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_as_they_stand(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, whole=True)


def test_most_commands_are_run() -> None:
    count = {
        page.name: sum(len(one.commands()) for one in found if one.why is None and one.language == "sh")
        for page, found in PAGE_BLOCKS.items()
    }
    assert count["README.md"] >= 18
    assert count["tutorial_pacs.md"] >= 2
    assert sum(count.values()) >= 50


@pytest.mark.parametrize(("page", "block"), LEFT_OUT, ids=lambda one: getattr(one, "name", None) or str(one.line))
def test_what_is_not_run_says_why(page: Path, block: Block) -> None:
    assert block.why
    assert block.language == "sh", "Python blocks all run"
    for name in re.findall(r"(?<![\w/])(?:tests|\.ci)/[\w./]*\w", block.why):
        assert (ROOT / name).exists(), f"{name} is named, and is not there"
    pytest.skip(f"{page.relative_to(ROOT)}, line {block.line}: {block.why}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_outside_of_these_blocks(page: Path) -> None:
    found = COMMAND.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    assert found == []


def test_a_command_that_fails_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("ctrecon report head.certificate.json", "python -c 'raise SystemExit(1)'"):
        with pytest.raises(AssertionError, match=re.escape(command)):
            run(command, whole=True)
    run("ctrecon report head.certificate.json  # exit code 2", whole=True)
    shop = "<!-- not run: x -->\n```sh\na\n```\nprose\n```sh\nb\n```\n<!-- not run: y -->\n```sh\nc\n```\n"
    assert [(block.why, block.text) for block in blocks(shop)] == [("x", "a\n"), (None, "b\n"), ("y", "c\n")]
    assert COMMAND.findall("words\n\n    ctrecon info scan.npz\n```\nctrecon info\n```\nctrecon is free\n") != []
    found = blocks("<!-- not run: x -->\n```sh\na \\\n  b\n```\n```sh\n# c\nd\n```\n")
    assert [(block.why, block.commands()) for block in found] == [("x", ["a    b"]), (None, ["d"])]
