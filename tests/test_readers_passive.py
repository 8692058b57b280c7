"""The readers that speak by themselves: real frames whole, cut, in noise and one after another; and hostile bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import registry
from firmware_bridge.options import OptionError
from firmware_bridge.readers.base import FRAME_BYTES_MAX, Badge, Decoder, Event, Rejected
from firmware_bridge.simulator.frames import FRAMES
from tests.wires_fixtures import PASSIVE_FAMILIES as FAMILIES
from tests.wires_fixtures import captures

CAPTURED = captures("serial.jsonl")
EXAMPLES = dict.fromkeys(FAMILIES, "67003B51C6") | {"wl134a": "03843A3529A171"}
HEX_DIGITS = b"0123456789ABCDEFabcdef"
NOISE = b"\x98\x80\x98\x80\x1efS\xc5\x90"

PROTOCOLS = st.sampled_from(sorted(FAMILIES))
FIVE_BYTES = st.binary(min_size=5, max_size=5).filter(any).map(lambda number: number.hex().upper())
ANIMALS = st.builds(lambda country, tag: f"{country:04X}{tag:010X}", st.integers(0, 1023), st.integers(1, 2**38 - 1))
FRAGMENTS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"\x02", b"\x02\x02", b"\x02\x0a\x02", b"\x02\x0a", b"\x02\x09\x01", b"\n", b"\n123", b"\x02" + b"0" * 26]
    ),
    st.builds(lambda protocol, size: FRAMES[protocol](EXAMPLES[protocol])[:size], PROTOCOLS, st.integers(0, 29)),
)


def decoder(protocol: str) -> Decoder:
    return registry.reader(protocol, {})


def numbers(protocol: str) -> st.SearchStrategy[str]:
    return ANIMALS if protocol == "wl134a" else FIVE_BYTES


def of(protocol: str) -> list[dict[str, Any]]:
    return [one for one in CAPTURED if one["family"] in FAMILIES[protocol]]


def meant(capture: dict[str, Any]) -> list[Event]:
    return [_meant(one) for one in capture["expect"].get("stream", [capture["expect"]])]


def _meant(expect: dict[str, Any]) -> Event:
    if "error" in expect:
        return Rejected(expect["error"])
    if "national_id" in expect:
        return Badge(f"{expect['country']:04X}{int(expect['national_id']):010X}")
    # Zeros are noise for us (hours, section 3), although their frame is right.
    return Badge(expect["uid_hex"]) if expect["uid_hex"].strip("0") else Rejected("noise")


def fed(protocol: str, data: bytes, piece: int = 1) -> list[Event]:
    one = decoder(protocol)
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events += one.feed(data[start : start + piece])
        assert len(one._buffer) < FRAME_BYTES_MAX
    return events + one.finish()


def badges(events: list[Event]) -> list[Event]:
    return [one for one in events if isinstance(one, Badge)]


OWN = [pytest.param(protocol, one, id=f"{protocol}-{one['id']}") for protocol in FAMILIES for one in of(protocol)]
STRANGE = [
    pytest.param(protocol, one, id=f"{protocol}-{one['id']}")
    for protocol, families in FAMILIES.items()
    for one in CAPTURED
    if one["family"] not in families
]


# -- real frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2, 7, 10_000])
@pytest.mark.parametrize(("protocol", "capture"), OWN)
def test_each_capture_means_what_it_must_however_it_is_cut(protocol: str, capture: dict[str, Any], piece: int) -> None:
    assert fed(protocol, bytes.fromhex(capture["hex"]), piece) == meant(capture)


@pytest.mark.parametrize("noise", [NOISE, b"\x02.", b"\n.", b"\x02\x0a\x02.", b"\x02" * 40 + b".", bytes(300)])
@pytest.mark.parametrize(("protocol", "capture"), OWN)
def test_noise_around_a_capture_costs_no_badge_and_makes_none(
    protocol: str, capture: dict[str, Any], noise: bytes
) -> None:
    assert badges(fed(protocol, noise + bytes.fromhex(capture["hex"]) + noise)) == badges(meant(capture))


@pytest.mark.parametrize("protocol", FAMILIES)
def test_all_captures_on_one_line_give_all_their_badges_in_order(protocol: str) -> None:
    data = b"".join(bytes.fromhex(one["hex"]) for one in of(protocol))
    told = [event for one in of(protocol) for event in meant(one)]
    assert badges(fed(protocol, data, 3)) == badges(told) != []


@pytest.mark.parametrize(("protocol", "capture"), STRANGE)
def test_another_protocol_on_the_line_is_never_a_badge(protocol: str, capture: dict[str, Any]) -> None:
    assert badges(fed(protocol, bytes.fromhex(capture["hex"]))) == []


@pytest.mark.parametrize("protocol", FAMILIES)
def test_a_badge_comes_with_the_last_byte_of_its_frame(protocol: str) -> None:
    frame = FRAMES[protocol](EXAMPLES[protocol])
    one = decoder(protocol)
    told = [one.feed(bytes((byte,))) for byte in frame]
    assert told == [[]] * (len(frame) - 1) + [[Badge(EXAMPLES[protocol])]]


@pytest.mark.parametrize("protocol", FAMILIES)
def test_a_frame_cut_off_anywhere_does_not_swallow_the_next(protocol: str) -> None:
    frame = FRAMES[protocol](EXAMPLES[protocol])
    for length in range(1, len(frame)):
        assert fed(protocol, frame[:length] + frame) == [Rejected("framing"), Badge(EXAMPLES[protocol])]


@pytest.mark.parametrize("protocol", FAMILIES)
def test_half_a_frame_is_not_joined_to_what_comes_after_the_line_was_lost(protocol: str) -> None:
    frame = FRAMES[protocol](EXAMPLES[protocol])
    one = decoder(protocol)
    assert one.feed(frame[:7]) + one.finish() == [Rejected("framing")]
    assert badges(one.feed(frame[7:])) == []


@pytest.mark.parametrize("protocol", sorted(set(FAMILIES) - {"parallax"}))
def test_a_wrong_checksum_is_one_rejection(protocol: str) -> None:
    frame = bytearray(FRAMES[protocol](EXAMPLES[protocol]))
    frame[3] ^= 1  # a digit, or a byte of the number
    assert fed(protocol, bytes(frame)) == [Rejected("checksum")]


@pytest.mark.parametrize("protocol", FAMILIES)
def test_a_number_of_zeros_is_noise(protocol: str) -> None:
    frame = FRAMES[protocol]("0" * len(EXAMPLES[protocol]))
    one = decoder(protocol)
    assert one.feed(frame) == [Rejected("noise")]
    assert (one.badges, one.rejected) == (0, {"noise": 1})


@pytest.mark.parametrize("protocol", FAMILIES)
def test_a_protocol_without_options_says_so(protocol: str) -> None:
    with pytest.raises(OptionError, match="leave it out"):
        registry.reader(protocol, {"format": "hex"})


def test_each_line_has_the_speed_of_its_reader() -> None:
    speeds = {protocol: registry.reader_class(protocol).baud for protocol in FAMILIES}
    assert speeds == {"gwiot7941": 9600, "id12": 9600, "parallax": 2400, "rdm6300": 9600, "wl134a": 9600}


# -- one reader's ways ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\r\n", b"\n\r", b"\r", b"\n"])
def test_an_id12_may_end_its_line_in_any_of_four_ways(end: bytes) -> None:
    assert fed("id12", b"\x020500207B326C" + end + b"\x03") == [Badge("0500207B32")]


def test_an_id12_frame_without_its_line_end_is_another_readers() -> None:
    assert badges(fed("id12", FRAMES["rdm6300"]("0500207B32"))) == []


def test_lower_case_digits_are_the_same_number() -> None:
    assert fed("parallax", b"\n0f0184f07a\r") == [Badge("0F0184F07A")]
    assert fed("wl134a", FRAMES["wl134a"]("038412dbfae7d5")) == [Badge("038412DBFAE7D5")]


def test_a_mifare_card_at_a_7941e_has_the_four_bytes_that_its_length_says() -> None:
    (badge,) = fed("gwiot7941", bytes.fromhex("0209016b3d12d69a03"))
    assert isinstance(badge, Badge)
    assert (badge.uid, badge.details) == ("6B3D12D6", {"card_type": 1})


def test_the_vendors_own_example_of_a_7941e_is_read() -> None:
    assert fed("gwiot7941", bytes.fromhex("020a022e00b6d7b5f203")) == [Badge("2E00B6D7B5")]


@pytest.mark.parametrize("number", ["0203020302", "020A020203", "0302020A02", "020A021102"])
def test_a_7941e_number_of_framing_bytes_is_a_number(number: str) -> None:
    frame = FRAMES["gwiot7941"](number)
    assert fed("gwiot7941", NOISE + frame + frame) == [Rejected("framing"), Badge(number), Badge(number)]


def test_a_rejected_frame_is_searched_for_a_good_one() -> None:
    good = FRAMES["gwiot7941"]("11000DEF80")
    # Noise that looks like the first five bytes of a frame, so that the good one begins inside it.
    assert fed("gwiot7941", b"\x02\x0a\x02\x11\x00" + good) == [Rejected("framing"), Badge("11000DEF80")]
    # The pretended frame even ends in 03, where the good one has one.
    pretended = b"\x02\x0a\x02\x11" + FRAMES["gwiot7941"]("1100030303")
    assert badges(fed("gwiot7941", pretended)) == [Badge("1100030303")]


def test_an_unknown_type_of_card_is_no_badge() -> None:
    assert badges(fed("gwiot7941", bytes.fromhex("020aff11000def808603"))) == []


@pytest.mark.parametrize("end", [b"\x03", b"\x07"])
def test_an_animals_tag_says_country_and_national_id_whatever_its_kind(end: bytes) -> None:
    (badge,) = fed("wl134a", FRAMES["wl134a"]("03843A3529A171")[:-1] + end)
    assert isinstance(badge, Badge)
    assert badge.details == {"country": 900, "national_id": "250000023921"}


def test_an_animals_number_keeps_its_leading_zeros() -> None:
    (badge,) = fed("wl134a", FRAMES["wl134a"]("003800000003E9"))
    assert isinstance(badge, Badge)
    assert (badge.uid, badge.details["national_id"]) == ("003800000003E9", "000000001001")


@pytest.mark.parametrize(
    ("uid", "told"),
    [
        ("03E73FFFFFFFFF", Badge("03E73FFFFFFFFF")),
        ("03E74000000000", Rejected("noise")),
        ("04003A3529A171", Rejected("noise")),
        ("03840000000000", Rejected("noise")),
    ],
)
def test_an_animals_number_has_the_bits_that_iso_11784_gives_it(uid: str, told: Event) -> None:
    assert fed("wl134a", FRAMES["wl134a"](uid)) == [told]


def test_both_checks_of_an_animals_tag_must_be_right_and_may_be_framing_bytes() -> None:
    framing = [f"0384{tag:010X}" for tag in range(1, 4_000) if FRAMES["wl134a"](f"0384{tag:010X}")[27] in (2, 3)]
    assert framing
    for uid in framing[:8]:
        frame = FRAMES["wl134a"](uid)
        assert fed("wl134a", frame + frame) == [Badge(uid), Badge(uid)]
        assert fed("wl134a", frame[:28] + b"\xff\x03")[0] == Rejected("checksum")


# -- hostile bytes ----------------------------------------------------------------------------------------------------


@given(PROTOCOLS, st.lists(FRAGMENTS), st.integers(1, 50))
def test_how_the_bytes_are_cut_makes_no_difference(protocol: str, parts: list[bytes], piece: int) -> None:
    data = b"".join(parts)
    assert fed(protocol, data, piece) == fed(protocol, data, max(1, len(data)))


@given(st.data(), PROTOCOLS, FRAGMENTS, FRAGMENTS)
def test_a_good_frame_in_any_noise_is_read_with_its_last_byte(
    data: st.DataObject, protocol: str, before: bytes, after: bytes
) -> None:
    uid = data.draw(numbers(protocol))
    one = decoder(protocol)
    one.feed(before)
    assert Badge(uid) in one.feed(FRAMES[protocol](uid))
    one.feed(after)
    assert len(one._buffer) < FRAME_BYTES_MAX


@given(PROTOCOLS, st.lists(FRAGMENTS | st.sampled_from([bytes.fromhex(one["hex"]) for one in CAPTURED])))
def test_every_badge_was_a_whole_frame_with_its_checksum(protocol: str, parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert {one.uid for one in fed(protocol, data, 5) if isinstance(one, Badge)} <= whole_frames(protocol, data)


@given(st.lists(FIVE_BYTES, max_size=5), PROTOCOLS.filter(lambda protocol: protocol != "wl134a"))
def test_every_number_survives_the_wire(uids: list[str], protocol: str) -> None:
    data = b"".join(FRAMES[protocol](uid) for uid in uids)
    assert fed(protocol, data, 4) == [Badge(uid) for uid in uids]


@given(st.lists(ANIMALS, max_size=5))
def test_every_animals_number_survives_the_wire(uids: list[str]) -> None:
    assert fed("wl134a", b"".join(FRAMES["wl134a"](uid) for uid in uids), 4) == [Badge(uid) for uid in uids]


@pytest.mark.parametrize("protocol", FAMILIES)
def test_a_flood_of_start_bytes_is_survived_with_one_frame_of_memory(protocol: str) -> None:
    one = decoder(protocol)
    frame = FRAMES[protocol](EXAMPLES[protocol])
    assert badges(one.feed(frame[:1] * 200_000)) == []
    assert len(one._buffer) < FRAME_BYTES_MAX
    assert badges(one.feed(frame)) == [Badge(EXAMPLES[protocol])]


def whole_frames(protocol: str, data: bytes) -> set[str]:
    """The number of everything in `data`, at any place, that is a frame; found by trying them all."""
    found = set()
    for at in range(len(data)):
        for size in range(9, 31):
            uid = FRAME_OF[protocol](data[at : at + size])
            if uid and len(data) >= at + size:
                found.add(uid)
    return found


def _bracketed(frame: bytes) -> str:
    """An RDM6300's frame; a clone's check may itself be a framing byte or a line end."""
    if len(frame) not in (13, 14, 15, 16) or frame[0] != 2 or frame[-1] != 3:
        return ""
    digits, rest = frame[1:11], frame[11:-1]
    if not all(digit in HEX_DIGITS for digit in digits):
        return ""
    check = xor(bytes.fromhex(digits.decode()))
    told = rest[:2].upper() == f"{check:02X}".encode() or rest == bytes((check,))
    return digits.decode().upper() if told else ""


def _gwiot(frame: bytes) -> str:
    good = len(frame) in (9, 10) and frame[0] == 2 and frame[1] == len(frame) and frame[-1] == 3
    return frame[3:-2].hex().upper() if good and not xor(frame[1:-1]) else ""


def _animal(frame: bytes) -> str:
    digits = frame[1:27]
    good = len(frame) == 30 and frame[0] == 2 and frame[-1] in (3, 7) and all(digit in HEX_DIGITS for digit in digits)
    if not good or xor(digits) != frame[27] or frame[27] + frame[28] != 255:
        return ""
    return (digits[10:14][::-1] + digits[:10][::-1]).decode().upper()


def _digits(frame: bytes) -> str:
    good = len(frame) == 12 and frame[0] == 10 and frame[-1] == 13 and all(digit in HEX_DIGITS for digit in frame[1:-1])
    return frame[1:-1].decode().upper() if good else ""


def xor(data: Any) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check


FRAME_OF = {"gwiot7941": _gwiot, "id12": _bracketed, "parallax": _digits, "rdm6300": _bracketed, "wl134a": _animal}
