"""The schemas say what the decoder does, the documents say what the schemas do, and every example is true."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from devices.catalogue import load_kinds
from domain.ledger import Reason
from ingest.asyncapi import asyncapi_document
from ingest.catalogue import load_formats
from ingest.format import IGNORED, Decoded, DecodeError
from ingest.formats.native import FORMAT
from ingest.json_text import as_list, as_object
from ingest.schemas import payload_schemas, reading_name
from service.commands.schemas import documents

DOCS = Path(__file__).resolve().parents[2] / "docs"
KINDS = list(load_kinds().values())
SCHEMAS = payload_schemas(KINDS)
NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
TOPIC = "city/v1/440305/manhole/MH-0001"
FENCE = re.compile(r"^```(json|text) (\S+)(?: refused:(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MANUAL = (DOCS / "mqtt.md").read_text(encoding="utf-8")
EXAMPLES = [match.groups() for match in FENCE.finditer(MANUAL)]


def fits(schema: dict[str, Any], body: object) -> bool:
    validator: Any = Draft202012Validator(schema)
    return bool(validator.is_valid(body))


def accepts(leaf: str, body: object) -> bool:
    return fits(SCHEMAS[leaf], body)


def decode(topic: str, payload: bytes) -> Decoded:
    for source in load_formats().values():
        address = source.read_topic(topic)
        if address is not None:
            return source.decode(address, payload, NOW)
    raise DecodeError(Reason.UNKNOWN_TOPIC, topic)


def refused(leaf: str, body: object) -> Reason | None:
    address = FORMAT.read_topic(f"{TOPIC}/{leaf}")
    assert address is not None
    try:
        FORMAT.decode(address, json.dumps(body).encode(), NOW)
    except DecodeError as error:
        return error.reason
    return None


class TestWrittenDocuments:
    @pytest.mark.parametrize("name", documents())
    def test_what_lies_in_docs_is_what_the_code_says(self, name: str) -> None:
        assert (DOCS / name).read_bytes() == documents()[name], "run: streetwarden schemas --out docs"

    def test_no_schema_lies_there_that_the_code_does_not_write(self) -> None:
        assert {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()} <= documents().keys()

    @pytest.mark.parametrize("leaf", SCHEMAS)
    def test_each_schema_is_one_of_draft_2020_12(self, leaf: str) -> None:
        Draft202012Validator.check_schema(SCHEMAS[leaf])


class TestManual:
    def test_it_has_examples_of_every_format_and_leaf(self) -> None:
        assert {topic.rpartition("/")[2] for _, topic, _, _ in EXAMPLES} >= {"telemetry", "event", "status", "up"}
        assert len(EXAMPLES) >= 8

    @pytest.mark.parametrize(("language", "topic", "reason", "payload"), EXAMPLES)
    def test_each_example_does_what_the_manual_says(
        self, language: str, topic: str, reason: str | None, payload: str
    ) -> None:
        leaf = topic.rpartition("/")[2]
        if language == "json" and topic.startswith("city/"):
            assert accepts(leaf, json.loads(payload)) is (reason is None)
        if reason is None:
            assert decode(topic, payload.encode()) != IGNORED
        else:
            with pytest.raises(DecodeError) as error:
                decode(topic, payload.encode())
            assert error.value.reason.value == reason

    def test_the_command_line_examples_are_accepted(self) -> None:
        bodies = re.findall(r"'(\{.*\})'", MANUAL)
        assert bodies
        assert all(accepts("telemetry", json.loads(body)) for body in bodies)

    def test_it_explains_every_reason_and_no_other(self) -> None:
        section = MANUAL.partition("## When a message is set aside")[2].partition("\n## ")[0]
        explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert sorted(explained) == sorted(reason.value for reason in Reason)

    def test_every_link_leads_somewhere(self) -> None:
        for target in re.findall(r"\]\(([^)#]+)\)", MANUAL):
            assert (DOCS / target).exists() or (DOCS / "schemas" / target).exists(), target


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
TIMES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        1795363200000,
        1795363200,
        1795363200.5,
        5,
        10**15,
        -1,
        True,
        "",
        "2026-11-22T16:00:00Z",
        "2026-11-22T16:00:00.123456789+08:00",
        "2026-11-22T16:00:00",
        "2026-11-22",
        [],
    ]
)
NAMES = st.text(max_size=6)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
IDENTITY: dict[str, st.SearchStrategy[Any]] = {
    "device": st.just("MH-0001"),
    "kind": st.just("manhole"),
    "district": st.just("440305"),
}
READINGS = st.fixed_dictionaries(
    {"values": st.dictionaries(NAMES, SCALARS, max_size=3) | JSON},
    optional={"ts": TIMES, "seq": st.integers(-2, 2**63) | SCALARS, "note": JSON, **IDENTITY},
)
EVENTS = st.fixed_dictionaries(
    {"class": st.sampled_from(["door_opened", "", "a b", "x" * 65, 7, None])},
    optional={
        "ts": TIMES,
        "values": st.dictionaries(NAMES, SCALARS, max_size=3) | JSON,
        "evidence": st.sampled_from(
            [[], ["https://a.example/b"], ["ftp://a"], ["http://a"] * 17, "http://a", None, [1]]
        ),
        "position": st.fixed_dictionaries(
            {}, optional={"longitude": st.floats(-200, 200) | SCALARS, "latitude": st.floats(-100, 100) | SCALARS}
        )
        | JSON,
        **IDENTITY,
    },
)


def walk(body: object) -> Iterator[object]:
    yield body
    for item in as_list(body) or (as_object(body) or {}).values():
        yield from walk(item)


class TestSchemaAndDecoderAgree:
    @given(READINGS | st.lists(READINGS, max_size=3) | JSON)
    def test_on_telemetry(self, body: object) -> None:
        assert accepts("telemetry", body) is (refused("telemetry", body) is None)

    @given(EVENTS | st.lists(EVENTS, max_size=3) | JSON)
    def test_on_events(self, body: object) -> None:
        assert accepts("event", body) is (refused("event", body) is None)

    @given(st.fixed_dictionaries({"status": st.sampled_from(["online", "offline", "Online", "", None, 1])}) | JSON)
    def test_on_status(self, body: object) -> None:
        assert accepts("status", body) is (refused("status", body) is None)


def resolve(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


class TestAsyncApi:
    DOCUMENT = asyncapi_document(KINDS)

    def test_every_reference_leads_somewhere(self) -> None:
        objects = [as_object(item) or {} for item in walk(self.DOCUMENT)]
        references = [str(item["$ref"]) for item in objects if "$ref" in item]
        assert len(references) > 20
        assert all(resolve(self.DOCUMENT, reference) for reference in references)

    def test_every_example_fits_its_payload(self) -> None:
        for message in self.DOCUMENT["components"]["messages"].values():
            schema = {**message["payload"], "components": self.DOCUMENT["components"]}
            for example in message.get("examples", []):
                assert fits(schema, example["payload"])

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
    def test_each_kind_has_its_measures_units_and_ranges(self, kind: Any) -> None:
        schema = {
            "$ref": f"#/components/schemas/{reading_name(kind)}",
            "components": self.DOCUMENT["components"],
        }
        at_rest = {measure.name: measure.rest for measure in kind.measures}
        assert fits(schema, {"values": at_rest})
        for measure in kind.measures:
            wrong = "yes" if measure.boolean else measure.high * 1.01 + 1
            assert not fits(schema, {"values": {measure.name: wrong}})

    def test_addresses_are_topics_of_the_native_format(self) -> None:
        for channel in self.DOCUMENT["channels"].values():
            topic = channel["address"].format(district="440305", kind="bin", device="B-1")
            assert FORMAT.read_topic(topic) is not None
