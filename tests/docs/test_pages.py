"""Every command of the README runs as it stands, in order, in one fresh folder, with exit code 0."""

from __future__ import annotations

import glob
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_docs import ROOT, blocks

from ctrecon.cli.main import cli

# What makes a command smaller; the command itself stands in the README.
SMALLER = {
    "synthesise-projections": "--rows 16 --columns 64 --per-turn 96 --turns 2 --feed 8",
    "reconstruct raw": "--spacing 6 --method cgls --no-preview",
    "simulate --from-dicom": "--views 60",
    "train-phantoms": "--scanner walnut --size 24 --batch 2 --validation 1",
    "audit": "--iterations 1500",
}
# Not run, and why.
NOT_RUN = {
    "git": "needs the repository's address", "cd": "of the shell", "source": "of the shell",
    "make": "CI runs make demo", "python3": "installs; CI does it with the wheel",
    "ctrecon dicom send": "needs a PACS; tests/dicom/network has its own",
    "ctrecon dicom listen": "runs for ever; tests/dicom/network has its own",
}  # fmt: skip


def given(command: str) -> None:
    """What a reader has and the README cannot make: a photograph, a clinical series."""
    if "photo.png" in command:
        values = np.random.default_rng(0).integers(60, 200, (16, 16), dtype=np.uint8)
        Image.fromarray(values).resize((24, 24)).save("photo.png")
    if "clinical_series/" in command:
        Path("clinical_series").mkdir()
        for path in sorted(Path("slices").glob("ct-*.dcm")):
            shutil.copy(path, "clinical_series")


def commands() -> list[str]:
    found = "\n".join(blocks((ROOT / "README.md").read_text(encoding="utf-8"), "sh"))
    lines = [shlex.split(line, comments=True) for line in found.splitlines()]
    return [shlex.join(words) for words in lines if words]


def test_every_command_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for command in commands():
        if any(command == name or command.startswith(name + " ") for name in NOT_RUN):
            continue
        given(command)
        words = shlex.split(command)
        assert words[0] == "ctrecon", command
        words = [part for word in words[1:] for part in (sorted(glob.glob(word)) if "*" in word else [word])]  # noqa: PTH207
        line = " ".join(words)
        for name, options in SMALLER.items():
            if line.startswith(name):
                words += options.split()
        if "--minutes" in words:
            words[words.index("--minutes") : words.index("--minutes") + 2] = ["--steps", "2"]
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert result.exit_code == 0, f"{command}: {result.output}"
        ran.append(command)
    assert len(ran) >= 18


def test_a_command_that_fails_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["report", "head.certificate.json"]).exit_code != 0
