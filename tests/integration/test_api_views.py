"""Readings, events, tickets, quarantine, ledger, kinds, rules and health over HTTP."""

from base64 import b64encode
from datetime import timedelta

import asyncpg

from devices.catalogue import load_kinds
from domain.role import Role
from store.rule_revisions import revision_of
from tests.support.api import NOW, client, make_alert, registered


async def test_readings_come_newest_first_in_pages_and_within_a_span(pool: asyncpg.Pool) -> None:
    await registered(pool, "a", "b")
    await pool.execute(
        "CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM ('2026-11-22T00:00Z') TO ('2026-11-23T00:00Z')"
    )
    await pool.execute(
        """
        INSERT INTO reading (device_id, at, digest, received_at, measures, seq)
        SELECT d.id, $1::timestamptz + n / 2 * interval '1 minute', n, $1, '{"tilt_deg": 1.5, "lid_open": true}', n
          FROM device d, generate_series(0, 10) n
        """,
        NOW,
    )
    async with client(pool, Role.VIEWER) as http:
        seen: list[int] = []
        cursor = None
        while True:
            query: dict[str, str | int] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/v1/devices/a/readings", params=query)).raise_for_status().json()
            seen += [item["seq"] for item in page["items"]]
            if (cursor := page["next"]) is None:
                break
        assert seen == list(range(10, -1, -1))
        span = {"from": "2026-11-22T08:01:00Z", "to": "2026-11-22T16:02:00+08:00"}
        items = (await http.get("/v1/devices/a/readings", params=span)).json()["items"]
        assert [item["seq"] for item in items] == [3, 2]
        assert items[0]["values"] == {"tilt_deg": 1.5, "lid_open": True}
        assert (await http.get("/v1/devices/none/readings")).status_code == 404
        assert (await http.get("/v1/devices/a/readings?from=2026-11-22")).status_code == 422


async def test_events_are_shown_as_they_were_sent(pool: asyncpg.Pool) -> None:
    await registered(pool, "a")
    await pool.execute(
        "INSERT INTO device_event SELECT id, $1, 7, $1, 'door_opened', '{\"class\": \"door_opened\"}' FROM device", NOW
    )
    async with client(pool) as http:
        (event,) = (await http.get("/v1/devices/a/events")).json()["items"]
    assert (event["event_class"], event["body"]) == ("door_opened", {"class": "door_opened"})


async def _make_ticket(pool: asyncpg.Pool, number: str, device: str, severity: int, state: str = "open") -> None:
    row = await pool.fetchrow(
        """
        INSERT INTO ticket (number, sort, case_class, asset_id, district, title, title_zh, severity, state, firing,
                            alerts, opened_at, touched_at)
        SELECT $1, 'case', '0101-1', id, district, 'Cover tilted', '井盖倾斜', $3, $4, 1, 1, $5, $5
          FROM asset WHERE name = $2
        RETURNING id, asset_id
        """,
        number,
        f"A-{device}",
        severity,
        state,
        NOW,
    )
    assert row is not None
    await pool.execute("INSERT INTO ticket_subject VALUES ($2, '0101-1', $1, $3)", *row, state == "open")
    await pool.execute(
        "INSERT INTO ticket_move (ticket_id, at, move, by) VALUES ($1, $2, 'opened', 'rule')", row[0], NOW
    )
    await pool.execute(
        "UPDATE alert SET ticket_id = $1 WHERE device_id = (SELECT id FROM device WHERE name = $2)", row[0], device
    )


async def test_tickets_come_most_severe_first_and_show_what_belongs_to_them(pool: asyncpg.Pool) -> None:
    await registered(pool, "a", "b", "c")
    alert = await make_alert(pool, "a")
    await _make_ticket(pool, "T-1", "a", 2)
    await _make_ticket(pool, "T-2", "b", 1)
    await _make_ticket(pool, "T-3", "c", 1, "resolved")
    async with client(pool, Role.HANDLER) as http:
        answer = await http.get("/v1/tickets")
        assert [item["number"] for item in answer.json()["items"]] == ["T-2", "T-1"]
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert (await http.get("/v1/tickets", headers=tag)).status_code == 304
        all_of_them = (await http.get("/v1/tickets?state=all&limit=2")).json()
        rest = (await http.get("/v1/tickets", params={"state": "all", "cursor": all_of_them["next"]})).json()
        assert [item["number"] for item in all_of_them["items"] + rest["items"]] == ["T-2", "T-1", "T-3"]
        assert [item["number"] for item in (await http.get("/v1/tickets?asset=A-c&state=all")).json()["items"]] == [
            "T-3"
        ]
        ticket = (await http.get("/v1/tickets/T-1")).json()
        assert (await http.get("/v1/tickets/T-9")).status_code == 404
    assert [each["id"] for each in ticket["alerts"]] == [alert]
    assert ticket["subjects"] == [{"asset": "A-a", "case_class": "0101-1", "open": True}]
    assert [move["move"] for move in ticket["moves"]] == ["opened"]


async def test_quarantine_shows_the_bytes_to_those_who_diagnose(pool: asyncpg.Pool) -> None:
    payload = b'{"tilt": \xff\x00}'
    await pool.execute(
        """
        INSERT INTO quarantine (identity, reason, source, topic, payload, size, detail, first_seen, last_seen, count)
        VALUES ('\\x01', 'not_json', 'native', 'city/v1/x', $1, $2, 'no JSON', $3, $3, 2)
        """,
        payload,
        len(payload),
        NOW,
    )
    async with client(pool, Role.VIEWER) as http:
        assert (await http.get("/v1/quarantine")).status_code == 403
    async with client(pool, Role.AUDITOR) as http:
        (item,) = (await http.get("/v1/quarantine?reason=not_json")).json()["items"]
        assert (item["count"], "payload_base64" in item) == (2, False)
        whole = (await http.get(f"/v1/quarantine/{item['id']}")).json()
        assert (await http.get("/v1/quarantine?reason=unknown_device")).json()["items"] == []
        assert (await http.get("/v1/quarantine/99")).status_code == 404
    assert whole["payload_base64"] == b64encode(payload).decode()
    assert whole["preview"] == '{"tilt": \ufffd\x00}'


async def test_the_ledger_adds_workers_up_and_says_whether_it_balances(pool: asyncpg.Pool) -> None:
    await pool.executemany(
        """
        INSERT INTO ledger_minute
               (minute, source, worker, accepted, quarantined, redelivered, contained, stored, duplicate)
        VALUES ($1, $2, $3, 10, 2, 1, 12, $4, 3)
        """,
        [
            (NOW - timedelta(minutes=2), "native", "w1", 9),
            (NOW - timedelta(minutes=2), "native", "w2", 9),
            (NOW - timedelta(minutes=1), "native", "w1", 9),
            (NOW - timedelta(minutes=1), "senml", "w1", 8),
            (NOW - timedelta(hours=3), "native", "w1", 9),
        ],
    )
    async with client(pool, Role.ENGINEER) as http:
        page = (await http.get("/v1/ledger", params={"source": "native"})).raise_for_status().json()
        assert (len(page["items"]), page["balanced"]) == (2, True)
        assert page["items"][1]["deliveries"] == {
            "delivered": 26,
            "first": 24,
            "redelivered": 2,
            "accepted": 20,
            "quarantined": 4,
            "ignored": 0,
        }
        assert page["total"]["readings"]["stored"] == 27
        everything = (await http.get("/v1/ledger?from=2026-11-22T00:00:00Z&limit=3")).json()
        assert everything["balanced"] is False
        rest = (await http.get(f"/v1/ledger?from=2026-11-22T00:00:00Z&cursor={everything['next']}")).json()
        assert len(everything["items"]) + len(rest["items"]) == 4
        assert (await http.get("/v1/ledger?from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z")).status_code == 422


async def test_kinds_and_rules_are_told_as_the_catalogue_has_them(pool: asyncpg.Pool) -> None:
    rule = load_kinds()["manhole"].rules[0]
    revision = revision_of(rule.key, rule.as_data())
    number = await pool.fetchval(
        "INSERT INTO rule_revision (key, digest, body, created_at) VALUES ($1, $2, $3, $4) RETURNING id", *revision, NOW
    )
    async with client(pool, Role.VIEWER) as http:
        assert {item["key"] for item in (await http.get("/v1/kinds")).json()["items"]} == set(load_kinds())
        for key in load_kinds():
            kind = (await http.get(f"/v1/kinds/{key}")).raise_for_status().json()
            assert all(measure["title_zh"] for measure in kind["measures"])
        assert (await http.get("/v1/kinds/dragon")).status_code == 404
        rules = {item["key"]: item for item in (await http.get("/v1/rules")).json()["items"]}
    assert rules[rule.key]["revision"] == number
    assert rules["manhole.open"]["revision"] is None


async def test_ready_tells_how_well_each_source_is_heard(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO coverage VALUES ('native', 'w1', $1, $2)", NOW - timedelta(hours=1), NOW)
    async with client(pool, None) as http:
        body = (await http.get("/v1/health/ready")).raise_for_status().json()
        assert (body["status"], body["ingest_heard"]) == ("ready", True)
        await pool.execute("INSERT INTO coverage VALUES ('senml', 'w1', $1, $1)", NOW - timedelta(minutes=5))
        cause = "INSERT INTO outage (source, worker, cause, began, ended) VALUES ('senml', 'w1', 'silence', $1, $1)"
        await pool.execute(cause, NOW - timedelta(minutes=9))
        body = (await http.get("/v1/health/ready")).raise_for_status().json()
        assert (body["ingest_heard"], len(body["outages"])) == (False, 1)
        await pool.execute("UPDATE alembic_version SET version_num = 'older'")
        answer = await http.get("/v1/health/ready")
        assert (answer.status_code, answer.json()["schema_current"]) == (503, False)
