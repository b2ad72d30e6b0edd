"""Starts for a pool of many scanners, made ahead of the training: in a thread and a stream of their own on a GPU.

Cohort ``n`` is decided by ``(seed, n)`` alone: its scanner, images, phantoms and noise. There are ``slots`` scanners at
a time; each serves ``lifetime`` cohorts and gives way to another one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ctrecon.simulation.scanners import Scanner, random_scanner, walnut_scanner
from ctrecon.training.held_images import HeldImages
from ctrecon.training.noise import ScanNoise
from ctrecon.training.phantom_supply import Order, PhantomSupply
from ctrecon.training.starts import Scans, generator


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """``count`` starts of 164 x 164 pixels each, or as many of another size as take the same memory.

    ``phantoms`` is their share, of which there are ``fresh`` new ones for each cohort; the others were in earlier
    cohorts of the same scanner, with other noise. ``walnut`` is the share of the slots that hold the paper's scanner.
    """

    seed: int = 0
    count: int = 256
    phantoms: float = 0.36
    fresh: float = 0.5
    slots: int = 24
    walnut: float = 0.3
    lifetime: int = 4


S = TypeVar("S", bound=Scans)
Scanning = Callable[[Scanner, Tensor, Tensor, ScanNoise, torch.Generator], S]
"""What makes problems of a scanner's images and noise-free scans: ``starts.scanned``, ``starts.measured``."""


class Cohorts(Generic[S]):
    """Makes cohorts one after the other; ``make`` gives the next one, made by ``scanning``.

    With ``ahead`` > 0 a thread makes that many ahead of time. ``patient`` says that a pool always waits for its next
    cohort, which makes a training repeatable; otherwise it goes on with old starts until the next ones are there, and
    phantoms that are late are replaced by images. ``only`` these scanners serve, in turn, where any are given.
    Close it when done. Raises what the thread raised, when the next cohort is asked for.
    """

    def __init__(
        self, plan: CohortPlan, images: HeldImages | None, phantoms: PhantomSupply, noise: ScanNoise,
        scanning: Scanning[S], device: str | torch.device = "cpu", *, ahead: int = 0, patient: bool = True,
        only: Sequence[Scanner] = (),
    ) -> None:
        self._plan, self._images, self._phantoms, self._noise = plan, images, phantoms, noise
        self._scanning = scanning
        self._device, self._patient = str(device), patient
        self._only = tuple(replace(one, device=self._device) for one in only)
        self.number = 0
        self._scanners: dict[int, tuple[int, Scanner]] = {}
        self._stores: dict[int, tuple[Tensor, Tensor]] = {}
        self._orders: dict[int, list[tuple[int, Order]]] = {}
        self._ordered = 0
        self._walnut: Scanner | None = None
        self._made: queue.Queue[S | BaseException] = queue.Queue(max(1, ahead))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True) if ahead > 0 else None
        if self._thread is not None:
            self._thread.start()

    @property
    def ready(self) -> bool:
        return self._thread is None or self._patient or not self._made.empty()

    def make(self, rng: np.random.Generator) -> S:
        """The next cohort; ``rng`` is not used, because this one's seed decides."""
        if self._thread is None:
            return self._next()
        got = self._made.get()
        if isinstance(got, BaseException):
            raise got
        return got

    def close(self) -> None:
        """Stop the thread, after the cohort that it is making."""
        self._closing.set()
        if self._thread is not None:
            while self._thread.is_alive():
                self._drain()
                self._thread.join(0.05)

    def _drain(self) -> None:
        try:
            self._made.get_nowait()
        except queue.Empty:
            return

    def _work(self) -> None:
        try:
            if self._device.startswith("cuda"):
                own = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
                with torch.cuda.device(self._device), torch.cuda.stream(own):
                    self._go_on(torch.cuda.current_stream().synchronize)
            else:
                self._go_on(lambda: None)
        except BaseException as why:
            self._put(why)

    def _go_on(self, finish: Callable[[], object]) -> None:
        while not self._closing.is_set():
            starts = self._next()
            finish()
            self._put(starts)

    def _put(self, what: S | BaseException) -> None:
        while not self._closing.is_set():
            try:
                self._made.put(what, timeout=0.1)
            except queue.Full:
                continue
            return

    def _next(self) -> S:
        n, self.number = self.number, self.number + 1
        # The phantoms of the next cohorts are drawn while this one is made.
        while self._ordered <= n + self._plan.slots // 2:
            self._order(self._ordered)
            self._ordered += 1
        slot, generation = self._place(n)
        scanner = self._scanner(slot, generation)
        rng = np.random.default_rng([self._plan.seed, 1, n])
        random = generator(rng, self._device)
        truth, clean = self._images_and_scans(slot, scanner, rng)
        return self._scanning(scanner, truth, clean, self._noise, random)

    def _place(self, n: int) -> tuple[int, int]:
        """The slot of cohort ``n``, and which of the slot's scanners it has, counted on."""
        slot, generation = n % self._plan.slots, n // self._plan.slots
        return slot, (generation + slot % self._plan.lifetime) // self._plan.lifetime

    def _scanner(self, slot: int, version: int) -> Scanner:
        """The scanner of a slot; its operator is kept while it serves."""
        held = self._scanners.get(slot)
        if held is None or held[0] != version:
            self._scanners[slot] = held = version, self._new_scanner(slot, version)
            self._stores.pop(slot, None)
            held[1].operator.norm()
        return held[1]

    def _new_scanner(self, slot: int, version: int) -> Scanner:
        if len(self._only) > 1:
            # A copy: of many scanners only those that serve keep their operators.
            return replace(self._only[(slot + version * self._plan.slots) % len(self._only)])
        if self._only or slot < round(self._plan.walnut * self._plan.slots):
            if self._walnut is None:
                self._walnut = self._only[0] if self._only else replace(walnut_scanner(), device=self._device)
            return self._walnut
        return random_scanner(np.random.default_rng([self._plan.seed, 2, slot, version]), self._device)

    def _sizes(self, scanner: Scanner) -> tuple[int, int]:
        """How many starts, and how many of these are phantoms."""
        pixels = scanner.grid.rows * scanner.grid.columns
        count = max(4, round(self._plan.count * 164**2 / pixels)) if not self._only else self._plan.count
        share = self._plan.phantoms if self._images is not None else 1.0
        return count, round(share * count)

    def _order(self, n: int) -> None:
        slot, version = self._place(n)
        held = self._scanners.get(slot)
        scanner = held[1] if held is not None and held[0] == version else self._new_scanner(slot, version)
        wanted = self._sizes(scanner)[1]
        if wanted:
            order = self._phantoms.order(scanner, self._fresh(wanted), (self._plan.seed, 3, n))
            self._orders.setdefault(slot, []).append((version, order))

    def _fresh(self, wanted: int) -> int:
        return max(1, round(self._plan.fresh * wanted))

    def _images_and_scans(self, slot: int, scanner: Scanner, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        count, wanted = self._sizes(scanner)
        found = self._drawn(slot, wanted, rng) if wanted else None
        have = 0 if found is None else len(found[0])
        parts = [] if found is None else [found]
        if self._images is not None and count > have:
            image = self._images.draw(count - have, (scanner.grid.rows, scanner.grid.columns), rng)
            parts.append((image, scanner.operator(image)))
        images, scans = (torch.cat(each) for each in zip(*parts, strict=True))
        return images, scans

    def _drawn(self, slot: int, wanted: int, rng: np.random.Generator) -> tuple[Tensor, Tensor] | None:
        """Phantoms, new ones first and then those in store for the slot, on the device."""
        version, orders = self._scanners[slot][0], self._orders[slot]
        waits = self._patient or self._images is None
        store, new, later = self._stores.get(slot), 0, []
        for number, (meant_for, order) in enumerate(orders):
            if meant_for == version and (order.ready or (waits and number == 0)):
                images, scans = (part.to(self._device) for part in order.get())
                new += len(images)
                store = (images, scans) if store is None else (
                    torch.cat([images, store[0]]), torch.cat([scans, store[1]])
                )  # fmt: skip
            elif meant_for >= version:
                later.append((meant_for, order))
            if waits:
                later += orders[number + 1 :]
                break
        self._orders[slot] = later
        if store is None:
            return None
        self._stores[slot] = store = store[0][: 2 * wanted], store[1][: 2 * wanted]
        first = np.arange(min(new, wanted, len(store[0])))
        old = rng.integers(len(store[0]), size=wanted - len(first))
        chosen = torch.from_numpy(np.concatenate([first, old])).to(self._device)
        return store[0][chosen], store[1][chosen]
