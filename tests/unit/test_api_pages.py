"""Cursors, entity tags and roles, without a database."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.changes import matches
from api.pages import CursorError, cut, from_microseconds, read_cursor, write_cursor
from api.registration import tidy_alias
from domain.role import GRANTS, Permission, Role, allows

MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


class Place(NamedTuple):
    at: datetime
    digest: int
    seen: bool
    name: str


@given(
    st.builds(
        Place,
        MOMENTS,
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    )
)
def test_a_cursor_is_read_back_exactly(place: Place) -> None:
    assert read_cursor(write_cursor(place), Place, datetime, int, bool, str) == place


@given(st.text(max_size=60))
def test_whatever_else_is_given_as_a_cursor_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(CursorError):
        read_cursor(text, Place, datetime, int, bool, str)


@pytest.mark.parametrize(
    "place", [[1, 2, 3], ["x", 1, True, ""], [1, True, True, ""], [1, 2, 1, ""], [10**18, 2, True, ""]]
)
def test_a_cursor_of_another_list_is_refused(place: list[object]) -> None:
    with pytest.raises(CursorError):
        read_cursor(write_cursor(place), Place, datetime, int, bool, str)


def test_the_last_page_has_no_next() -> None:
    assert cut([1, 2, 3], 3, lambda row: (row,)) == ([1, 2, 3], None)
    rows, following = cut([1, 2, 3, 4], 3, lambda row: (row,))
    assert (rows, read_cursor(following, int, int)) == ([1, 2, 3], 3)


def test_microseconds_are_exact() -> None:
    at = datetime(2026, 11, 22, 8, 0, 0, 1, tzinfo=UTC)
    microseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert from_microseconds(microseconds) == at


@pytest.mark.parametrize(
    ("given_header", "expected"),
    [(None, False), ('W/"a"', True), ('"a"', True), ("*", True), ('"b", W/"a"', True), ('"b"', False), ("", False)],
)
def test_entity_tags_are_compared_weakly(given_header: str | None, expected: bool) -> None:
    assert matches(given_header, 'W/"a"') is expected


def test_every_role_reads_and_only_admins_manage_keys() -> None:
    assert set(GRANTS) == set(Role)
    assert all(allows(role, Permission.READ) for role in Role)
    assert [role for role in Role if allows(role, Permission.MANAGE_KEYS)] == [Role.ADMIN]
    assert GRANTS[Role.AUDITOR] == {Permission.READ, Permission.DIAGNOSE}


def test_an_eui_is_written_in_lower_case_but_a_native_name_is_left_alone() -> None:
    assert tidy_alias("chirpstack_v4", " 24E124468C321234") == "24e124468c321234"
    assert tidy_alias("native", "24E124468C321234") == "24E124468C321234"
    assert tidy_alias("senml", "urn:DEV:x") == "urn:DEV:x"
