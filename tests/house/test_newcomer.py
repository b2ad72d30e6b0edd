"""A newcomer puts one file of each kind in its folder and touches no other: all of them are found, offered and used.

The package is laid out once more, by links to its files, with the new files among them; a process of its own uses it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ctrecon

GEOMETRY = '''"""Parallel beams, once more."""
from dataclasses import dataclass
from typing import ClassVar

from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class Newcomer(ParallelBeam):
    kind: ClassVar[str] = "newcomer"
    title: ClassVar[str] = "a newcomer's beam"
'''
ENERGY = '''"""Least squares, once more."""
from ctrecon.reconstruction.objectives import load_energy


def newcomer(problem):
    return load_energy("least-squares")(problem)
'''
CORRECTION = '''"""Double what was measured."""
from dataclasses import replace


def newcomer(scan):
    return replace(scan, sinogram=2 * scan.sinogram)
'''
COMMAND = '''"""Say hello."""
import click

from ctrecon.cli.help import Command


@click.command(cls=Command, examples=("ctrecon newcomer",))
def command():
    click.echo("hello")
'''
METHOD = '''"""Steepest descent, once more."""
from ctrecon.reconstruction.methods.gradient import gradient


def newcomer(problem, *, objective=None, watch=None, checkpoint=None):
    return gradient(problem, objective=objective, iterations=5)
'''
FORMAT = '''"""Numbers as text."""
import numpy as np

from ctrecon.io.measured import Measured

NAME = "newcomers' text"


def takes(path):
    return path.suffix == ".newcomer"


def read(path, ask):
    return Measured(sinogram=np.loadtxt(path))
'''
CAUSE = '''"""Always seen."""
from ctrecon.diagnosis.suggestion import Suggestion

SPEAKS = True


def newcomer(scan):
    yield Suggestion(cause="newcomer", words="a newcomer was here", scan=None, evidence="seen", last=True)
'''
FAMILY = '''"""One disc."""
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse


class Newcomer:
    name = "newcomer"

    def sample(self, rng):
        return Phantom((Ellipse(center=(0.1, 0.0), semi_axes=(0.6, 0.5), value=1.0),))
'''
BODY = '''"""One ball."""
from ctrecon.phantoms.solids import Body, Ellipsoid


class Newcomer:
    name = "newcomer"

    def sample(self, rng):
        return Body((Ellipsoid(center=(0.1, 0.0, 0.0), semi_axes=(0.6, 0.5, 0.4), value=1.0),))
'''

NEW = {
    "geometry": GEOMETRY, "reconstruction/objectives/data_terms": ENERGY, "corrections": CORRECTION,
    "cli/commands": COMMAND, "reconstruction/methods": METHOD, "io/formats": FORMAT, "diagnosis/causes": CAUSE,
    "phantoms/families": FAMILY, "phantoms/bodies": BODY,
}  # fmt: skip

USE = r'''
import json, sys
from pathlib import Path
import numpy as np
from click.testing import CliRunner
from ctrecon.cli.main import cli

assert not [name for name in sys.modules if name.endswith(".newcomer")], "found without being imported"

def run(line):
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output

assert run("newcomer") == "hello\n"
assert "Say hello" in run("--help")
run("simulate --phantom newcomer --size 24 --views 12 --noise 2% --seed 1 -o s.npz")
scan = np.load("s.npz")["sinogram"]
Path("g.json").write_text(json.dumps({"geometry": "newcomer", "detector_count": scan.shape[1],
    "angles_rad": np.linspace(0, np.pi, len(scan), endpoint=False).tolist(), "detector_spacing_mm": 1.0}))
np.savetxt("s.newcomer", scan)
said = run("reconstruct s.newcomer --geometry g.json --correct newcomer --method newcomer --energy newcomer "
           "--delta 50% --no-preview -o u.npy")
assert "certified" in said, said
assert "a newcomer was here" in run("diagnose s.newcomer --geometry g.json")
history = json.loads(Path("u.history.json").read_text())
assert history["settings"]["method"] == history["settings"]["energy"] == "newcomer"
run("verify u.certificate.json")
data = np.load("u.data.npy")
assert np.allclose(data, 2 * scan), "the correction was applied"
run("simulate --beam cone --phantom newcomer --size 8 --views 4 --seed 1 -o cone.npz")
cone = np.load("cone.npz")["sinogram"]
assert cone.ndim == 3 and cone.max() > 0
'''


def laid_out(package: Path, at: Path) -> None:
    """``package`` at ``at``: folders with a new file among their files, and those above them; all else by links."""
    new = {package / place for place in NEW}
    for place in {above for one in new for above in (one, *one.parents) if above.is_relative_to(package)}:
        there = at / place.relative_to(package)
        there.mkdir(parents=True, exist_ok=True)
        for one in place.iterdir():
            # Compiled files, too: nothing is compiled anew.
            if not any(other == one or other.is_relative_to(one) for other in new):
                (there / one.name).symlink_to(one)
    for place, text in NEW.items():
        (at / place / "newcomer.py").write_text(text)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_one_file_of_each_kind_is_found_and_used_and_no_other_is_touched(tmp_path: Path) -> None:
    laid_out(Path(str(ctrecon.__file__)).parent, tmp_path / "here" / "ctrecon")
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "here"), "PYTHONDONTWRITEBYTECODE": "1"}
    used = subprocess.run(
        [sys.executable, "-c", USE], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert used.returncode == 0, used.stderr
