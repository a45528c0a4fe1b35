"""The list of alerts: its order, its pages, what polling costs and never misses, and acknowledging."""

from datetime import timedelta

import asyncpg
import orjson
import pytest

from domain.role import Role
from store.alert_views import AlertFilter, AlertPlace, list_statement
from store.listing import read_stamp
from tests.support.api import NOW, StillClock, client, make_alert, registered


async def test_unacknowledged_come_first_then_the_most_severe_then_the_newest(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    seen_critical = await make_alert(pool, "a", severity=1, minutes=1, acknowledged=True)
    minor = await make_alert(pool, "a", severity=3, minutes=2)
    old_major = await make_alert(pool, "a", severity=2, minutes=3)
    new_major = await make_alert(pool, "a", severity=2, minutes=4)
    await make_alert(pool, "a", severity=1, minutes=5, state="cleared")
    async with client(pool, Role.VIEWER) as http:
        items = (await http.get("/v1/alerts")).raise_for_status().json()["items"]
    assert [item["id"] for item in items] == [new_major, old_major, minor, seen_critical]
    assert items[0]["title_zh"] == "井盖倾斜"
    assert items[0]["value"] == 93.5


async def test_pages_hold_every_alert_once(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    made = {await make_alert(pool, "a", minutes=n, severity=1 + n % 4, acknowledged=n % 3 == 0) for n in range(37)}
    whole: list[int] = []
    cursor = None
    async with client(pool) as http:
        while True:
            query: dict[str, str | int] = {"limit": 5} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/v1/alerts", params=query)).raise_for_status().json()
            whole += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        at_once = (await http.get("/v1/alerts", params={"limit": 500})).json()["items"]
    assert set(whole) == made
    assert whole == [item["id"] for item in at_once]


async def test_filters_choose(pool: asyncpg.Pool) -> None:
    await registered(pool, "a", "b")
    await registered(pool, "g", kind="gas_meter")
    tilted = await make_alert(pool, "a", severity=1)
    gone = await make_alert(pool, "b", state="cleared", minutes=1)
    seen = await make_alert(pool, "b", rule="manhole.open", acknowledged=True, minutes=2)
    gas = await make_alert(pool, "g", rule="gas_meter.leak", severity=4, minutes=3)

    async with client(pool) as http:

        async def ids(**query: str | int | list[int]) -> set[int]:
            answer = await http.get("/v1/alerts", params=query)
            return {item["id"] for item in answer.raise_for_status().json()["items"]}

        assert await ids() == {tilted, seen, gas}
        assert await ids(state="all") == {tilted, gone, seen, gas}
        assert await ids(state="cleared") == {gone}
        assert await ids(kind="gas_meter") == {gas}
        assert await ids(device="b", state="all") == {gone, seen}
        assert await ids(rule="manhole.open") == {seen}
        assert await ids(severity=[1, 4]) == {tilted, gas}
        assert await ids(acknowledged="true") == {seen}
        assert await ids(acknowledged="false") == {tilted, gas}
        assert await ids(simulated="true") == set()


async def test_an_unchanged_list_answers_304_and_a_change_ends_it(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    async with client(pool) as http:
        first = await http.get("/v1/alerts")
        tag = first.headers["ETag"]
        again = await http.get("/v1/alerts", headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        other_address = await http.get("/v1/alerts?state=all", headers={"If-None-Match": tag})
        assert other_address.status_code == 200
        await http.post(f"/v1/alerts/{number}/ack")
        assert (await http.get("/v1/alerts", headers={"If-None-Match": tag})).status_code == 200
    async with client(pool, Role.VIEWER) as somebody_else:
        assert (await somebody_else.get("/v1/alerts", headers={"If-None-Match": tag})).status_code == 200


async def test_a_slow_transaction_older_than_the_newest_change_is_neither_hidden_by_a_304_nor_missed(
    pool: asyncpg.Pool,
) -> None:
    """Its number lies below the maximum, which does not move when it commits."""
    await registered(pool, "slow", "quick")
    await make_alert(pool, "slow", minutes=-5)
    async with pool.acquire() as connection, client(pool) as http:
        slow = connection.transaction()
        await slow.start()
        late = await make_alert(connection, "slow")
        await make_alert(pool, "quick")

        before = await http.get("/v1/alerts")
        assert late not in {item["id"] for item in before.json()["items"]}
        tag = before.headers["ETag"]
        assert (await http.get("/v1/alerts", headers={"If-None-Match": tag})).status_code == 304
        maximum = await pool.fetchval("SELECT max(changed::text::bigint) FROM alert")

        await slow.commit()
        assert await pool.fetchval("SELECT max(changed::text::bigint) FROM alert") == maximum  # what a naive tag shows
        after = await http.get("/v1/alerts", headers={"If-None-Match": tag})
        assert after.status_code == 200
        since = await http.get("/v1/alerts", params={"changed_since": before.json()["changed"]})
        assert late in {item["id"] for item in since.json()["items"]}


async def test_changes_of_others_do_not_end_a_304(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    await make_alert(pool, "a")
    async with client(pool) as http:
        tag = (await http.get("/v1/alerts")).headers["ETag"]
        await registered(pool, "b")
        await pool.execute("SELECT pg_current_xact_id()")
        assert (await http.get("/v1/alerts", headers={"If-None-Match": tag})).status_code == 304


async def test_changed_since_shows_what_cleared_and_nothing_older(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    await make_alert(pool, "a", minutes=0)
    clears = await make_alert(pool, "a", minutes=1)
    async with client(pool) as http:
        token = (await http.get("/v1/alerts")).json()["changed"]
        nothing = await http.get("/v1/alerts", params={"changed_since": token})
        assert nothing.json()["items"] == []
        await pool.execute(
            "UPDATE alert SET state = 'cleared', cleared_at = $2, changed = pg_current_xact_id() WHERE id = $1",
            clears,
            NOW,
        )
        changed = (await http.get("/v1/alerts", params={"changed_since": token})).json()["items"]
        assert [(item["id"], item["state"]) for item in changed] == [(clears, "cleared")]


async def test_changed_since_takes_a_time_and_allows_for_a_slow_commit(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    clock = StillClock(NOW + timedelta(hours=1))
    async with client(pool, clock=clock) as http:
        await http.post(f"/v1/alerts/{number}/ack")

        async def ids(since: str) -> list[int]:
            answer = await http.get("/v1/alerts", params={"changed_since": since})
            return [item["id"] for item in answer.raise_for_status().json()["items"]]

        assert await ids("2026-11-22T09:00:30Z") == [number]
        assert await ids("2026-11-22T17:00:30 08:00") == [number]  # a plus that nobody escaped
        assert await ids("2026-11-22T10:00:00Z") == []


@pytest.mark.parametrize("since", ["yesterday", "t", "2026-11-22T09:00:00", "t-5", "0001-01-01T00:00:00+14:00"])
async def test_changed_since_refuses_what_is_neither(pool: asyncpg.Pool, since: str) -> None:
    async with client(pool) as http:
        answer = await http.get("/v1/alerts", params={"changed_since": since})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_a_token_of_another_database_is_refused(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        answer = await http.get("/v1/alerts", params={"changed_since": "t999999999999"})
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_token")


async def test_rows_restored_from_another_database_do_not_hide_new_changes(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    await pool.execute("UPDATE alert SET changed = '999999999999'::xid8 WHERE id = $1", number)
    await make_alert(pool, "a", minutes=1)
    before = await read_stamp(pool, "alert")
    await make_alert(pool, "a", minutes=2)
    assert before.newest < before.ceiling
    assert (await read_stamp(pool, "alert")).newest > before.newest


async def test_acknowledging_records_owner_note_and_a_step_and_tells_listeners(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    async with client(pool, Role.OPERATOR) as http:
        answer = await http.post(f"/v1/alerts/{number}/ack", json={"owner": "Li Na", "note": "crew 3 is on its way"})
    body = answer.raise_for_status().json()
    assert (body["owner"], body["note"], body["acknowledged_by"]) == ("Li Na", "crew 3 is on its way", "test operator")
    assert [(step["step"], step["by"]) for step in body["steps"]] == [("acknowledged", "test operator")]
    told = orjson.loads(await pool.fetchval("SELECT body FROM outbox WHERE topic = 'alert'"))
    assert (told["id"], told["step"], told["owner"]) == (number, "acknowledged", "Li Na")


async def test_acknowledging_twice_changes_nothing_and_another_owner_takes_over(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    clock = StillClock()
    async with client(pool, Role.OPERATOR, clock) as http:
        await http.post(f"/v1/alerts/{number}/ack", json={"owner": "Li Na"})
        clock.time += timedelta(minutes=5)
        same = (await http.post(f"/v1/alerts/{number}/ack", json={"owner": "Li Na"})).json()
        other = (await http.post(f"/v1/alerts/{number}/ack", json={"owner": "Wang Wei", "note": "shift"})).json()
    assert len(same["steps"]) == 1
    assert (other["owner"], other["acknowledged_at"], len(other["steps"])) == ("Wang Wei", "2026-11-22T08:00:00Z", 2)
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 2


async def test_acknowledging_needs_the_role_and_the_alert(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    for role, expected in ((Role.VIEWER, 403), (Role.AUDITOR, 403), (Role.ENGINEER, 200)):
        async with client(pool, role) as http:
            assert (await http.post(f"/v1/alerts/{number}/ack")).status_code == expected
    async with client(pool) as http:
        assert (await http.post("/v1/alerts/999/ack")).status_code == 404
        assert (await http.get("/v1/alerts/999")).status_code == 404


async def test_one_alert_shows_the_rule_that_raised_it(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    number = await make_alert(pool, "a")
    async with client(pool) as http:
        body = (await http.get(f"/v1/alerts/{number}")).json()
    assert body["rule_body"]["key"] == "manhole.tilt"


@pytest.mark.parametrize("after", [None, AlertPlace(acknowledged=False, severity=2, id=500)])
async def test_the_default_list_is_read_from_its_index(pool: asyncpg.Pool, after: AlertPlace | None) -> None:
    await registered(pool, "a")
    await make_alert(pool, "a", minutes=-1)
    await pool.execute(
        """
        INSERT INTO alert (device_id, rule, onset, revision_id, severity, peak, state, fired_at, decided_at)
        SELECT device_id, rule, onset + n * interval '1 second', revision_id, 1 + n % 4, 1,
               CASE WHEN n % 10 = 0 THEN 'firing' ELSE 'cleared' END, fired_at, decided_at
          FROM alert, generate_series(60, 5000) AS n
        """
    )
    await pool.execute("ANALYZE alert")
    statement, values = list_statement(AlertFilter(state="firing"), after=after, limit=50)
    async with pool.acquire() as connection:
        # From the sixth time on PostgreSQL may choose a plan that knows no values.
        plans = [await connection.fetch(f"EXPLAIN {statement}", *values) for _ in range(6)]
    text = "\n".join(row[0] for row in plans[-1])
    assert "alert_firing" in text
    assert "Sort" not in text[text.index("Limit") :]  # under the cut of a page; above it the page itself is sorted
