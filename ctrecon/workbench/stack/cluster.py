"""A job's batches as tasks of Dask: worker processes on this machine, or any cluster that has a scheduler.

A task is the number of a batch. A worker reads what it needs itself, writes its batch whole into the journal, and
answers with what is said of its slices: nothing large goes over the network, but all see the same files. Where a worker
dies its tasks go to another, and a batch that it had written already is taken over.

M. Rocklin, Dask: parallel computation with blocked algorithms and task scheduling, Proc. 14th Python in Science
Conference, 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster, Security, as_completed

from ctrecon.errors import SettingError
from ctrecon.workbench.products import Products
from ctrecon.workbench.stack.job import Done, Job, do_batch

_PATIENCE = "10s"
# Of the same task: then it is likely the task that kills them.
_WORKERS_LOST = 3
# What Dask serves by HTTP is not wanted: at any free port of this machine, and empty.
_NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_ANY_PORT = "127.0.0.1:0"


class Cluster:
    """Does batches on other processes; see ``Executor``.

    Processes of this machine talk by TLS with a certificate that is made for them and lies in memory only: a scheduler
    does what it is told, and must not be told by another user of the machine. A scheduler elsewhere is as safe as
    whoever started it made it.

    Args:
        workers: So many processes on this machine, of one thread each; or
        scheduler: the address of a scheduler, such as ``tcp://host:8786``, whose workers see the same files.

    Raises:
        SettingError: Neither or both, or an impossible number.
    """

    def __init__(self, *, workers: int | None = None, scheduler: str | None = None) -> None:
        if (workers is None) == (scheduler is None):
            raise SettingError("give --workers N for this machine, or --scheduler ADDRESS for a cluster, and not both")
        if workers is not None and workers < 1:
            raise SettingError(f"--workers must be >= 1, got {workers}")
        self._workers, self._scheduler = workers, scheduler

    def run(self, job: Job, numbers: list[int]) -> Iterator[Done]:
        """Do batches as tasks of worker processes; those first in the list come first.

        Args:
            job: What is reconstructed, and how.
            numbers: Of the batches, each once.

        Yields:
            What is said of a batch, in whatever order they end.

        Raises:
            SettingError: Where there is no scheduler at the address.
            CtreconError: What a batch raises.
        """
        with ExitStack() as stack:
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": _WORKERS_LOST}))
            client = self._client(stack)
            # The earlier in the list, the sooner: the batch of the middle slice is the first.
            tasks = [
                client.submit(do_batch, job, number, pure=False, priority=-place)
                for place, number in enumerate(numbers)
            ]
            for task in as_completed(tasks, loop=client.loop):
                yield task.result()

    @contextmanager
    def elsewhere(self) -> Iterator[Products]:
        """The processes as those that compute blocks of views of a volume.

        Yields:
            An ``Elsewhere``.

        Raises:
            SettingError: Where there is no scheduler at the address.
        """
        with ExitStack() as stack:
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": _WORKERS_LOST}))
            products = Products(self._client(stack))
            stack.callback(products.close)
            yield products

    def _client(self, stack: ExitStack) -> Any:
        if self._scheduler is not None:
            try:
                return stack.enter_context(Client(self._scheduler, timeout=_PATIENCE, set_as_default=False))
            except TypeError:
                # What Dask raises where it is told of no certificate.
                raise SettingError(
                    f"--scheduler {self._scheduler}: it wants certificates, and Dask's configuration names none; set"
                    " distributed.comm.tls (https://docs.dask.org/en/stable/how-to/customize-initialization.html)"
                ) from None
            except (OSError, ValueError, TimeoutError) as why:
                said = (str(why).strip().splitlines() or [type(why).__name__])[0][:120]
                raise SettingError(f"--scheduler {self._scheduler}: no scheduler answers there ({said})") from None
        stack.enter_context(dask.config.set(_NO_PAGES))
        security = Security.temporary()
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=self._workers, threads_per_worker=1, processes=True, host="127.0.0.1", protocol="tls://",
                security=security, dashboard_address=_ANY_PORT, memory_limit=0,
            )
        )
        return stack.enter_context(Client(cluster, set_as_default=False))
