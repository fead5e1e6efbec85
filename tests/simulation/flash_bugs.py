"""Planted bugs of flashes: each a world that is wrong in one way. The simulation must find every one."""

from typing import Any, Final

from gated.lists.flash import Flash, Phase
from gated.lists.flash_acts import Switched
from protocol.repository import WHITELIST
from tests.simulation.flash_builder import Builder, Job, Step
from tests.simulation.flash_disk import Disk, Pointer
from tests.simulation.flash_net import SECRET
from tests.simulation.flashing import World
from tests.simulation.repository import File, Lines, Metadata


class AnyBase(World):
    """A delta is applied to whatever list is in force, and nobody looks at the result's hash."""

    def make_builder(self, disk: Disk, step: Step) -> Builder:
        """See World."""
        return _AnyBase(disk, SECRET, step)


class _AnyBase(Builder):
    def delta(self, job: Job, wanted: File) -> str:
        return "" if job.whole or self.disk.pointer is None else next(iter(wanted.custom["deltas"]), "")

    def made(self, wanted: File, lines: Lines) -> Pointer | None:
        return Pointer(str(wanted.custom["version"]), wanted.custom["result_sha256"], lines, (0, b""))


class Unverified(World):
    """A file is built from when all its pieces have come, whatever is in them."""

    def make_builder(self, disk: Disk, step: Step) -> Builder:
        """See World."""
        return _Unverified(disk, SECRET, step)


class _Unverified(Builder):
    def file(self, job: Job, name: str, file: File) -> bytes | None:
        del job, name
        data = self.disk.read(file.sha256, file.length)
        return data if len(data) == file.length else None


class Rollback(World):
    """What is signed is believed, however old it is."""

    def make_builder(self, disk: Disk, step: Step) -> Builder:
        """See World."""
        return _Rollback(disk, SECRET, step)


class _Rollback(Builder):
    def refresh(self, message: bytes, validity: float) -> Metadata:
        self.disk.trusted = None
        return super().refresh(message, validity)


class Early(World):
    """The pointer names the new list as soon as there is something to build, not when all of it is there."""

    def make_builder(self, disk: Disk, step: Step) -> Builder:
        """See World."""
        return _Early(disk, SECRET, step)


class _Early(Builder):
    def _take_list(self, job: Job) -> Pointer | None:
        new, held, wanted = super()._take_list(job), self.disk.pointer, job.said.files.get(WHITELIST)
        return self.made(wanted, held.lines) or new if wanted and held else new

    def made(self, wanted: File, lines: Lines) -> Pointer | None:
        return Pointer(str(wanted.custom["version"]), wanted.custom["result_sha256"], lines, (0, b""))


class NeverAgain(World):
    """A piece that never came is not asked for again."""

    def make_flash(self, flash: Flash) -> Flash:
        """See World."""
        tick, plant = flash.tick, _plant(flash)
        plant.tick = lambda now: [] if flash.phase is Phase.FETCHING else tick(now)
        return flash


class LostSwitch(World):
    """A building process that is killed is taken to have changed nothing."""

    def make_flash(self, flash: Flash) -> Flash:
        """See World."""
        failed, plant = flash.failed, _plant(flash)
        plant.failed = lambda why, now: [act for act in failed(why, now) if not isinstance(act, Switched)]
        return flash


class NeverMind(World):
    """A message that could not be kept counts as kept: what is checked then is the one before."""

    def make_flash(self, flash: Flash) -> Flash:
        """See World."""
        _plant(flash).unkept = lambda *_: []
        return flash


class LastWord(World):
    """What arrives last counts as the newest: the broker is not asked again."""

    def make_flash(self, flash: Flash) -> Flash:
        """See World."""
        _plant(flash)._ask_again = list
        return flash


def _plant(flash: Flash) -> Any:
    return flash


ALL: Final = (AnyBase, Unverified, Rollback, Early, NeverAgain, LostSwitch, NeverMind, LastWord)
