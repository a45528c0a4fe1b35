"""The fuzzers' short form: whatever the bytes, only DecodeError leaves a format or normalising."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import payloads_of, topics_of, words_of
from tests.fuzz.shape import shaped
from tests.fuzz.way import FORMATS, feed

NAMES = sorted(FORMATS)


class DrawnChoices:
    """Choices that hypothesis makes."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def below(self, bound: int) -> int:
        return self._data.draw(st.integers(0, bound - 1))

    def text(self) -> str:
        return self._data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))

    def number(self) -> float:
        return self._data.draw(st.floats(allow_nan=False, allow_infinity=False))


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_passes_and_some_are_read(name: str) -> None:
    read = [feed(FORMATS[name], topic, payload) for topic in topics_of(name) for payload in payloads_of(name)]
    assert any(decoded is not None and decoded.samples for decoded in read)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_random_bytes_and_torn_messages_are_refused_in_peace(name: str, data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(topics_of(name)))
    seed = data.draw(st.sampled_from(payloads_of(name)))
    cut = data.draw(st.integers(0, len(seed)))
    junk = data.draw(st.binary(max_size=40))
    feed(FORMATS[name], topic, seed[:cut] + junk + seed[data.draw(st.integers(cut, len(seed))) :])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_right_words_in_the_wrong_places_are_read_or_refused(name: str, data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(topics_of(name)))
    feed(FORMATS[name], topic, shaped(DrawnChoices(data), words_of(name)))


@given(topic=st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_topic_is_read_or_is_nobodys(topic: str) -> None:
    for form in FORMATS.values():
        feed(form, topic, b"{}")
