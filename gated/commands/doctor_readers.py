"""What the doctor finds in what readers say of themselves: firmware, power, band, clock, own complaints. Pure.

- A power is another than configured from `POWER_OFF_DBM` on: readers have steps. LLRP readers have a table of levels
  from which the driver takes one: theirs is what was taken.
- Which band is right is known of China only, by the gate's time zone; elsewhere nothing is said of it.
- What firmware there must be at least the configuration says (`firmware_least`); what is known not to work with an old
  one, the driver. Neither keeps a reader from reading.
- The clock of a reader decides nothing here, and its own log goes by it. It is judged where the box's is right.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from drivers.bands import CHINA_840, CHINA_920, POWER_MAX_DBM
from drivers.firmware import Least
from gated.commands.finding import Finding, note, ok, wrong
from gated.commands.output import duration
from gated.commands.status_text import about as in_words

if TYPE_CHECKING:
    from gated.config import Config

POWER_OFF_DBM: Final = 1.0
CLOCK_OFF_S: Final = 60.0
_IN_CHINA: Final = frozenset(
    ("Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin", "Asia/Kashgar", "PRC")
)
_RENEW: Final = "bring it up to date with the maker's tool, or take a newer reader; meanwhile it reads on"
_SET_POWER: Final = "write antenna_power of what it is to give, or set it with the maker's tool"
_SET_REGION: Final = {
    "m100": 'write region = "china-920"',
    "llrp": "set the region on the reader's own pages; where they offer none for China, it is a reader for elsewhere",
}
_BY_TOOL: Final = "set it with the maker's tool; where that cannot, it is a reader for elsewhere"


def examine(config: "Config", state: Mapping[str, Any]) -> Iterator[Finding]:
    """All readers that the daemon knows something of."""
    quality = (state.get("clock") or {}).get("quality")
    for lane, tables in config.lanes.items():
        for number, reader in enumerate(tables.readers):
            name = f"{lane}/{number}"
            device = (state.get("devices") or {}).get(name) or {}
            told = device.get("about") or {}
            least = getattr(reader.options, "firmware_least", None)
            if not told and not (least and device.get("online")):
                continue
            found = [
                *_firmware(name, told, least),
                *_power(name, told, None if reader.driver == "llrp" else reader.options),
                *_strength(name, told),
                *_region(name, told, reader.driver, reader.options, config.timezone),
                *(_clock(name, told) if quality == "synced" else ()),
                *_complaint(name, told),
            ]
            yield from found or [ok("reader", f"{name}: {in_words(told) or 'it tells nothing of itself'}")]


def _firmware(name: str, told: Mapping[str, Any], least: Least | None) -> Iterator[Finding]:
    """Older than is demanded, not to be compared, or known not to do all that is done with it."""
    firmware = told.get("firmware", "")
    met = True if least is None else least.met(firmware)
    if met is False:
        said = f"{name}: its firmware is {firmware}, older than {least}, which firmware_least demands"
        yield wrong("reader", said, _RENEW)
    elif met is None:
        tells = f'tells "{firmware}", which cannot be held against it' if firmware else "tells no firmware"
        said = f"{name}: firmware_least demands {least}, and the reader {tells}"
        yield wrong("reader", said, f"look with the maker's tool; if it is {least} or newer, take firmware_least out")
    if told.get("outdated"):
        said = f"{name}: its firmware {firmware} is old: {told['outdated']}"
        yield note("reader", said, _RENEW)


def _power(name: str, told: Mapping[str, Any], options: object) -> Iterator[Finding]:
    """Another power than it was told to give."""
    power, wanted = told.get("power_dbm"), getattr(options, "antenna_power", None)
    if power is not None and wanted is not None and abs(power - wanted) >= POWER_OFF_DBM:
        said = f"{name}: antenna_power is {wanted:g} dBm, and the reader says that it gives {power:g}"
        yield wrong("reader", said, f"it cannot give that: write antenna_power = {power:g}, or take another reader")


def _strength(name: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    """A power that is too much for the band with any antenna."""
    power, most = told.get("power_dbm"), POWER_MAX_DBM.get(told.get("region", ""))
    if power is not None and most is not None and power > most:
        said = f"{name}: it gives {power:g} dBm; in its band, {told['region']}, {most:g} is the most with any antenna"
        yield wrong("reader", said, f"{_SET_POWER}; what the antenna gains counts on top")


def _region(name: str, told: Mapping[str, Any], driver: str, options: object, timezone: str) -> Iterator[Finding]:
    region, wanted = told.get("region", ""), getattr(options, "region", None)
    if not region:
        return
    if wanted is not None and region != wanted:
        said = f'{name}: region is "{wanted}", and the reader says that it transmits in "{region}"'
        yield wrong("reader", said, "it cannot do that, or somebody has set it since: take a reader for this country")
    elif timezone in _IN_CHINA and region == CHINA_840:
        said = f"{name}: it transmits at 840 to 845 MHz, for which nothing is approved any more since 2024"
        yield note("reader", said, 'one that was approved may go on; else 920 to 925 MHz ("china-920")')
    elif timezone in _IN_CHINA and region != CHINA_920:
        said = f'{name}: it is set to "{region}"; in China readers transmit at 920 to 925 MHz only'
        yield wrong("reader", said, _SET_REGION.get(driver, _BY_TOOL))


def _clock(name: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    off = told.get("clock_off_s", 0.0)
    if abs(off) >= CLOCK_OFF_S:
        way = "ahead" if off > 0 else "behind"
        said = f"{name}: its clock was {duration(abs(off))} {way} when it connected"
        yield note("reader", said, "nothing here goes by it; its own log does: give it a time server on its own pages")


def _complaint(name: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    if told.get("complaint"):
        yield wrong("reader", f'{name}: the reader says "{told["complaint"]}"', "look it up in the maker's manual")
