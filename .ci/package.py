"""Builds, installs and uses the package as strangers get it: wheel and sdist, from a clone with links and one without.

A clone on Windows has a text file with the target's path where the tree has a link. Both trees must give the same
wheel, and that wheel, in a fresh environment that cannot see the checkout, must run the commands and the demo. The
dependencies are those of the environment that runs this script: its folder is put on the fresh one's path, which, by
Python's rules, does not bring the editable installation in it (``.pth`` files count in an environment's own folder
alone).

    .venv/bin/python .ci/package.py [FOLDER]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "ctrecon/cli/ctrecon_edn.py", "ctrecon/cli/main.py", "ctrecon/phantoms/__init__.py", "ctrecon/py.typed",
    "ctrecon/networks/weights/ct-default.safetensors", "ctrecon/certificates/verify.py",
    "ctrecon/dicom/deidentify/basic_profile.csv", "ctrecon/io/datasets/sets.json",
    "ctrecon/outputs/report/image.html", "ctrecon/outputs/report/style.css", "ctrecon/outputs/report/plots.js",
)  # fmt: skip
# Run by the fresh environment's Python, in an empty folder: where what is imported lies, and that all of it imports.
WHERE = """
import importlib.metadata, pathlib, pkgutil, sys
import ctrecon
own = pathlib.Path(sys.prefix).resolve()
files = [pathlib.Path(p).resolve() for p in ctrecon.__path__]
assert files and all(own in p.parents for p in files), f"not the wheel, but {files}"
checkout = pathlib.Path(sys.argv[1]).resolve()
inside = [p for p in sys.path if pathlib.Path(p).resolve() == checkout]
assert not inside, f"the checkout is on the path: {inside}"
assert own in pathlib.Path(importlib.metadata.distribution("ctrecon-edn").locate_file("")).resolve().parents
print("imported from the wheel:", *files)
"""


def main() -> None:
    """All checks; ends with a message and exit code 1 at the first that fails."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="package-"))
    folder.mkdir(parents=True, exist_ok=True)
    wheels = {}
    for kind in ("links", "text"):
        tree = folder / kind
        links = copy(tree, links_as_text=kind == "text")
        run(sys.executable, "-m", "build", "--outdir", str(folder / f"dist-{kind}"), str(tree), quiet=True)
        wheels[kind] = check(folder / f"dist-{kind}")
        print(f"{kind}: {wheels[kind].name}, links in the tree: {', '.join(links)}")
    one, other = (content(wheel) for wheel in wheels.values())
    differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    assert not differ, f"the wheel from a tree without links differs: {differ[:10]}"
    for kind, wheel in wheels.items():
        use(wheel, folder / f"env-{kind}", folder / f"demo-{kind}")


def copy(tree: Path, *, links_as_text: bool) -> list[str]:
    """What git tracks, or would, as it is now; gives the names of the links."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    shutil.rmtree(tree, ignore_errors=True)
    links = []
    for name in filter(None, names):
        source, target = ROOT / name, tree / name
        if not source.is_symlink() and not source.is_file():
            continue  # deleted, but not yet in a commit
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            links.append(name)
            if links_as_text:
                target.write_text(source.readlink().as_posix())
                continue
        shutil.copy2(source, target, follow_symlinks=False)
    assert links, "the tree has no links, so there is nothing to compare"
    return links


def check(dist: Path) -> Path:
    """The wheel, built from the sdist, and the sdist hold what they must and nothing else."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in (*NEEDED, "ctrecon_edn.py") if name not in names]
    assert not missing, f"{wheel.name} lacks {missing}"
    tops = {name.split("/")[0] for name in names}
    ours = {top for top in tops if top in ("ctrecon", "ctrecon_edn.py") or top.endswith(".dist-info")}
    assert tops == ours, f"{wheel.name} installs {tops}"
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive.getmembers()}
    missing = [name for name in NEEDED if name not in packed]
    assert not missing, f"{sdist.name} lacks {missing}"
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(names)} files, top level {sorted(tops)}")
    return wheel


def content(wheel: Path) -> dict[str, str]:
    """Hashes of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def use(wheel: Path, environment: Path, demo: Path) -> None:
    """Install the wheel into a fresh environment, see that it is the one imported, run ``--help`` and the demo."""
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    bin_folder = environment / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / "python"
    into = [sys.executable, "-m", "pip", "--python", str(python)]
    run(*into, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    site = next(path for path in environment.rglob("site-packages") if path.is_dir())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    demo.mkdir(parents=True, exist_ok=True)
    run(str(python), "-c", WHERE, str(ROOT), cwd=demo)
    run(str(bin_folder / "ctrecon"), "--help", cwd=demo, quiet=True)
    run("make", "--silent", "-C", str(ROOT), "-o", ".venv/.installed", "demo", f"BIN={bin_folder}", f"DEMO={demo}")
    beside_another(site, bin_folder / "ctrecon")


def beside_another(site: Path, command: Path) -> None:
    """What the registry's other ``ctrecon`` does to ours, installed last or removed: the command says it in one line.

    It ends the environment's use.
    """
    other = site / "ctrecon-0.2.0.dist-info"
    other.mkdir()
    for text in ("import no_module_of_this_name\n", None):
        if text is None:
            other.rmdir()
            (site / "ctrecon" / "__init__.py").unlink()
        else:
            (site / "ctrecon" / "__init__.py").write_text(text)
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        print(done.stderr, end="")



def run(*words: str, cwd: Path | None = None, quiet: bool = False) -> None:
    """A command without the checkout on Python's path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON") or "UNBUF" in key}
    out = subprocess.DEVNULL if quiet else None
    subprocess.run(words, cwd=cwd, env=clean, stdout=out, check=True)


if __name__ == "__main__":
    main()
