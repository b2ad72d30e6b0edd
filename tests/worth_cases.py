"""Certificates that hold, made to be weighed: of one image, and of a range of all images."""

import dual_cases
import numpy as np
from certificate_cases import problem
from dual_cases import GRID, OPERATORS

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify
from ctrecon.certificates.interval import Dual, certify_interval
from ctrecon.certificates.words import in_words
from ctrecon.certificates.worth import worth


def weighed(path):
    """The worth of the certificate at ``path``, which must hold, and its lines for a person."""
    verdict = verify.check(path)
    assert verdict.valid, verdict.reason
    found = worth(verdict)
    return found, "\n".join(in_words(verdict, found))


def feasible(folder, case="fan", *, delta=None, **changes):
    image, data, kept, residual = problem(case)
    image, data = changes.pop("image", image), changes.pop("data", data)
    made = certify(image, data, delta=residual * 1.01 if delta is None else delta, **{**kept, **changes})
    return made.write(folder / "s.npy", overwrite=True)[""]


STATED = OPERATORS["parallel"]


def interval(folder, c, *, y=0.0, p=0.0, member=None, delta=5.0, kappa=4.0, lo=0.0, hi=1.0, noise=0.05):
    """A range of the scan ``dual_cases.scan("parallel")`` by ``y`` and ``p``, at the upper end by what is opposite."""
    _, _, f, _ = dual_cases.scan("parallel", noise=noise)
    stated = verify.Problem(STATED, None, (f, None), lo, hi)
    ends = [Dual(y=sign * y + np.zeros(f.shape), p=sign * p + np.zeros((2, *GRID.shape))) for sign in (1, -1)]
    made = certify_interval(stated, "2-norm", delta, kappa, c, *ends, region="x", member=member)
    return made.write(folder / "s.npy", overwrite=True)[""]


def solving(c):
    """``y`` with ``A^T y = -c``: it proves a range by the data alone, ``delta ||y||`` to either side."""
    A = dual_cases.dense.matrix(STATED)
    return np.linalg.lstsq(A.T, -c.ravel(), rcond=None)[0].reshape(8, 9)


def balancing(c):
    """``p`` with ``D^T p = -c``: it proves a range by kappa alone."""
    D = dual_cases.dense.differences(*GRID.shape)
    return np.linalg.lstsq(D.T, -c.ravel(), rcond=None)[0].reshape(2, *GRID.shape)


def contrast():
    c = np.zeros(GRID.shape)
    c[3, 4], c[0, 0] = 1.0, -1.0
    return c


def differences(u):
    down, right = np.zeros_like(u), np.zeros_like(u)
    down[:-1], right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return down, right
