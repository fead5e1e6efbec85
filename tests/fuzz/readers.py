"""Targets of what stands at a lane: readers, relays, inputs. Mostly streams; see `tests.fuzz.streams`."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from protocol import em4100, gen2, lcus, llrp, llrp_replies, llrp_requests, m100, modbus, osdp, pn532, uhf18, wiegand
from protocol import wiegand_serial as serial
from protocol.credential import canonical
from protocol.wiegand import Card, Fault, Format
from tests.fuzz.streams import Side, target
from tests.fuzz.target import Target, cut, frames, streams, vectors

_PN532_START: Final = b"\x00\x00\xff"


def _em4100() -> Target:
    good = [frame for frame in frames("em4100") if any(frame[1:11].strip(b"0"))]

    def side(framing: em4100.Framing | None) -> Side[em4100.Frame]:
        fits = [frame for frame in good if em4100.Em4100Codec(framing).feed(frame)]
        return Side(
            lambda: em4100.Em4100Codec(framing),
            em4100.Frame.to_bytes,
            em4100.BUFFER_MAX_BYTES,
            fits,
            lambda frame: canonical(em4100.credential(frame.tag)),
        )

    return target([side(framing) for framing in (None, *em4100.Framing)], lambda: streams("em4100"), 256)


def _uhf18() -> Target:
    def look(frame: uhf18.Reply | uhf18.Heartbeat) -> None:
        if isinstance(frame, uhf18.Reply):
            assert all(canonical(gen2.credential(epc)) for epc in uhf18.epcs(frame))
            info = uhf18.Info.from_reply(frame)
            assert info is None or info.to_data() == frame.data[:8]
            uhf18.read_beyond(frame)
            gen2.tid(frame.data)

    sides: list[Side[uhf18.Reply | uhf18.Heartbeat] | Side[uhf18.Command]] = [
        Side(
            uhf18.ReplyCodec,
            lambda frame: frame.to_bytes(),
            uhf18.BUFFER_MAX_BYTES,
            frames("uhf18", "reader_to_host"),
            look,
        ),
        Side(
            uhf18.CommandCodec,
            uhf18.Command.to_bytes,
            uhf18.BUFFER_MAX_BYTES,
            frames("uhf18", "host_to_reader"),
        ),
    ]
    return target(sides, lambda: streams("uhf18"), 800)


def _m100() -> Target:
    def counts(frame: m100.Frame) -> bool:
        return not m100.is_tag(frame) or m100.Tag.from_frame(frame) is not None

    def look(frame: m100.Frame) -> None:
        tag = m100.Tag.from_frame(frame)
        assert (tag is None) is not m100.is_tag(frame)
        assert tag is None or (tag.to_frame() == frame and canonical(gen2.credential(tag.epc)))
        assert frame.error is None or frame.kind is m100.Kind.REPLY
        memory = m100.Memory.from_frame(frame)
        assert memory is None or (memory.to_frame() == frame and canonical(gen2.credential(memory.epc)))

    side = Side(m100.M100Codec, m100.Frame.to_bytes, m100.BUFFER_MAX_BYTES, frames("m100"), look, counts)
    return target([side], lambda: streams("m100"), 800)


def _llrp() -> Target:
    def ours() -> Iterator[bytes]:
        yield llrp_requests.get_config().to_bytes()
        yield llrp_requests.set_config(1000).to_bytes()
        yield llrp_requests.add_rospec((llrp_requests.Antenna(1, 2, (1, 0, 81)),)).to_bytes()

    good = [frame for frame in frames("llrp") if len(llrp.LlrpCodec().feed(frame)) == 1]
    unknown = llrp.Parameter(1000, bytes(8000)).to_bytes()
    long = llrp.Message(llrp.Kind.GET_READER_CONFIG_RESPONSE, body=unknown).to_bytes()
    side = Side(llrp.LlrpCodec, llrp.Message.to_bytes, llrp.MESSAGE_MAX_BYTES - 1, good, _read_llrp, long=long)
    return target([side], lambda: [*streams("llrp"), *ours()], 2048)


def _read_llrp(message: llrp.Message) -> None:
    """What is asked of a message, whatever it says."""
    assert all(canonical(gen2.credential(tag.epc)) for tag in llrp_replies.tags(message))
    found = llrp_replies.status(message)
    assert found is None or (found.words and (found.words.isprintable()))
    llrp_replies.event(message)
    capabilities, settings = llrp_replies.capabilities(message), llrp_replies.settings(message)
    assert 0 <= capabilities.antennas <= 0xFFFF
    assert all(isinstance(one, bool) for one in settings.plugged.values())


def _llrp_replies() -> Target:
    kinds = sorted(llrp.Kind)

    def check(data: bytes) -> None:
        kind, body = cut(data)
        message = llrp.Message(kinds[kind % len(kinds)], 7, body)
        _read_llrp(message)
        found = llrp.parameters(body)
        if found is not None:
            whole = b"".join(one.to_bytes() for one in found)
            assert llrp.parameters(whole) == found
            assert len(whole) <= len(body)

    def seeds() -> Iterator[bytes]:
        for data in frames("llrp"):
            (message, *_) = llrp.LlrpCodec().feed(data)
            yield bytes([kinds.index(llrp.Kind(message.kind))]) + message.body

    return Target(check, seeds, 2048)


def _modbus() -> Target:
    requests = [modbus.RtuCodec(requests=True).feed(frame)[0] for frame in frames("modbus", "host_to_reader")]
    replies = [*(_answer(one) for one in requests), modbus.Message(1, 0x85, b"\x02")]

    def sides(messages: Sequence[modbus.Message], *, asked: bool) -> Iterator[Side[modbus.Message]]:
        rtu, tcp = [one.to_rtu() for one in messages], [one.to_tcp() for one in messages]
        bound = modbus.FRAME_MAX_BYTES - 1
        yield Side(lambda: modbus.RtuCodec(requests=asked), modbus.Message.to_rtu, bound, rtu, _read_modbus)
        yield Side(lambda: modbus.TcpCodec(requests=asked), modbus.Message.to_tcp, bound, tcp, _read_modbus)

    def seeds() -> Iterator[bytes]:
        yield from streams("modbus")
        for message in (*requests, *replies):
            yield message.to_rtu()
            yield message.to_tcp()

    return target([*sides(requests, asked=True), *sides(replies, asked=False)], seeds, 800)


def _answer(request: modbus.Message) -> modbus.Message:
    """What a unit answers where all is off."""
    if request.function not in modbus.READS:
        return modbus.Message(request.unit, request.function, request.data[:4])
    size = (request.value + 7) // 8 if request.function in modbus.BITS else 2 * request.value
    return modbus.Message(request.unit, request.function, bytes([size]) + bytes(size))


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
        read = osdp.card(frame)
        if isinstance(read, osdp.Read):
            assert read.to_data() == frame.data
            assert len(read.bits) == read.count
        elif read is not None:
            again = osdp.Text.from_data(read.to_data())
            assert again is not None
            assert again.bits == read.bits

    good = [frame.removeprefix(osdp.MARK) for frame in frames("osdp") if osdp.OsdpCodec().feed(frame)]
    long = osdp.Frame(1, osdp.Reply.ACK, bytes(1000), reply=True).to_bytes()
    side = Side(
        osdp.OsdpCodec, osdp.Frame.to_bytes, osdp.BUFFER_MAX_BYTES, good, look, long=long, exact=False
    )  # bits of the control byte that mean nothing are not kept
    return target([side], lambda: streams("osdp"), 800)


def _pn532() -> Target:
    good = [_PN532_START + frame.split(_PN532_START, 1)[1] for frame in frames("pn532") if _PN532_START in frame]
    side = Side(
        pn532.Pn532Codec, pn532.Frame.to_bytes, pn532.BUFFER_MAX_BYTES, good, exact=False
    )  # a short frame may be written as a long one
    return target([side], lambda: streams("pn532"), 800)


def _lcus() -> Target:
    side = Side(lcus.LcusCodec, lambda command: command.to_bytes(), lcus.BUFFER_MAX_BYTES, frames("lcus"))
    return target([side], lambda: streams("lcus"), 128)


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
        forms = [expected.wide] if expected.wide else [Format.H10301, Format.H10306]
        lines = [serial.line_of(expected.framing, Card(form, 7, 12345)) for form in forms if form is not Format.H10302]
        lines += [serial.line_of(expected.framing, Card(form, 0, 12345)) for form in forms]
        good = [line for line in lines if isinstance(serial.WiegandCodec(expected).feed(line)[0], Card)]
        return Side(
            lambda: serial.WiegandCodec(expected),
            lambda card: serial.line_of(expected.framing, card) if isinstance(card, Card) else b"",
            serial.BUFFER_MAX_BYTES,
            good,
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
    sides = [one for one in map(side, every) if one.good]

    def seeds() -> Iterator[bytes]:
        yield from streams("wiegand_serial")
        for framing in serial.Framing:
            yield serial.line_of(framing, Card(Format.H10301, 68, 41551))
        yield b"CONNECTED\r\nDISCONNECTED\r\nCard readed: 4bits / 05\r\n"

    return target(sides, seeds, 600)


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
