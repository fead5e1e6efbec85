"""The bands that UHF readers may be set to, by their names in the configuration, and how strong readers may be there.

`POWER_MAX_DBM` is what a reader may give at its connector at most, before the gain of any antenna: one that says more
is wrong with every antenna. China and the EU limit what is radiated, 2 W e.r.p., which a dipole reaches with 33 dBm;
the US limit what is at the connector, 1 W, for antennas of up to 6 dBi.

Sources: China, rules of the MIIT for RFID at 900 MHz (2024; before them 2007 no. 205): 920 to 925 MHz; equipment for
840 to 845 MHz is no longer approved, what was approved may go on. EU, EN 302 208. US, 47 CFR 15.247.
"""

from typing import Final

CHINA_920: Final = "china-920"
CHINA_840: Final = "china-840"
US: Final = "us"
EU: Final = "eu"
KOREA: Final = "korea"

POWER_MAX_DBM: Final = {CHINA_920: 33.0, CHINA_840: 33.0, US: 30.0, EU: 33.0}
