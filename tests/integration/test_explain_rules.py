"""How the rules of a device stand, over HTTP: what they saw, who set them, what comes next; and why nothing fires."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.instants import to_micros
from domain.mute import MuteReason
from domain.role import Role
from ingest.delivery import Delivery
from service.cases import Cases
from service.known import KnownDevices
from service.ticker import Ticker
from store.mutes import MuteEntry, mute
from store.registry import AssetEntry, DeviceEntry, Saved, save
from tests.support.api import NOW, StillClock, client
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.publishing import body, topic
from tests.support.ruled import RuledStreet, steep

BEAT = "beat/native"


class Street:
    """One cover at a site, a flow and a ticker, and the question."""

    def __init__(self, pool: asyncpg.Pool, http: httpx.AsyncClient, clock: StillClock) -> None:
        self.pool, self.http, self.clock, self.token = pool, http, clock, 0

    async def open(self) -> "Street":
        asset = AssetEntry(name="JG-1", kind="manhole", district="511703", owner="排水公司", site="S-1")
        device = DeviceEntry(
            name="mh-1", kind="manhole", district="511703", interval_s=60.0, asset="JG-1", model="EM310"
        )
        assert isinstance(await save(self.pool, [asset], [device], NOW), Saved)
        kinds = load_kinds()
        cases = Cases(ZONE)
        await cases.start(self.pool, [rule for kind in kinds.values() for rule in kind.rules], NOW)
        await self.pool.execute(
            "INSERT INTO worker_session (client_id, shared, filters, since) VALUES ('worker-1', false, '{}', $1)", NOW
        )
        self.flow = await flow_on(self.pool, clock=self.clock, heartbeats={BEAT: "native"})
        self.ticker = Ticker(self.pool, KnownDevices(kinds), cases, LATE_BOUND)
        return self

    async def at(self, second: float, *, beats: bool = True, **values: object) -> None:
        """A heartbeat, a message if there are values, and a look of the ticker."""
        self.clock.time = now = NOW + timedelta(seconds=second)
        self.token += 1
        batch = [Delivery(topic("mh-1"), body(now, None, **values), now, self.token, False, 1)] if values else []
        if beats:
            batch.append(Delivery(BEAT, str(to_micros(now)).encode(), now, 0, False, 1))
        await self.flow.settle(batch, self.token)
        await self.ticker.look(now, {"native": Coverage(NOW, now)})

    async def told(self) -> dict[str, Any]:
        answer = await self.http.get("/v1/devices/mh-1/rules")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def rule(self, key: str = "manhole.tilt") -> dict[str, Any]:
        (found,) = [rule for rule in (await self.told())["rules"] if rule["key"] == key]
        return dict(found)

    async def set_apart(self, group: str, parameters: dict[str, object]) -> None:
        path = f"/v1/rule-overrides/{group}/manhole.tilt"
        (await self.http.put(path, json={"parameters": parameters, "reason": "a test"})).raise_for_status()
        self.flow._parts.known.forget()  # pyright: ignore[reportPrivateUsage]  # as the service does on a change


@asynccontextmanager
async def a_street(pool: asyncpg.Pool) -> AsyncGenerator[Street]:
    clock = StillClock(NOW)
    async with client(pool, Role.ENGINEER, clock) as http:
        yield await Street(pool, http, clock).open()


def time(second: float) -> str:
    return (NOW + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


async def test_every_rule_of_a_device_that_never_spoke_says_so(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        told = await street.told()
        assert [rule["key"] for rule in told["rules"]] == [rule.key for rule in load_kinds()["manhole"].rules]
        assert {rule["state"] for rule in told["rules"]} == {"clear"}
        assert (told["device"], told["kind"], told["interval_s"], told["note"]) == ("mh-1", "manhole", 60.0, None)
        by_key = {rule["key"]: rule for rule in told["rules"]}
        assert by_key["manhole.tilt"]["why"] == "No reading of tilt_deg has come yet."
        assert by_key["manhole.offline"]["why"] == "It was never heard: what never spoke is not silent."
        assert by_key["manhole.tilt"]["differences"] == []
        assert by_key["manhole.tilt"]["parameters"]["major"] == {
            "limit": 15.0,
            "clear": 10.0,
            "hold_s": 30.0,
            "keep_s": 0.0,
        }


async def test_a_hold_is_followed_from_its_onset_to_the_alert_and_its_end(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.at(0, tilt_deg=1.5)
        rule = await street.rule()
        assert rule["why"] == f"tilt_deg was 1.5 at {time(0)}: no level holds (major: limit 15, critical: limit 90)."
        assert rule["readings"] == [
            {
                "measure": "tilt_deg",
                "value": 1.5,
                "at": time(0),
                "received_at": time(0),
                "flag": None,
                "valid_until": time(90),
            }
        ]
        await street.at(3, tilt_deg=20.0)
        await street.at(15)
        rule = await street.rule()
        assert (rule["state"], rule["severity"], rule["alert"]) == ("pending", None, None)
        assert rule["why"] == (
            f"tilt_deg was 20 at {time(3)} (major: limit 15, held for 12 of 30 s): "
            f"it fires at {time(33)} if no reading short of the limit comes before."
        )
        assert rule["levels"][0] == {
            "severity": 2,
            "limit": 15.0,
            "clear": 10.0,
            "hold_s": 30.0,
            "keep_s": 0.0,
            "state": "pending",
            "onset": time(3),
            "bad_at": time(3),
            "speaks_until": time(93),
            "held_s": 12.0,
            "fires_at": time(33),
            "fired_at": None,
            "good_since": None,
        }
        assert (rule["levels"][1]["state"], rule["levels"][1]["fires_at"]) == ("clear", None)
        await street.at(40)
        await street.at(50, tilt_deg=12.0)
        rule = await street.rule()
        assert (rule["state"], rule["severity"], rule["onset"]) == ("firing", 2, time(3))
        assert rule["why"] == (
            f"tilt_deg was 20 at {time(3)} (major: limit 15): it fires since {time(33)} and clears with the first "
            f"reading beyond its clear level 10. The newest tilt_deg, 12 at {time(50)}, does not end it."
        )
        alert = (await street.http.get("/v1/alerts")).json()["items"][0]
        assert rule["alert"] == {
            "id": alert["id"],
            "severity": 2,
            "onset": time(3),
            "fired_at": time(33),
            "standing": "upheld",
            "acknowledged_by": None,
            "ticket": alert["ticket"],
            "muted": [],
        }
        assert alert["ticket"] is not None
        assert rule["revision"] == alert["revision"]
        await street.at(60, tilt_deg=2.0)
        rule = await street.rule()
        assert (rule["state"], rule["alert"], rule["evidence"]) == ("clear", None, None)


async def test_what_keeps_an_alert_quiet_is_told_with_it(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.at(0, tilt_deg=95.0)
        number = await pool.fetchval("SELECT id FROM alert")
        until = NOW + timedelta(seconds=600)
        async with pool.acquire() as connection, connection.transaction():
            await mute(
                connection,
                [
                    MuteEntry(number, MuteReason.SILENCE, "7", until),
                    MuteEntry(number, MuteReason.GROUP_WAIT, "manhole.washed_open", None),
                ],
                NOW,
            )
        rule = await street.rule()
        assert rule["alert"]["muted"] == [
            {"reason": "group_wait", "source": "manhole.washed_open", "since": time(0), "until": None},
            {"reason": "silence", "source": "7", "since": time(0), "until": time(600)},
        ]
        assert rule["why"].endswith(
            f"It asks for no ticket: group wait manhole.washed_open since {time(0)}, "
            f"silence 7 since {time(0)}, until {time(600)}."
        )


async def test_a_hold_that_no_reading_bears_out_says_that_it_does_not_fire(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.set_apart("site/S-1", {"major": {"hold_s": 600}})
        await street.at(0, tilt_deg=20.0)
        assert (await street.rule())["why"].endswith(
            f"that reading speaks until {time(90)} only; without another bad one by then it does not fire."
        )
        await street.at(200)
        rule = await street.rule()
        assert rule["why"] == (
            f"tilt_deg was 20 at {time(0)} (major: limit 15, held for 90 of 600 s): "
            f"that reading spoke until {time(90)} only, so the next bad one begins the hold anew."
        )
        assert rule["levels"][0]["fires_at"] is None


async def test_a_value_in_doubt_and_one_that_grew_old_are_told(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.at(0, tilt_deg=500.0)
        rule = await street.rule()
        assert rule["why"].endswith("The newest tilt_deg was not judged: it is in doubt (out_of_range).")
        assert (rule["state"], rule["readings"][0]["flag"]) == ("clear", "out_of_range")
        await street.at(10, tilt_deg=1.0)
        await street.at(500)
        assert (await street.rule())["why"].endswith(
            f"No other tilt_deg came before {time(100)}: what holds since is not known."
        )


async def test_each_parameter_names_the_layer_that_prevails_and_what_the_weaker_ones_have(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.set_apart("model/EM310", {"major": {"limit": 18, "hold_s": 45}})
        await street.set_apart("site/S-1", {"major": {"limit": 25}})
        own = {"manhole.tilt": {"baseline": 4, "major": {"hold_s": 10}}}
        (await street.http.patch("/v1/devices/mh-1", json={"overrides": own})).raise_for_status()
        await pool.execute(
            "INSERT INTO rule_override VALUES ('owner', '排水公司', 'manhole.tilt', '{\"gone\": 1}', 'x', 'old', now())"
        )
        rule = await street.rule()
        assert [
            (one["parameter"], one["value"], one["set_by"]["scope"], [(w["scope"], w["value"]) for w in one["weaker"]])
            for one in rule["differences"]
        ] == [
            ("baseline", 4, "device", [("kind", None)]),
            ("major.hold_s", 10, "device", [("kind", 30.0), ("model", 45)]),
            ("major.limit", 25, "site", [("kind", 15.0), ("model", 18)]),
        ]
        assert rule["differences"][2]["set_by"] == {
            "scope": "site",
            "name": "S-1",
            "value": 25,
            "author": "test engineer",
            "reason": "a test",
        }
        ((left_out),) = rule["left_out"]
        assert (left_out["scope"], left_out["name"], left_out["parameters"]) == ("owner", "排水公司", {"gone": 1})
        assert left_out["why"].startswith("the rule has no parameter 'gone'")
        assert rule["parameters"]["major"] == {"limit": 25.0, "clear": 10.0, "hold_s": 10.0, "keep_s": 0.0}


async def test_a_stricter_rule_waits_for_the_next_reading(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.at(0, tilt_deg=12.0)
        await street.set_apart("site/S-1", {"major": {"limit": 11}})
        await street.at(5)
        assert (await street.rule())["why"] == (
            f"tilt_deg was 12 at {time(0)}, which is bad (major: limit 11, critical: limit 90), but was judged when it "
            "was not: the next reading decides."
        )


async def test_silence_is_explained_from_the_last_message_to_the_alert(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await street.at(0, tilt_deg=1.0)
        for second in range(10, 50, 10):
            await street.at(second)
        rule = await street.rule("manhole.offline")
        assert rule["silence"] == {
            "heard_at": time(0),
            "source": "native",
            "covered_since": time(0),
            "covered_until": time(40),
            "wait_s": 180.0,
            "due_at": time(180),
            "firing_since": None,
        }
        assert rule["why"] == (
            f"It was last heard at {time(0)}: it fires at {time(180)}, after 180 s, if nothing comes before and its "
            f"source is heard until then (so far until {time(40)})."
        )
        for second in range(50, 200, 10):
            await street.at(second)
        rule = await street.rule("manhole.offline")
        assert (rule["state"], rule["severity"], rule["onset"]) == ("firing", 3, time(180))
        assert f"it fires since {time(180)}, and the next message ends it." in rule["why"]
        assert [one["source"] for one in rule["alert"]["muted"]] == ["site.silent"]
        assert rule["alert"]["onset"] == time(180)
        await street.at(400, tilt_deg=1.0)
        rule = await street.rule("manhole.offline")
        assert (rule["state"], rule["silence"]["due_at"]) == ("clear", time(580))
        # Another worker that has not heard the source yet: its share of the messages may hold this device's.
        await pool.execute(
            "INSERT INTO worker_session (client_id, shared, filters, since) VALUES ('worker-2', true, '{}', $1)", NOW
        )
        rule = await street.rule("manhole.offline")
        assert rule["why"].endswith("Its source native is not heard now, so no silence is found.")


@pytest.mark.parametrize(("life_cycle", "word"), [("suspended", "suspended"), ("retired", "retired")])
async def test_a_device_that_is_not_judged_says_why(pool: asyncpg.Pool, life_cycle: str, word: str) -> None:
    async with a_street(pool) as street:
        (await street.http.patch("/v1/devices/mh-1", json={"life_cycle": life_cycle})).raise_for_status()
        assert word in (await street.told())["note"]


async def test_what_a_rule_remembers_is_shown(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        await pool.execute(
            """UPDATE device_state SET tracks = '{"r": {"manhole.tilt": [null, null, null, [null, null], [[1, 2.0]], """
            """ "threshold"]}, "s": {}}'"""
        )
        assert (await street.rule())["memory"] == [[1, 2.0]]


async def test_what_the_rule_book_wrote_is_told_and_may_be_overridden(pool: asyncpg.Pool) -> None:
    street = await RuledStreet(pool).open()
    async with client(pool, Role.ENGINEER, street.clock) as http:
        tilt = {
            "key": "manhole.tilt",
            "kind": "threshold",
            "title": "Cover tilted",
            "title_zh": "井盖倾斜",
            "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 25, "hold_s": 30}]},
        }
        await street.change(steep(40), tilt, {"key": "manhole.co", "enabled": False})
        put = {"parameters": {"major": {"limit": 35}}, "reason": "x"}
        (await http.put("/v1/rule-overrides/model/EM310/manhole.steep", json=put)).raise_for_status()
        own = {"manhole.steep": {"major": {"hold_s": 5}}}
        changed = await http.patch("/v1/devices/MH-1", json={"model": "EM310", "overrides": own})
        assert changed.status_code == 200, changed.text
        street.known.forget()
        await street.deliver(0, tilt_deg=36.0)
        await street.tick(6)
        told = (await http.get("/v1/devices/MH-1/rules")).json()
    by_key = {rule["key"]: rule for rule in told["rules"]}
    assert "manhole.co" not in by_key
    assert [(off["key"], off["author"]) for off in told["switched_off"]] == [("manhole.co", "test")]
    assert (by_key["manhole.steep"]["state"], by_key["manhole.steep"]["alert"]["severity"]) == ("firing", 2)
    assert [
        (one["parameter"], one["set_by"]["scope"], [(each["scope"], each["value"]) for each in one["weaker"]])
        for one in by_key["manhole.steep"]["differences"]
    ] == [("major.hold_s", "device", [("book", 30.0)]), ("major.limit", "model", [("book", 40.0)])]
    of_tilt = {one["parameter"]: one for one in by_key["manhole.tilt"]["differences"]}
    assert of_tilt["major.limit"]["set_by"] == {
        "scope": "book",
        "name": "test",
        "value": 25.0,
        "author": "test",
        "reason": None,
    }
    assert [each["value"] for each in of_tilt["major.limit"]["weaker"]] == [15.0]
    assert by_key["manhole.tilt"]["state"] == "pending"


async def test_a_rule_in_shadow_is_explained_beside_the_one_it_shadows(pool: asyncpg.Pool) -> None:
    street = await RuledStreet(pool).open()
    async with client(pool, Role.ENGINEER, street.clock) as http:
        await street.change(steep(10, key="manhole.tilt", shadow=True))
        await street.deliver(0, tilt_deg=12.0)
        await street.tick(31)
        rules = (await http.get("/v1/devices/MH-1/rules")).json()["rules"]
    tilted = [(rule["shadow"], rule["state"], rule["alert"]) for rule in rules if rule["key"] == "manhole.tilt"]
    assert tilted == [(False, "clear", None), (True, "firing", None)]


async def test_an_unknown_device_is_not_found_and_its_kind_may_be_gone(pool: asyncpg.Pool) -> None:
    async with a_street(pool) as street:
        answer = await street.http.get("/v1/devices/none/rules")
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no device none.")
        await pool.execute("UPDATE device SET kind = 'dragon'")
        told = await street.told()
        assert (told["rules"], told["note"]) == ([], "No rules are known here for a dragon.")
