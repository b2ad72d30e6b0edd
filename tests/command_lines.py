"""How every command is called, for the laws that all commands obey: a new one is written down here and nowhere else.

Every command stands in ``LINES`` (or says below why not). One that writes stands in ``WRITES`` and ``FULL_DISK``, too.
"""

from __future__ import annotations

# What does its work on a machine with a GPU, one that works and one that does not (tests/cli/test_gpu_defaults.py).
PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
_SMALL = "--steps 1 --batch 2 --threads 1"

# In order: later ones read what earlier ones wrote. All end with exit code 0.
LINES = [
    "simulate --phantom head --size 20 --views 24 --noise 2% -o scan.npz",
    "reconstruct scan.npz --delta 4% -o u.npy",
    "reconstruct scan.npz --delta 4% --method gradient -o gradient.npy",
    "reconstruct scan.npz --delta 4% --method cgls -o cgls.npy",
    "reconstruct scan.npz --delta 4% --method huber-tv -o tv.npy",
    "reconstruct scan.npz --delta 40% --method fbp -o fbp.npy",
    "reconstruct scan.npz --delta 4% --method cgls --operator sparse -o sparse.npy",
    "reconstruct scan.npz --delta 4% --method cgls --operator joseph -o joseph.npy",
    "reconstruct scan.npz --delta 4% --method cgls --device cpu -o cpu.npy",
    "verify u.certificate.json",
    "info scan.npz",
    "correct scan.npz -o corrected.npz --zingers --rings",
    "report u.npy -o u.html",
    "audit u.npy --roi 10,10,3 --iterations 5",
    "diagnose scan.npz",
    "calibrate scan.npz --rounds 1",
    "compare u.npy cgls.npy --discs 1 --iterations 3",
    "members u.npy --count 1",
    "synthesise-projections -o raw --rows 4 --columns 32 --per-turn 32 --turns 1.1 --feed 2 --photons 1e3 --seed 3",
    "rebin raw --z 0 -o slice.npz",
    "reconstruct raw --all-slices --delta auto --method cgls --no-preview -o series/",
    "superres photo.png --prior none",
    f"sudoku {PUZZLE}",
    "data list",
]
# These ask for no GPU unless --device names one, so a GPU that does not work says all.
ON_CPU = [
    f"train-sudoku -o sudoku.safetensors {_SMALL}",
    f"train-superres --images photos --patch 8 -o superres.safetensors {_SMALL}",
    f"train-peer learned-primal-dual --scanner walnut --size 24 --validation 0 -o peer.safetensors {_SMALL}",
    f"train-phantoms --scanner walnut --size 24 --validation 1 -o tiny.safetensors {_SMALL}",
]
DEAR = [line for line in ON_CPU if line.startswith(("train-sudoku", "train-phantoms"))]  # seconds, before their step
# Studies and volumes take minutes; that they ask for no GPU, test_one_place_asks_for_gpus shows.
STUDIES = {"benchmark", "safety", "reproduce", "train-volumes"}
# These send, receive or show files and compute nothing with torch; `dicom listen` runs "reconstruct --all-slices".
NO_TENSORS = {"dicom", "view"}

# What refuses to replace a file (tests/cli/test_overwrite.py).
# Arguments, and the files of which each by itself must stop the command. Inputs that are not there come up later.
WRITES = {
    "reconstruct": ("scan.npz -o out.npy --report out.html", "out.npy out.certificate.json out.history.json out.html"),
    "simulate": ("-o out.npz", "out.npz out.truth.npy"),
    "audit": (
        "u.npy --roi 12,12,3 --scan --iterations 3",
        "u.disc-12-12-3.certificate.json u.audit.png u.audit.npy u.audit.json",
    ),
    "compare": ("u.npy w.npy --discs 1 --iterations 3", "u.versus-w.png u.versus-w.json"),
    "members": ("u.npy --count 1 --radius 2 --gap 1 --ring 2", "u.members.png u.members.npy u.members.json"),
    "correct": ("scan.npz --zingers -o out.npz", "out.npz"),
    "calibrate": ("scan.npz --rounds 1 -o out.npz", "out.npz"),
    "info": ("scan.npz --png out.png", "out.png"),
    "diagnose": ("scan.npz --apply -o out.npz --picture out.png", "out.npz out.png"),
    "report": ("u.npy", "u.report.html"),
    "train-phantoms": ("-o out.safetensors", "out.safetensors out.md out.log.jsonl"),
    "train-peer": ("fbp-unet -o out.safetensors", "out.safetensors out.md out.log.jsonl"),
    "train-volumes": ("-o out.safetensors", "out.safetensors out.md out.log.jsonl"),
    "train-superres": ("-o out.safetensors --images .", "out.safetensors out.md out.log.jsonl"),
    "train-sudoku": ("-o out.safetensors", "out.safetensors out.md out.log.jsonl"),
    "rebin": ("raw -o out", "out/slices.json out/slice_0001.npz"),
    "synthesise-projections": ("-o out", "out/projection_000001.dcm"),
    "superres": ("photo.png -o out.png", "out.png out.npy out.certificate.json"),
    "sudoku": ("." * 81 + " -o out.csv", "out.csv"),
    "dicom deidentify": ("series out", "out/00001.dcm"),
    **{f"reproduce fig{k}": ("", f"fig{k}.json fig{k}.csv fig{k}.png") for k in range(1, 5)},
    "reproduce table1": ("--data . -o out.json", "out.json"),
    "reproduce table2": ("--data puzzles.csv -o out.json", "out.json"),
    "reproduce helsinki": ("--set . -o out.json", "out.json"),
    "reproduce lodopab": ("--ct-slices . -o out.json", "out.json"),
    "reproduce coverage": ("-o out.json", "out.json"),
    "benchmark": ("-o out.json", "out.json"),
    "safety": ("", "safety.json safety.md safety.png"),
}
# These add to what is there and replace nothing: what is there and equal stays, what differs is an error.
ADD = ("dicom get", "dicom listen", "data fetch", "reproduce roughness", "reproduce lesions", "reproduce losses",
       "reproduce volumes")
# To these files come from elsewhere: cut off, the same command goes on (tests/cli/test_killed_while_arriving.py).
ARRIVE = ("data fetch", "dicom get")
READ = ("verify", "view", "dicom echo", "dicom send", "dicom find", "dicom queue", "data list")

# What leaves all as it was where the disk is full (tests/cli/test_full_disk.py).
SCAN = "scan.npz --delta 5% --method cgls --overwrite"
# Commands with an output, each kind of output of each; they read what `place` holds, and replace what is there.
FULL_DISK = [
    "simulate --phantom head --size 16 --views 12 --noise 2% --overwrite -o made.npz",
    f"reconstruct {SCAN} -o u.npy",
    f"reconstruct {SCAN} --no-preview --report page.html -o u.npy",
    f"reconstruct {SCAN} --no-preview -o u.nii.gz",
    f"reconstruct {SCAN} --no-preview -o u.mha",
    f"reconstruct {SCAN} --no-preview -o u.nrrd",
    f"reconstruct {SCAN} --no-preview -o series/",
    "reconstruct raw --delta 30% --spacing 1 --method cgls --no-preview --overwrite -o slices/",
    "report u.npy --overwrite -o u.html",
    "synthesise-projections -o raw2 --rows 4 --columns 32 --per-turn 32 --turns 1.1 --feed 2 --overwrite",
    "rebin raw --z 0 --overwrite -o slice",
    "superres photo.png --prior none --overwrite -o large.png",
    "correct scan.npz --zingers --overwrite -o corrected.npz",
    "calibrate scan.npz --rounds 1 --overwrite -o stood.npz",
    "info scan.npz --overwrite --png shown.png",
    "diagnose negative.npz --apply --overwrite -o mended.npz --picture unexplained.png",
    "compare fbp.npy cgls.npy --discs 1 --iterations 3 --overwrite",
    "members cgls.npy --count 1 --radius 2 --gap 1 --ring 2 --overwrite",
]
# Their outputs are written by the same parts: weights with `atomic_files` (tests/training), tables and pictures of
# studies by `cli/figures.py`, what comes from a network (tests/dicom/network), data sets (tests/io/test_datasets.py).
FULL_DISK_ELSEWHERE = {
    "train-sudoku", "train-superres", "train-phantoms", "train-peer", "train-volumes", "benchmark", "safety",
    "reproduce", "dicom", "data", "audit", "sudoku",
}  # fmt: skip
