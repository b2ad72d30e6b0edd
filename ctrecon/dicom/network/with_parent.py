"""Runs a command that ends when its parent does: ``python with_parent.py PARENT_PID COMMAND...`` (Linux; else plainly).

A listening node that is killed must not leave its work running beside the node that is started after it.
"""

import ctypes
import os
import signal
import sys

if __name__ == "__main__":
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(sys.argv[1]):
            sys.exit(1)  # it ended before we asked
    os.execvp(sys.argv[2], sys.argv[2:])
