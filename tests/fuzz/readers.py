"""Targets of what stands at a lane: readers, relays, inputs. Mostly streams; see `tests.fuzz.streams`."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

from protocol import em4100, gen2, lcus, llrp, llrp_replies, llrp_requests, m100, modbus, osdp, pn532, uhf18, wiegand
from protocol import wiegand_serial as serial
from protocol.credential import canonical
from protocol.wiegand import Card, Fault, Format
from tests.fuzz.streams import Side, target
from tests.fuzz.target import Target, cut, frames, streams, vectors

_PARAMS: Final = sorted(llrp.Param)
_DEPTH: Final = 4
_NESTED: Final = 128


def _em4100() -> Target:
    def side(framing: em4100.Framing | None) -> Side[em4100.Frame]:
        def of(content: bytes) -> em4100.Frame:
            which, tag = cut(content)
            return em4100.Frame(tag[:5].ljust(5, b"\x02"), framing or em4100.CHECKED[which % len(em4100.CHECKED)])

        return Side(
            lambda: em4100.Em4100Codec(framing),
            em4100.Frame.to_bytes,
            em4100.BUFFER_MAX_BYTES,
            of,
            lambda frame: canonical(em4100.credential(frame.tag)),
            lambda frame: any(frame.tag),
            exact=False,  # lower case
        )

    return target([side(framing) for framing in (None, *em4100.Framing)], lambda: streams("em4100"), 256)


def _uhf18() -> Target:
    def reply(content: bytes) -> uhf18.Reply | uhf18.Heartbeat:
        command, address, status = content[:3].ljust(3, b"\x01")
        return uhf18.Reply(address, command or uhf18.Cmd.REPORT, status, content[3:250])  # none is to command 00

    def command(content: bytes) -> uhf18.Command:
        code, address = content[:2].ljust(2, b"\x01")
        return uhf18.Command(address, code, content[2:250])

    def look(frame: uhf18.Reply | uhf18.Heartbeat) -> None:
        if isinstance(frame, uhf18.Reply):
            found = uhf18.epcs(frame)
            assert all(canonical(gen2.credential(epc)) for epc in found)
            assert sum(map(len, found)) <= len(frame.data)
            info = uhf18.Info.from_reply(frame)
            assert info is None or (info.to_data() == frame.data[:8] and 0 <= info.band < 16)
            uhf18.read_beyond(frame)
            gen2.tid(frame.data)

    bound = uhf18.BUFFER_MAX_BYTES
    sides: list[Side[uhf18.Reply | uhf18.Heartbeat] | Side[uhf18.Command]] = [
        Side(uhf18.ReplyCodec, lambda frame: frame.to_bytes(), bound, reply, look),
        Side(uhf18.CommandCodec, uhf18.Command.to_bytes, bound, command),
    ]
    return target(sides, lambda: streams("uhf18"), 800)


def _m100() -> Target:
    def of(content: bytes) -> m100.Frame:
        which, rest = cut(content)
        if which % 4 == 0:  # a tag that is sound
            return m100.Tag.of(rest[: len(rest) // 2 % 32 * 2] or bytes(2), which // 2 - 64).to_frame()
        code, parameters = cut(rest)
        return m100.Frame(m100.Kind(which % 3), code, parameters[:250])

    def counts(frame: m100.Frame) -> bool:
        return not m100.is_tag(frame) or m100.Tag.from_frame(frame) is not None

    def look(frame: m100.Frame) -> None:
        tag = m100.Tag.from_frame(frame)
        assert (tag is None) is not m100.is_tag(frame)
        assert tag is None or (tag.to_frame() == frame and (not tag.epc or canonical(gen2.credential(tag.epc))))
        assert frame.error is None or frame.kind is m100.Kind.REPLY
        m100.info(frame)
        memory = m100.Memory.from_frame(frame)
        assert memory is None or (memory.to_frame() == frame and canonical(gen2.credential(memory.epc)))

    side = Side(m100.M100Codec, m100.Frame.to_bytes, m100.BUFFER_MAX_BYTES, of, look, counts)
    return target([side], lambda: streams("m100"), 800)


def _llrp() -> Target:
    def ours() -> Iterator[bytes]:
        yield llrp.Message(llrp.Kind.RO_ACCESS_REPORT, 1, bytes(70_000)).to_bytes()
        yield llrp_requests.get_config().to_bytes()
        yield llrp_requests.set_config(1000).to_bytes()
        yield llrp_requests.add_rospec((llrp_requests.Antenna(1, 2, (1, 0, 81)),)).to_bytes()

    def of(content: bytes) -> llrp.Message:
        which, value = cut(content)
        kind, first = (
            (llrp.Kind.RO_ACCESS_REPORT, llrp.Param.TAG_REPORT_DATA),
            (llrp.Kind.ADD_ROSPEC_RESPONSE, llrp.Param.LLRP_STATUS),
            (llrp.Kind.READER_EVENT_NOTIFICATION, llrp.Param.READER_EVENT_NOTIFICATION_DATA),
        )[which % 3]
        return llrp.Message(kind, which, llrp.Parameter(first, value).to_bytes())

    makers = llrp.Parameter(llrp.Param.CUSTOM, bytes(8000)).to_bytes()
    long = llrp.Message(llrp.Kind.GET_READER_CONFIG_RESPONSE, body=makers).to_bytes()
    bound = llrp.MESSAGE_MAX_BYTES - 1
    side = Side(llrp.LlrpCodec, llrp.Message.to_bytes, bound, of, _read_llrp, long=long)
    return target([side], lambda: [*streams("llrp"), *ours()], 2048)


def _read_llrp(message: llrp.Message) -> None:
    """What is asked of a message, whatever it says."""
    assert all(canonical(gen2.credential(tag.epc)) for tag in llrp_replies.tags(message))
    found = llrp_replies.status(message)
    body = message.body[llrp.FIXED_BYTES.get(message.kind, 0) :]
    assert found is None or llrp.having(body, llrp.Param.LLRP_STATUS, 4)
    assert found is None or (found.words and (found.words.isprintable()))
    told = llrp_replies.event(message)
    capabilities, settings = llrp_replies.capabilities(message), llrp_replies.settings(message)
    assert 0 <= capabilities.antennas <= 0xFFFF
    assert (told.complaint + capabilities.firmware).isprintable()
    assert settings.levels.keys() == settings.bands.keys()
    assert all(isinstance(one, bool) for one in settings.plugged.values())


def _llrp_replies() -> Target:
    """Any body of each message, and one of parameters that add up."""
    kinds = sorted(llrp.Kind)

    def check(data: bytes) -> None:
        which, rest = cut(data)
        kind = kinds[which % len(kinds)]
        made = _parameters(rest, _DEPTH)
        body = b"".join(one.to_bytes() for one in made)
        assert llrp.parameters(body) == made
        fixed = bytes(llrp.FIXED_BYTES.get(kind, 0))
        for one in (rest, body, fixed + body):
            _read_llrp(llrp.Message(kind, 7, one))
        found = llrp.parameters(rest)
        if found is not None:
            whole = b"".join(one.to_bytes() for one in found)
            assert llrp.parameters(whole) == found
            assert len(whole) <= len(rest)

    def seeds() -> Iterator[bytes]:
        for data in frames("llrp"):
            (message, *_) = llrp.LlrpCodec().feed(data)
            yield bytes([kinds.index(llrp.Kind(message.kind))]) + message.body
        for kind in (llrp.Kind.RO_ACCESS_REPORT, llrp.Kind.READER_EVENT_NOTIFICATION, llrp.Kind.ADD_ROSPEC_RESPONSE):
            for which, size in product(range(len(_PARAMS)), (0, 6, 22)):
                inner = (bytes([which, size]) + bytes(size)).ljust(24, b"\0")
                around = (llrp.Param.TAG_REPORT_DATA, llrp.Param.READER_EVENT_NOTIFICATION_DATA, llrp.Param.LLRP_STATUS)
                nested = (bytes([_NESTED + _PARAMS.index(one), len(inner)]) + inner for one in around)
                yield bytes([kinds.index(kind)]) + b"".join(nested)

    return Target(check, seeds, 800)


def _parameters(data: bytes, depth: int) -> tuple[llrp.Parameter, ...]:
    """Parameters that these bytes tell of: `type | length | value`; beyond 128 others are in it, behind some bytes."""
    found = []
    while data:
        which, rest = cut(data)
        size, rest = cut(rest)
        value, data = rest[:size], rest[size:]
        kind = _PARAMS[which % _NESTED % len(_PARAMS)]
        if kind in llrp._TV_BYTES:
            value = value[: llrp._TV_BYTES[kind]].ljust(llrp._TV_BYTES[kind], b"\0")
        elif depth and which >= _NESTED:
            front = size % 8
            value = value[:front] + b"".join(one.to_bytes() for one in _parameters(value[front:], depth - 1))
        found.append(llrp.Parameter(kind, value))
    return tuple(found)


def _modbus() -> Target:
    reads = sorted(modbus.READS)

    def request(content: bytes) -> modbus.Message:
        which, unit, first, count = content[:4].ljust(4, b"\x01")
        bits = [bool(byte & 1) for byte in content[4:]]
        if which % 3 == 0:
            return modbus.put_coils(unit, first, bits)
        if which % 3 == 1:
            return modbus.put_coil(unit, first << 8 | count, on=which > 127)
        return modbus.read(unit, modbus.Function(reads[which % len(reads)]), first << 8 | count, len(content))

    def reply(content: bytes) -> modbus.Message:
        which, unit, code = content[:3].ljust(3, b"\x01")
        if which % 3 == 0:
            return modbus.Message(unit, which // 3 % 6 + 1 | 0x80, bytes([code]))
        if which % 3 == 1:
            return modbus.put_coil(unit, code, on=True)
        data = content[3:240]
        return modbus.Message(unit, reads[which % len(reads)], bytes([len(data)]) + data)

    def sides(of: Callable[[bytes], modbus.Message], *, asked: bool) -> Iterator[Side[modbus.Message]]:
        bound = modbus.FRAME_MAX_BYTES - 1
        yield Side(lambda: modbus.RtuCodec(requests=asked), modbus.Message.to_rtu, bound, of, _read_modbus)
        yield Side(lambda: modbus.TcpCodec(requests=asked), modbus.Message.to_tcp, bound, of, _read_modbus)

    def seeds() -> Iterator[bytes]:
        yield from streams("modbus")
        for message in (request(b"\x00abcdefg"), reply(b"\x02abcdefg"), reply(b"\x00ab"), request(b"\x02")):
            yield message.to_rtu()
            yield message.to_tcp()

    return target([*sides(request, asked=True), *sides(reply, asked=False)], seeds, 800)


def _read_modbus(message: modbus.Message) -> None:
    """What is asked of a message: it may be taken for a request, and for the answer to one."""
    assert 0 <= message.address < modbus.NUMBERS
    assert message.refusal is None or modbus.why(message.refusal)
    for function in modbus.Function:
        request = modbus.read(message.unit, function, 0, 16)
        if modbus.answers(request, message) and message.refusal is None and function in modbus.READS:
            found = modbus.values(request, message)
            assert found is not None
            assert len(found) == request.value
            if function in modbus.BITS:
                assert modbus.packed(found) == message.data


def _osdp() -> Target:
    def look(frame: osdp.Frame) -> None:
        osdp.Identity.from_frame(frame)
        if (read := osdp.Read.from_data(frame.data)) is not None:
            assert read.to_data() == frame.data
            assert len(read.bits) == read.count

    def of(content: bytes) -> osdp.Frame:
        which, address, code = content[:3].ljust(3, b"\x01")
        kind = 0x11 + which // 32
        block = b"" if which % 4 else bytes([2, kind])
        mac = bytes(4) if block and kind >= 0x15 else b""
        reply = bool(which & 16)
        return osdp.Frame(address & 0x7F, code, content[3:], reply, which % 4, bool(which & 8), block, mac)

    long = osdp.Frame(1, osdp.Reply.ACK, bytes(1000), reply=True).to_bytes()
    side = Side(
        osdp.OsdpCodec, osdp.Frame.to_bytes, osdp.BUFFER_MAX_BYTES, of, look, long=long, exact=False
    )  # bits of the control byte that mean nothing are not kept
    return target([side], lambda: streams("osdp"), 800)


def _pn532() -> Target:
    def of(content: bytes) -> pn532.Frame:
        which, data = cut(content)
        kind = tuple(pn532.Kind)[which % len(pn532.Kind)]
        told = kind in (pn532.Kind.COMMAND, pn532.Kind.REPLY)
        return pn532.Frame(kind, data * (1 + which // 128) if told and len(data) < 130 else b"")

    side = Side(
        pn532.Pn532Codec, pn532.Frame.to_bytes, pn532.BUFFER_MAX_BYTES, of, exact=False
    )  # a short frame may be written as a long one
    return target([side], lambda: streams("pn532"), 800)


def _lcus() -> Target:
    def of(content: bytes) -> lcus.Switch | lcus.Order | lcus.Query:
        which, _ = cut(content)
        channel = 1 + which % lcus.CHANNELS
        return lcus.Order(channel, lcus.Operation.TELL) if which % 3 else lcus.Switch(channel, on=which > 127)

    side = Side(lcus.LcusCodec, lambda command: command.to_bytes(), lcus.BUFFER_MAX_BYTES, of)
    wrong = bytes.fromhex("a00107a8 a00001a1 a00901aa a1010103")  # with right sums
    streamed = target([side], lambda: [*streams("lcus"), wrong, *(wrong[at : at + 4] for at in range(0, 16, 4))], 128)

    def check(data: bytes) -> None:
        streamed.check(data)
        assert 0 <= lcus.channels(data) <= lcus.CHANNELS

    def seeds() -> Iterator[bytes]:
        yield from streamed.seeds()
        yield from (b"\x00\x01\x00\x00", b"CH1:OFF\r\nCH2:ON\r\n", b"CH 1: ON\n")

    return Target(check, seeds, streamed.max_bytes)


def _wiegand() -> Target:
    wide = (None, *Format)

    def check(data: bytes) -> None:
        """The bits of the bytes, as many as the first byte says, and all that there can be of a number."""
        head, rest = cut(data)
        bits = wiegand.bits_of(rest, head % 64)
        for form in wide:
            found = wiegand.decode(bits, form)
            if isinstance(found, Card):
                assert found.to_bits() == bits
                assert canonical(found.credential)
                assert Card.of(found.format, found.facility, found.number) == found
                assert Card.of_data(found.format, found.data) == found
                inverted = "".join("10"[int(bit)] for bit in bits)
                assert wiegand.decode(inverted, form) is Fault.INVERTED

    def seeds() -> Iterator[bytes]:
        for one in vectors("wiegand"):
            yield bytes([len(one["meaning"]["bits"])]) + bytes.fromhex(one["hex"])
        for form in Format:
            bits = Card(form, 0, 12345).to_bits()
            yield bytes([len(bits)]) + int(bits.ljust(40, "0"), 2).to_bytes(5)

    return Target(check, seeds, 16)


def _wiegand_serial() -> Target:
    def side(expected: serial.Expected) -> Side[Card | Fault | serial.Note]:
        forms = [form for form in Format if _told(expected, Card(form, 0, 1))]

        def of(content: bytes) -> Card | Fault | serial.Note:
            which, number = cut(content)
            form = forms[which % len(forms)]
            room = 2 ** (Card(form, 0, 0).length - 2)
            return Card.of_data(form, int.from_bytes(number[:5]) % room) or Fault.LENGTH

        return Side(
            lambda: serial.WiegandCodec(expected),
            lambda card: serial.line_of(expected.framing, card) if isinstance(card, Card) else b"",
            serial.BUFFER_MAX_BYTES,
            of,
            lambda said: isinstance(said, Card) and canonical(said.credential),
            lambda said: isinstance(said, Card),
            lost=1,
        )

    every = [
        serial.Expected(framing, length, wide)
        for framing, (length, wide) in product(
            serial.Framing, [(None, None), (26, None), (34, None), (None, Format.H10302), (37, Format.H10304)]
        )
    ]
    sides = [side(one) for one in every if any(_told(one, Card(form, 0, 1)) for form in Format)]

    def seeds() -> Iterator[bytes]:
        yield from streams("wiegand_serial")
        for framing in serial.Framing:
            yield serial.line_of(framing, Card(Format.H10301, 68, 41551))
        yield b"x" * 500
        yield b"CONNECTED\r\nDISCONNECTED\r\nCard readed: 4bits / 05\r\n"

    return target(sides, seeds, 600)


def _told(expected: serial.Expected, card: Card) -> bool:
    """Whether such a converter tells such a card."""
    return serial.WiegandCodec(expected).feed(serial.line_of(expected.framing, card)) == [card]


READERS: Final = {
    "em4100": _em4100(),
    "uhf18": _uhf18(),
    "m100": _m100(),
    "llrp": _llrp(),
    "llrp_replies": _llrp_replies(),
    "modbus": _modbus(),
    "osdp": _osdp(),
    "pn532": _pn532(),
    "lcus": _lcus(),
    "wiegand": _wiegand(),
    "wiegand_serial": _wiegand_serial(),
}
