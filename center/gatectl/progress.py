"""How a flash is shown: a bar for each gate on a terminal, else a line for each gate when its state changes."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from center.gatectl import asking
from center.output import complain
from center.publish.flashing import Screen
from center.publish.taking import Gate, State, Taking

if TYPE_CHECKING:
    from rich.progress import TaskID

_STYLES: Final = {State.TAKEN: "green", State.REFUSED: "red", State.OFFLINE: "red", State.UNKNOWN: "dim"}


class Lines:
    """For logs and pipes: to standard error."""

    def __init__(self, taking: Taking, *, quiet: bool = False) -> None:
        self._told: dict[str, State] = dict.fromkeys(taking.gates, State.WAITING)
        self._quiet = quiet
        self.screen = Screen(gates=self._gates)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _gates(self, taking: Taking, names: Sequence[str]) -> None:
        for gate in (taking.gates[name] for name in names):
            state = taking.state(gate)
            if state is not self._told[gate.name] and not self._quiet:
                self._told[gate.name] = state
                complain(asking.plain(f"{gate.name}: {_words(taking, gate)}"))


class Bars:
    """For a terminal."""

    def __init__(self, taking: Taking, *, quiet: bool = False) -> None:
        from rich.console import Console  # noqa: PLC0415 - for a terminal only
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - the same

        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False, style="{task.fields[style]}"),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._broker = self._progress.add_task("broker", total=100, words="", style="")
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task(name, total=100, words="", style="") for name in taking.gates
        }
        self.screen = Screen(broker=self._said, gates=self._gates)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _said(self, done: int, total: int) -> None:
        words = "has it" if done == total else f"{done / 2**20:.1f} of {total / 2**20:.1f} MiB"
        self._progress.update(self._broker, completed=done, total=total, words=words)

    def _gates(self, taking: Taking, names: Sequence[str]) -> None:
        for gate in (taking.gates[name] for name in names):
            fields: dict[str, Any] = {"words": asking.plain(_words(taking, gate))}
            fields["style"] = _STYLES.get(taking.state(gate), "")
            self._progress.update(self._tasks[gate.name], completed=taking.share(gate), **fields)


def _words(taking: Taking, gate: Gate) -> str:
    state, why = taking.state(gate), taking.why(gate)
    return f"{state}: {why}" if why else str(state)
