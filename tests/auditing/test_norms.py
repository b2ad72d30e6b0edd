"""The norms of an audit against a singular value decomposition, and that one scan's are taken once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

import ctrecon as ct
from ctrecon.auditing.evidence import read_evidence
from ctrecon.auditing.norms import ROUGH, norms
from ctrecon.energies.huber_tv import differences
from ctrecon.operators.sparse import SparseOperator


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_the_largest_singular_values(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.csr_matrix(rng.random((20, 30)) * (rng.random((20, 30)) < 0.3), dtype=np.float32)
    operator = SparseOperator(matrix, (1, 5, 6), (1, 4, 5))
    root = torch.from_numpy(rng.random((1, 1, 4, 5)).astype(np.float32)) if weighted else None
    dense = matrix.toarray() * (1 if root is None else root.numpy().reshape(-1, 1))
    eye = torch.eye(30).reshape(30, 1, 5, 6)
    rough = torch.cat(differences(eye), dim=1).reshape(30, -1).T.numpy() * ROUGH
    data, both = norms(operator, root, torch.empty(1, 1, 5, 6))
    true = np.linalg.norm(dense, 2)
    assert data == pytest.approx(true, rel=0.01)
    assert both == pytest.approx(np.linalg.norm(np.vstack([dense / true, rough]), 2), rel=0.02)


def test_sets_of_one_scan_share_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = ct.simulate("head", size=16, views=8, noise=0.02, seed=1).scan
    ct.reconstruct(scan, method="cgls").save(tmp_path / "u.npy")
    evidence = read_evidence(tmp_path / "u.npy")
    taken: list[int] = []
    monkeypatch.setattr("ctrecon.auditing.evidence.norms", lambda *a: taken.append(1) or norms(*a))
    monkeypatch.setattr("ctrecon.auditing.image_set.norms", lambda *a: taken.append(1) or norms(*a))
    found = {evidence.image_set(kappa=kappa, lo=0.0, hi=0.1).norms for kappa in (0.5, 1.0, 2.0)}
    assert len(found) == len(taken) == 1
