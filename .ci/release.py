"""What is published, and nothing before it holds: wheel and sdist, checked, with hashes and a bill of materials.

    .venv/bin/python .ci/release.py [FOLDER]

Needs the extra ``release``. The version is that of the commit's tag ``vVERSION`` (setuptools-scm), which must be the
one that pyproject.toml prepares; without a tag the files are made all the same, to look at. Nothing is uploaded.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

from setuptools_scm import get_version

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build, check, list, hash; ends with exit code 1 at the first that fails."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]
    prepared, version = settings["fallback_version"], get_version(root=str(ROOT), **settings)
    tags = said("git", "tag", "--points-at", "HEAD", "v[0-9]*").split()
    assert tags in ([], [f"v{prepared}"]), f"the tags {tags} are not v{prepared}, the version in pyproject.toml"
    assert not tags or not said("git", "status", "--porcelain"), "a tagged release is made from a clean tree"
    folder.mkdir(parents=True, exist_ok=True)
    assert not list(folder.iterdir()), f"{folder} is not empty"
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT))
    built = sorted(folder.iterdir())
    names = [re.sub(r"-py3-none-any\.whl|\.tar\.gz", "", path.name) for path in built]
    assert names == [f"ctrecon_edn-{version}"] * 2, f"built {[path.name for path in built]}"
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built))
    bill = folder / f"ctrecon_edn-{version}.cdx.json"
    run(
        sys.executable, "-m", "cyclonedx_py", "environment", sys.executable,
        "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible",
        "--output-format", "JSON", "--output-file", str(bill),
    )  # fmt: skip
    sums = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in [*built, bill]]
    (folder / "SHA256SUMS").write_text("".join(sums))
    print(f"{folder}: {', '.join(path.name for path in sorted(folder.iterdir()))}")


def said(*words: str) -> str:
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def run(*words: str) -> None:
    subprocess.run(words, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
