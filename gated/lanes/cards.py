"""What a chip's NDEF message proves: where a card reader's raw record meets the keys.

A reader's driver knows no keys: it hands on the message and the chip's UID, and gets back whose card that is, or None
where only the UID is left to go by (`prove`). Nothing else here decides anything: that is for `gated.lanes.decide`.

- An e-ID (`protocol.eid`) counts by a registrar's key in `operators.json`. Read from another chip than its own it is
  given back as `copied`.
- A tap of an NTAG 424 DNA (`protocol.sun`) counts by the site's keys, which the configuration points to; one that was
  taken before, or comes from a chip with another UID, is `copied`.
- A record that is there and does not hold proves nothing: the card is what its UID says, like any card without one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from drivers.secret import file_of
from gated.config import Config
from gated.lanes.counters import Counters, CountersError
from gated.logs import FilteringBoundLogger
from protocol import eid, sun
from protocol.eid import EidError, NoEidError
from protocol.operators import Registrars
from protocol.sighting import Proved, SignedCard
from protocol.sun import NoSunError, SunError

_KEYS_MAX_BYTES: Final = 1024
_RANDOM_UID: Final = 0x08
_RANDOM_UID_BYTES: Final = 4


class CardKeysError(Exception):
    """The keys of NTAG 424 DNA chips cannot be used; the message says why, and what to do."""


class Cards:
    """The cards of one gate. Any thread may ask."""

    def __init__(
        self,
        site: str,
        registrars: Callable[[], Registrars],
        sun_keys: sun.Keys | None,
        counters: Counters,
        log: FilteringBoundLogger,
    ) -> None:
        self._site = site
        self._registrars = registrars
        self._sun_keys = sun_keys
        self._counters = counters
        self._log = log

    def prove(self, message: bytes, uid: bytes) -> Proved | None:
        """Whose card the chip of this UID is, by its NDEF message; None where that proves nothing.

        May wait for the disk: to be called from a driver's own thread.
        """
        return self._eid(message, uid) or self._tap(message, uid)

    def _eid(self, message: bytes, uid: bytes) -> Proved | None:
        try:
            card = eid.read(message, self._site, self._registrars().keys)
        except NoEidError:
            return None
        except EidError as error:
            self._log.info("card.refused", why=str(error))
            return None
        return Proved(card.credential, card.seen_on(uid))

    def _tap(self, message: bytes, uid: bytes) -> Proved | None:
        if self._sun_keys is None:
            return None
        try:
            tap = sun.read(message, self._sun_keys)
            fresh = self._counters.advance(tap.uid, tap.counter)
        except NoSunError:
            return None
        except SunError as error:
            self._log.info("card.refused", why=str(error))
            return None
        except CountersError as error:
            self._log.error("counters.trouble", why=str(error))
            return None
        copied = not fresh or not (uid == tap.uid or _random(uid))
        return Proved(tap.credential, SignedCard(sun.SIGNER, 0.0, copied=copied))


def of_config(config: Config, registrars: Callable[[], Registrars], log: FilteringBoundLogger) -> Cards:
    """The cards of a configured gate. Without the keys that it points to it runs all the same, and says so."""
    keys, why = None, ""
    try:
        if config.cards.ntag424 is not None:
            keys = read_sun_keys(file_of(config.cards.ntag424))
    except (LookupError, CardKeysError) as error:
        why = str(error)
    if why:
        log.error("cards.no-keys", why=why, effect="no NTAG 424 DNA chip counts; mend it, and start the gate anew")
    return Cards(config.site, registrars, keys, Counters(config.state), log)


def read_sun_keys(path: Path) -> sun.Keys:
    """The keys in a file: the meta key's 32 hex digits, and on a second line the file key's. Raises CardKeysError."""
    try:
        with path.open("rb") as file:
            lines = file.read(_KEYS_MAX_BYTES).decode("ascii").split()
        meta, of_file = (bytes.fromhex(line) for line in lines)
    except OSError as error:
        raise CardKeysError(f"the keys in {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise CardKeysError(f"{path} has not two lines of {2 * sun.KEY_BYTES} hex digits") from None
    if (len(meta), len(of_file)) != (sun.KEY_BYTES, sun.KEY_BYTES):
        raise CardKeysError(f"{path} has not two lines of {2 * sun.KEY_BYTES} hex digits")
    return sun.Keys(meta, of_file)


def _random(uid: bytes) -> bool:
    """Whether the chip is set to show another UID each time: the MAC alone then says which it is."""
    return len(uid) == _RANDOM_UID_BYTES and uid[0] == _RANDOM_UID
