"""The tests beside the lowest versions of the dependencies that pyproject.toml allows, or the newest there are.

    .venv/bin/python .ci/versions.py lowest|newest FOLDER [--torch-of-here] [TESTS...]

Needs the extra ``release``. FOLDER gets an environment of its own; with ``--torch-of-here`` torch, and what only it
needs, is taken from the environment that runs this, since its old builds bring gigabytes of CUDA.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
# What every part of the package is used by, in a few minutes.
TESTS = (
    "tests/workbench/test_front_door.py", "tests/workbench/test_ten_lines.py", "tests/cli/test_help.py",
    "tests/geometry", "tests/operators", "tests/io", "tests/classical", "tests/outputs",
    "tests/dicom/test_dicom_evidence.py",
)  # fmt: skip
# Old versions of one library warn of new ones of another.
CALM = ("-o", "filterwarnings=default")
# ASTRA, too, needs some of the CUDA libraries.
TORCH = re.compile(
    r"(torch|triton|nvidia-(?!cuda-runtime|cufft|nvjitlink)[a-z0-9-]+|pytest[a-z-]*|hypothesis|platformdirs)=="
)


def main() -> None:
    """Ends with pytest's exit code."""
    words = [word for word in sys.argv[1:] if word != "--torch-of-here"]
    kind, folder, tests = words[0], Path(words[1]).resolve(), words[2:] or list(TESTS)
    shared = "--torch-of-here" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    listed, environment = folder / "requirements.txt", folder / "env"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    run(*uv, "pip", "compile", "--resolution", RESOLUTIONS[kind], "--extra", "test", "--no-annotate", "--no-header",
        "--output-file", str(listed), "pyproject.toml")  # fmt: skip
    if shared:
        lines = listed.read_text().splitlines()
        listed.write_text("\n".join(line for line in lines if not TORCH.match(line)) + "\n")
    run(*uv, "venv", "--clear", "--python", sys.executable, str(environment))
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(*uv, "pip", "install", "--python", str(python), "--no-deps", "--requirements", str(listed))
    run(*uv, "pip", "install", "--python", str(python), "--no-deps", str(ROOT))
    if shared:
        site = next(path for path in environment.rglob("site-packages") if path.is_dir())
        (site / "torch_of_here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    calm = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", *CALM]
    sys.exit(subprocess.run([*pytest, *tests], cwd=ROOT, check=False, env=calm).returncode)


def run(*words: str) -> None:
    subprocess.run(words, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
