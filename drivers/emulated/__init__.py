"""Emulated devices: the frames of `protocol` from the other side, on a pty or on TCP, for the demo and the tests.

They are logic without I/O (`receive` takes the host's bytes and gives the answer); `host` puts them on a line.
"""

from drivers.emulated.contact import EmulatedContact
from drivers.emulated.em4100 import EmulatedEm4100
from drivers.emulated.host import Device
from drivers.emulated.lcus import EmulatedLcus
from drivers.emulated.llrp import EmulatedLlrp
from drivers.emulated.m100 import EmulatedM100
from drivers.emulated.modbus import EmulatedModbus
from drivers.emulated.nfc import EmulatedNfc
from drivers.emulated.osdp import EmulatedOsdp
from drivers.emulated.rsu import EmulatedRsu
from drivers.emulated.uhf18 import EmulatedUhf18
from drivers.emulated.wiegand import EmulatedWiegand


def emulated(driver_name: str) -> Device:
    """A new emulated device for the driver of this name. Raises LookupError where there is none."""
    kinds: dict[str, type[Device]] = {
        "contact": EmulatedContact,
        "em4100": EmulatedEm4100,
        "lcus": EmulatedLcus,
        "llrp": EmulatedLlrp,
        "m100": EmulatedM100,
        "modbus": EmulatedModbus,
        "nfc": EmulatedNfc,
        "osdp": EmulatedOsdp,
        "rsu": EmulatedRsu,
        "uhf18": EmulatedUhf18,
        "wiegand": EmulatedWiegand,
    }
    if driver_name not in kinds:
        raise LookupError(f"there is no emulated {driver_name!r}; there are {', '.join(kinds)}")
    return kinds[driver_name]()
