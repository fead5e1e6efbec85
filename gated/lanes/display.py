"""What a lane shows to people: readers that have lamps or beepers, and relays beside them. The table is `signals`'s."""

from collections.abc import Mapping
from dataclasses import replace

from drivers.port import Colour, DriverError, Indicator, Output, Signal
from gated.lanes.signals import TABLE, Lights, Outcome, Table, lights


class Display:
    """One lane's. `outputs` are its relays, by the names of `Lights`; `indicators` may be filled in later."""

    def __init__(self, outputs: Mapping[str, Output], table: Table = TABLE) -> None:
        self.indicators: list[Indicator] = []
        self._outputs = outputs
        self._table = table
        self._signal = Signal(Colour.OFF, seconds=0.0)
        self._since = 0.0
        self._until = 0.0
        self._closed = dict.fromkeys(outputs, False)

    @property
    def there(self) -> bool:
        """Whether there is anything to show something on."""
        return bool(self.indicators or self._outputs)

    def show(self, outcome: Outcome, mono: float, *, silent: bool = False) -> None:
        """Show an outcome now. One who must wait is told so only where nobody before them is still shown something."""
        if outcome is Outcome.WAITING and mono < self._until:
            return
        signal = self._table[outcome]
        self._signal, self._since = replace(signal, beeps=0) if silent else signal, mono
        self._indicate(self._signal, mono)

    def tick(self, mono: float, *, wanted: bool, trouble: Outcome | None) -> None:
        """Let time pass. `wanted`: somebody waits for the guard; `trouble`: what is the matter with the lane itself.

        Trouble is shown for as long as it lasts, without beeps, whenever nothing else is; by the lamp steadily, since a
        relay is not made to blink for days.
        """
        if trouble is not None and mono >= self._until:
            self._indicate(replace(self._table[trouble], beeps=0), mono)
        self._put(lights(self._signal, mono - self._since, wanted=wanted or trouble is not None))

    def stop(self) -> None:
        """Show nothing more, at the end."""
        self._put(Lights())

    def _indicate(self, signal: Signal, mono: float) -> None:
        self._until = mono + signal.seconds
        for indicator in self.indicators:
            indicator.show(signal)

    def _put(self, now: Lights) -> None:
        for name, output in self._outputs.items():
            on: bool = getattr(now, name)
            if on == self._closed[name]:
                continue
            try:
                output.set(on=on)
                self._closed[name] = on
            except DriverError:
                continue  # it is tried at each tick until the port is back
