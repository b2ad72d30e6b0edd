"""A message put together from its fragments (PS3.8, E.2), each bound checked before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network import command_set
from ctrecon.dicom.network.arriving_file import ArrivingFile
from ctrecon.dicom.network.command_set import Command, CommandError
from ctrecon.dicom.network.pdu import PduError

# Of a data set that stays in memory: a storage commitment of ten thousand objects takes one and a half.
MOST_IN_MEMORY = 2 << 20


@dataclass
class Assembly:
    """One message. ``syntaxes``: class and transfer syntax of each accepted context; ``arriving``: where objects go."""

    syntaxes: Mapping[int, tuple[str, str]]
    arriving: Path
    most_object_bytes: int
    context: int = -1
    command: Command | None = None
    file: ArrivingFile | None = None
    memory: bytearray = field(default_factory=bytearray)
    _command: bytearray = field(default_factory=bytearray)

    @property
    def begun(self) -> bool:
        return self.context >= 0

    def add(self, context: int, control: int, part: memoryview) -> bool:
        """Take a fragment; whether the message is whole. Raises PduError."""
        if context not in self.syntaxes or (self.begun and context != self.context):
            raise PduError("a message outside its presentation context")
        self.context = context
        last = bool(control & 2)
        if control & 1:
            return self._add_command(part, last) and self.command is not None and not self.command.has_data
        if self.command is None or not self.command.has_data:
            raise PduError("a data set that was not announced")
        self._add_data(part)
        if last and self.file is not None:
            self.file.finish()
        return last

    def _add_command(self, part: memoryview, last: bool) -> bool:
        if self.command is not None or len(self._command) + len(part) > command_set.MOST_BYTES:
            raise PduError("a command set where none may be, or too long a one")
        self._command += part
        if last:
            try:
                self.command = command_set.decode(bytes(self._command))
            except CommandError as why:
                raise PduError(f"no command set: {why}") from None
            if self.command.has_data and self.command.kind == command_set.STORE_RQ:
                self.file = ArrivingFile(
                    self.arriving, self.command.sop_class, self.command.sop_instance, self.syntaxes[self.context][1],
                    self.most_object_bytes,
                )
        return last

    def _add_data(self, part: memoryview) -> None:
        if self.file is not None:
            self.file.write(part)
        elif len(self.memory) + len(part) > MOST_IN_MEMORY:
            raise PduError(f"a data set of more than {MOST_IN_MEMORY} bytes")
        else:
            self.memory += part

    def discard(self) -> None:
        """Leave nothing behind."""
        if self.file is not None:
            self.file.discard()
