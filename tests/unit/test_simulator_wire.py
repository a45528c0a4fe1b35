"""The bare MQTT publisher writes packets as the standard has them, and addresses are read as people write them."""

from datetime import UTC, datetime

import pytest

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from simulators.address import BrokerAddress, read_address
from simulators.fleet import lay_out
from simulators.packets import VALUES, Packets, prepare
from simulators.wire import connect_packet, encode_length, publish_template

KINDS = load_kinds()
NATIVE = load_formats()["native"]


def packets(devices: int = 8) -> Packets:
    return prepare(list(lay_out(devices, list(KINDS.values()), seed=1)), KINDS, NATIVE, seed=1)


def split(packet: bytes) -> tuple[int, str, int, bytes]:
    """First byte, topic, packet id and payload of a PUBLISH, having checked its length."""
    length, shift, place = 0, 0, 1
    while True:
        length |= (packet[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not packet[place - 1] & 0x80:
            break
    assert len(packet) == place + length
    end = place + 2 + int.from_bytes(packet[place : place + 2], "big")
    return packet[0], packet[place + 2 : end].decode(), int.from_bytes(packet[end : end + 2], "big"), packet[end + 2 :]


@pytest.mark.parametrize(
    ("length", "encoded"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (16383, b"\xff\x7f"), (2097152, b"\x80\x80\x80\x01")],
)
def test_a_remaining_length_is_written_seven_bits_a_byte(length: int, encoded: bytes) -> None:
    assert encode_length(length) == encoded


def test_connect_carries_user_password_and_whether_the_session_is_kept() -> None:
    anonymous = connect_packet("c", BrokerAddress("h", 1883), clean=True)
    assert anonymous == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"
    known = connect_packet("c", BrokerAddress("h", 1883, username="u", password="p"), clean=False)
    assert known == b"\x10\x13\x00\x04MQTT\x04\xc0\x00\x00\x00\x01c\x00\x01u\x00\x01p"


@pytest.mark.parametrize("padding", [0, 20, 37, 100])
def test_a_packet_is_right_at_every_length_also_where_its_head_holds_a_percent_sign(padding: int) -> None:
    topic = "t" * (37 + padding)
    template = publish_template(topic, b'{"ts":%13d,"seq":%9d}')
    first, told_topic, packet_id, payload = split(template % (b"\x01\x02", 1_700_000_000_000, 5))
    assert (first, told_topic, packet_id) == (0x32, topic, 0x0102)
    assert payload == b'{"ts":1700000000000,"seq":        5}'


def test_prepared_telemetry_is_native_telemetry() -> None:
    prepared = packets()
    at_ms = 1_795_365_797_806
    for (template, device, seq), _ in zip(prepared.messages(41), range(24), strict=False):
        _, topic, _, payload = split(template % (b"\x00\x01", at_ms, seq))
        address = NATIVE.read_topic(topic)
        assert address is not None
        assert address.alias == prepared.names[device]
        (sample,) = NATIVE.decode(address, payload, datetime.now(UTC)).samples
        assert sample.seq == seq
        assert sample.at == datetime.fromtimestamp(at_ms / 1000, UTC)
        kind = KINDS[address.kind or ""]
        assert set(sample.values) == {measure.name for measure in kind.measures[:VALUES]}


def test_devices_take_turns_and_each_counts_for_itself() -> None:
    told = [(device, seq) for (_, device, seq), _ in zip(packets(3).messages(1), range(9), strict=False)]
    assert told == [(device, seq) for seq in (1, 2, 3) for device in (0, 1, 2)]


def test_the_devices_are_dealt_out_without_loss() -> None:
    prepared = packets(10)
    hands = prepared.dealt(3)
    assert sorted(name for hand in hands for name in hand.names) == sorted(prepared.names)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://broker", BrokerAddress("broker", 1883)),
        ("mqtt://127.0.0.1:1884/", BrokerAddress("127.0.0.1", 1884)),
        ("mqtts://broker", BrokerAddress("broker", 8883, tls=True)),
        ("mqtt://u:p%40ss@[::1]:1", BrokerAddress("::1", 1, username="u", password="p@ss")),
    ],
)
def test_an_address_is_read(url: str, address: BrokerAddress) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize("url", ["broker:1883", "http://u:secret@h", "mqtt://", "mqtt://u:secret@h:x"])
def test_what_is_no_address_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        read_address(url)
    assert "secret" not in str(refusal.value)


def test_a_password_is_never_shown() -> None:
    address = read_address("mqtt://u:secret@h")
    assert "secret" not in f"{address} {address!r}"
