"""The doors that the outside comes in by, each with hostile cases of its own and what may become of them.

A door is opened once and handed one case after another. It returns where the case was taken or refused in words, and raises
where it was not: then the platform would have answered 500, or have died.
"""

import contextlib
import functools
import json
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import paho.mqtt.client as paho
import pyarrow as pa
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from serve.columns import gather_table
from serve.cursors import _digest, read_stream_cursor
from serve.errors import AccessError, BodyError, CursorError, SortError
from serve.formats import ARROW, JSON, NDJSON, Body, read_body
from serve.intake import gather, write
from serve.lists import AlertQuery, DeviceQuery, list_alerts, list_devices
from serve.live import LiveTable
from serve.mqtt import Bridge, MqttConfig
from serve.tokens import TokenKeys, issue, verify
from tests.fuzz.hostile import Hostile, Raw, pick, written
from tests.serve.edges import DEVICES, METER, PUMP, T0
from tests.serve.tables import Shown, alerts, devices, generation
from twins.clock import SECOND_US, VirtualClock
from twins.devices import Channel, DeviceType
from twins.errors import DescriptionError, FilterError
from twins.fleet import FleetConfig, LocalFleet
from twins.typefiles import load_catalog, parse_rules, parse_type, to_yaml

Ask = Callable[[Hostile], None]
Door = Callable[[], contextlib.AbstractContextManager[Ask]]

MOST: Final = 400
MOST_BYTES: Final = 1 << 20
NAMES: Final = tuple(device.id for device in DEVICES)
ROOT: Final = Path(__file__).parents[2]


@contextlib.contextmanager
def fleet_in_memory() -> Iterator[LocalFleet]:
    with LocalFleet(None, FleetConfig(hosts=2), VirtualClock(T0 + 3600 * SECOND_US)) as fleet:
        fleet.install(PUMP)
        fleet.install(METER)
        fleet.register(DEVICES)
        yield fleet


def line(hostile: Hostile) -> dict[str, Any]:
    """A reading that would be taken."""
    values = hostile.one(
        {"vibration": 1.5}, {"flow": 118, "running": True}, {"vibration": 9.0, "flow": None}, {"energy": 7.25}
    )
    times = (T0 + hostile.rng.randrange(3600) * SECOND_US, T0 // 1000, "2025-10-09T08:53:20.123456Z")
    return {"device": hostile.one(*NAMES), "time": hostile.one(*times), "values": dict(values)}


def taken(fleet: LocalFleet, found: Body) -> None:
    """Gather and write what a body held, and have the answer written."""
    if found.table is not None:
        intake = gather_table(found.table, found.wanted, fleet)
    else:
        intake = gather(found.lines or [], found.wanted, fleet)
    became = write(fleet, intake)
    json.dumps([dict(became.accepted), became.cursors, became.refusals.told]).encode()


# -- readings --------------------------------------------------------------------------------------


@contextlib.contextmanager
def bodies() -> Iterator[Ask]:
    """JSON and NDJSON, plain and packed."""
    with fleet_in_memory() as fleet:

        def ask(hostile: Hostile) -> None:
            lines = [line(hostile) for _ in range(hostile.rng.randrange(4))]
            kind = hostile.one(JSON, NDJSON, JSON, NDJSON, JSON + "; charset=utf-16", "text/json", "\0", "")
            if kind == NDJSON:
                body = hostile.one(b"\n", b"\r", b"\xe2\x80\xa8").join(
                    hostile.document(each) for each in lines
                )
            else:
                body = hostile.document({"readings": lines, "type": hostile.one("pump", None, "kite")})
            encoding = "identity"
            if hostile.rarely(5):
                encoding, body = hostile.packed(body)
            headers = Headers({"content-type": kind, "content-encoding": encoding})
            with contextlib.suppress(BodyError, HTTPException):
                taken(fleet, read_body(headers, body, MOST, MOST_BYTES))

        yield ask


def _column(hostile: Hostile, n: int) -> pa.Array:
    """A column of any type that Arrow has."""
    rng = np.random.default_rng(hostile.rng.randrange(1 << 30))
    number = pa.array(rng.normal(size=n), mask=rng.random(n) < 0.2)
    kinds: tuple[Callable[[], pa.Array], ...] = (
        lambda: number,
        lambda: pa.array(rng.choice([np.nan, np.inf, -np.inf, 1e308], n)),
        lambda: number.cast(pa.float16(), safe=False),
        lambda: pa.array(rng.integers(-(2**62), 2**62, n)),
        lambda: pa.array(rng.integers(0, 2**63, n).astype(np.uint64)),
        lambda: pa.array(rng.random(n) < 0.5),
        lambda: pa.array(["\0x"] * n),
        lambda: pa.array([b"\xff"] * n),
        lambda: pa.nulls(n),
        lambda: pa.array([[1.0]] * n),
        lambda: pa.array([{"a": 1}] * n),
        lambda: pa.array(["a", "b"] * n).dictionary_encode()[:n],
        lambda: number.cast(pa.decimal128(38, 10), safe=False),
        lambda: pa.array([0] * n, pa.duration("ns")),
        lambda: pa.array([T0] * n, pa.timestamp("us", hostile.one("UTC", "Mars/Olympus", None))),
        lambda: pa.array([2**62] * n, pa.timestamp("s")),
        lambda: pa.RunEndEncodedArray.from_arrays(
            pa.array([n] if n else [], pa.int32()), pa.array([1.0] if n else [])
        ),
        lambda: pa.array(["x"] * n, pa.string_view()),
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16] * n, pa.binary(16))),
    )
    return pick(hostile, kinds)()


def arrow_stream(hostile: Hostile) -> bytes:
    """A stream, mostly of the right shape, with dictionaries, nulls, metadata, several batches, packed buffers."""
    n = hostile.one(0, 1, 3, 3, 3, 40)
    names = pa.array([hostile.one(*NAMES) for _ in range(n)], pa.string())
    columns: dict[str, Any] = {
        "device": hostile.one(names, names, names.dictionary_encode(), names.cast(pa.large_string())),
        "time": hostile.one(
            pa.array([T0 + k for k in range(n)]),
            pa.array([T0] * n, pa.timestamp("us", "UTC")),
            pa.array([T0 // 1000] * n),
        ),
        "vibration": pa.array([1.5] * n),
        "flow": pa.array([None] * n, pa.float32()),
    }
    if hostile.rarely(3):
        columns[hostile.one("vibration", "running", "device", "time", "x", "", "\0")] = _column(hostile, n)
    arrays, schema = list(columns.values()), [(name, each.type) for name, each in columns.items()]
    if hostile.rarely(8):
        arrays, schema = arrays * 2, schema * 2
    metadata = hostile.one(None, None, {"type": "pump"}, {"type": b"\xff\0"}, {"type": "x" * 70_000})
    table = pa.table(arrays, pa.schema(schema, metadata))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(
        compression=hostile.one(None, None, "lz4", "zstd"), emit_dictionary_deltas=hostile.rarely(2)
    )
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        for _ in range(hostile.one(1, 1, 2)):
            writer.write_table(table, max_chunksize=hostile.one(1, 40))
    return bytes(sink.getvalue())


@contextlib.contextmanager
def arrow() -> Iterator[Ask]:
    """Arrow streams with wrong offsets, lengths, schemas and dictionaries: out of bounds would end the process."""
    with fleet_in_memory() as fleet:

        def ask(hostile: Hostile) -> None:
            body = arrow_stream(hostile)
            if not hostile.rarely(6):
                other = arrow_stream(hostile) if hostile.rarely(4) else b""
                body = hostile.damaged(body, hostile.one(1, 1, 2, 6), other)
            encoding = "identity"
            if hostile.rarely(12):
                encoding, body = hostile.packed(body)
            headers = Headers({"content-type": ARROW, "content-encoding": encoding})
            with contextlib.suppress(BodyError, HTTPException):
                taken(fleet, read_body(headers, body, MOST, MOST_BYTES))

        yield ask


class Publisher:
    """Takes what a broker would take, by MQTT 5.0, 4.7; keeps none of it."""

    def publish(self, topic: str, payload: str, qos: int = 0, properties: Any = None) -> None:
        """Refuse what paho refuses, in the same way."""
        if not topic or "+" in topic or "#" in topic or len(topic.encode()) > 65_535:
            raise ValueError("invalid topic")
        payload.encode()

    def ack(self, mid: int, qos: int) -> None:
        """Note nothing."""


@contextlib.contextmanager
def messages() -> Iterator[Ask]:
    """MQTT: topics, payloads and the properties of an answer. A message that cannot be answered would come for ever."""
    with fleet_in_memory() as fleet:
        bridges = []
        for topic in ("plant/{device}", "site/{device}/{channel}", "all"):
            bridge = Bridge(MqttConfig("mqtt://localhost", topic), fleet, fleet.clock)
            bridge._line.client = Publisher()  # type: ignore[assignment]
            bridges.append((bridge, topic))

        def ask(hostile: Hostile) -> None:
            bridge, template = pick(hostile, bridges)
            for _ in range(hostile.rng.randint(1, 3)):
                reading = line(hostile)
                name = template.replace(
                    "{device}", hostile.one(reading["device"], *NAMES[:2], hostile.text())
                )
                name = name.replace("{channel}", hostile.one("vibration", "flow", hostile.text()))
                if "{channel}" in template:
                    payload = hostile.document(hostile.one(1.5, None, True, 7), one_in=2)
                else:
                    if hostile.rarely(3):
                        reading = {"time": reading["time"], **reading["values"]}
                    if hostile.rarely(6):
                        reading["device"] = hostile.one(Raw(r'"\ud800"'), "x" * 70_000, "a/b", "+", 5, None)
                    if hostile.rarely(10):
                        reading["time"] = hostile.one(
                            Raw(r'"\ud800"'), Raw(r'"2025-10-09\udc00"'), "0001-01-01T00:00:00+23:59"
                        )
                    payload = hostile.document(hostile.one(reading, [reading] * 3), one_in=8)
                message = paho.MQTTMessage(
                    1, name.encode("utf-8", "surrogatepass")[:65_000].decode(errors="ignore").encode()
                )
                message.payload, message.qos = payload, hostile.one(0, 1)
                if hostile.rarely(3):
                    message.properties = Properties(PacketTypes.PUBLISH)
                    with contextlib.suppress(Exception):  # what paho itself refuses to hold
                        message.properties.ResponseTopic = hostile.one(
                            "answers/x", "a/+", "#", "", hostile.text(), name
                        )
                        message.properties.CorrelationData = hostile.one(b"1", b"\xff" * 30)
                bridge._on_message(message, 0)
            came = bridge._next()
            found = bridge._read(came)
            assert bridge._write(found)
            bridge._answer(came, found)

        yield ask


# -- questions -------------------------------------------------------------------------------------

TYPES: Final = {
    "pump": DeviceType("pump", 1, (Channel("vibration", "mm/s"), Channel("flow", "m3/h"))),
    "meter": DeviceType("meter", 1, (Channel("energy", "kW.h", dtype="float64"),)),
}
_FILTERS: Final = (
    "health < 50 and site = 'oslo' and label.line = 3", "not stale", "type in ('chiller', 'pump')", "name like '*1?'",
    "flow > 1e308 or not (vibration <= .5)", "parent is not null", "event_time > '2026-01-01T00:00:00Z'",
    'label."a/b~c" = \'x\'',
    "priority = 'high' or alerts >= 1", "site not in ('a', 'b''c')",
)  # fmt: skip
_WORDS: Final = (
    "and", "or", "not", "in", "like", "is", "null", "present", "(", ")", "=", "<>", "<=", ",", ".",
    "'", '"', "''", "health", "site",
    "label.line", "label", "flow", "rate(flow)", "1e999", "-", "+5", "0x10", "9" * 400, "'*'",
    "'\\", "'\\\\'", "--", "/*", ";", "?",
    "$1", "\0", "é", "🦊", "true", "anomalous", "stale", "'2026-02-30'", "'9999-12-31T23:59:59+00:00'",
    "'0001-01-01T00:00:00+23:59'",
    "(" * 40, "not " * 40, "'" + "*" * 300 + "'", "'" + "a*" * 60 + "'",
)  # fmt: skip


def shown_view() -> Any:
    source = Shown(
        generation(
            {
                "pump": devices("pump", [f"pump-{i:02d}" for i in range(40)], 1, ("vibration", "flow")),
                "meter": devices("meter", ["m-1", "m/å:2"], 2, energy=pa.array([0.5, None])),
            },
            alerts=alerts(
                [
                    {"device_id": f"pump-{i:02d}", "occurrence": i, "since": None if i == 3 else T0}
                    for i in range(9)
                ]
            ),
        )
    )
    return LiveTable(source).refresh()


@contextlib.contextmanager
def filters() -> Iterator[Ask]:
    """Filters, sorts and searches, all the way into DuckDB."""
    view = shown_view()

    def ask(hostile: Hostile) -> None:
        text = pick(hostile, _FILTERS)
        match hostile.rng.randrange(4):
            case 0:
                text = " ".join(hostile.one(*_WORDS) for _ in range(hostile.rng.randrange(14)))
            case 1:
                parts = text.split(" ")
                parts[hostile.rng.randrange(len(parts))] = hostile.one(*_WORDS, hostile.text())
                text = " ".join(parts)
            case 2:
                text = hostile.damaged(text.encode(), 3).decode("utf-8", "replace")
            case _:
                text = f" {hostile.one('and', 'or')} ".join([text] * hostile.one(1, 2, 90, 400))
        search = hostile.text() if hostile.rarely(6) else ""
        sort = hostile.one("id", "-health", "type", hostile.text(), "-" + hostile.text())
        with contextlib.suppress(FilterError, SortError):
            list_devices(view, TYPES, DeviceQuery(text, search, sort, limit=5))

    yield ask
    view.close()


@contextlib.contextmanager
def cursors() -> Iterator[Ask]:
    """Cursors of lists and streams: damaged, and made up by somebody who knows how they are made."""
    view = shown_view()

    def ask(hostile: Hostile) -> None:
        sort = hostile.one("id", "-id", "health", "-health", "type", "event_time", "priority")
        binding = f"devices\n{sort}\n\n"
        key = hostile.one(
            "pump-03",
            12.5,
            float("inf"),
            -1,
            2**62,
            2**63,
            hostile.text(),
            hostile.surrogate(),
            None,
            True,
            [],
        )
        good = _cursor(binding, [key, hostile.one("pump-03", hostile.text(), hostile.surrogate(), 7)])
        match hostile.rng.randrange(4):
            case 0:
                text = good
            case 1:
                text = hostile.damaged(good.encode(), 3).decode("latin-1")
            case 2:
                text = _packed(written(hostile.bent([_digest(binding), key, "pump-03"], 3)))
            case _:
                text = hostile.one(
                    hostile.text(), "A" * 9_000, _packed("[" * 3_000), _packed("[[0,1,2]]"), "é"
                )
        with contextlib.suppress(CursorError):
            list_devices(view, TYPES, DeviceQuery(sort=sort, limit=5, after=text))
        with contextlib.suppress(CursorError):
            list_devices(view, TYPES, DeviceQuery(sort=sort, limit=5, before=text))
        with contextlib.suppress(CursorError):
            read_stream_cursor(hostile.one(text, _packed(written(hostile.bent([[0, 1, 2], [1, 1, 9]], 3)))))
        binding = "alerts\n()\n()\n()\n()\n()"
        forged = _cursor(
            binding,
            [hostile.one(1, 2**62, -(2**62), "a", hostile.text(), hostile.surrogate()) for _ in range(4)],
        )
        with contextlib.suppress(CursorError):
            list_alerts(view, AlertQuery(limit=3, after=hostile.one(forged, text)))

    yield ask
    view.close()


def _cursor(binding: str, key: list[Any]) -> str:
    """A cursor as they are made here, of values that no list has."""
    return _packed(written([_digest(binding), *key]))


def _packed(text: str) -> str:
    return urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()


# -- credentials -----------------------------------------------------------------------------------


@contextlib.contextmanager
def credentials() -> Iterator[Ask]:
    """Access tokens, refresh tokens, cookies, device keys and the local token. None that is not ours may open anything."""
    from serve.access import Access
    from serve.accounts import Actor
    from serve.config import database_config
    from serve.database import Database
    from serve.scopes import Scope
    from tests.serve.edges import PASSWORD

    with tempfile.TemporaryDirectory() as folder:
        database = Database(database_config("", Path(folder)))
        database.migrate()
        clock = VirtualClock(T0)
        access = Access(database, Path(folder) / "secrets", clock)
        once = access.accounts.create("kari", "operator", Actor("tests"))
        access.accounts.change_password("kari", once, PASSWORD, "")
        browser = access.sessions.log_in("kari", PASSWORD, "browser")
        program = access.sessions.log_in("kari", PASSWORD, "program")
        _, key = access.keys.create("gateway", Scope(), Actor("tests"))
        token, _ = access.sessions.access_token(program.principal)
        other = TokenKeys(Path(folder) / "other" / "keys.json")
        real = [token, key, access.local.renew(), browser.secret, program.secret]

        def ask(hostile: Hostile) -> None:
            text = pick(hostile, real)
            match hostile.rng.randrange(6):
                case 0:
                    text = hostile.one(hostile.text(), text.partition("_")[0] + "_" + hostile.text())
                case 1:
                    header = {"alg": "HS256", "typ": "at+jwt", "kid": hostile.one("x", None, 5)}
                    parts = token.split(".")
                    parts[0] = _packed(written(hostile.bent(header, 2)))
                    parts[1] = hostile.one(
                        parts[1], _packed(written(hostile.bent({"exp": 1, "sub": "1"}, 2)))
                    )
                    text = ".".join(hostile.one(parts, [*parts, ""], [parts[0], parts[1], ""], parts[::-1]))
                case 2:
                    text = issue(other, "1", "x", T0 // SECOND_US)
                case _:
                    raw = hostile.damaged(text[:-1].encode(), 3)
                    text = hostile.one(raw.decode("latin-1"), text + hostile.text(), text[:-3])
            if any(text.rstrip("=")[:-1] == each[:-1] for each in real):
                return  # the last character of a signature holds bits that say nothing
            for work in (
                lambda: access.find("bearer", text),
                lambda: access.find("cookie", text),
                lambda: access.known("bearer", text) or access.known("cookie", text) or _refused(),
                lambda: access.sessions.refresh(text),
                lambda: verify(access.sessions._keys, text, T0 // SECOND_US),
            ):
                try:
                    opened = work()
                except AccessError:
                    continue
                raise AssertionError(f"{text!r} was taken for {opened!r}")

        yield ask
        database.close()


def _refused() -> None:
    raise AccessError()


# -- files -----------------------------------------------------------------------------------------


@functools.cache
def _texts() -> tuple[tuple[str, str], ...]:
    """Every kind of description, whole."""
    catalog = load_catalog()
    found = [("type", to_yaml(catalog[name])) for name in ("humidity-sensor", "gateway", "pressure-sensor")]
    found += [
        ("mapping", path.read_text()) for path in sorted((ROOT / "examples/mappings").glob("*.yaml"))[:4]
    ]
    found += [("fleet", (ROOT / "examples/fleets/plant.yaml").read_text())]
    rule = "- name: hot\n  when: vibration > 7.1 and not stale\n  priority: high\n  consequence: a\n  response: b\n"
    return (*found, ("rules", rule), ("rules", rule * 3))


_YAML: Final = (
    "&a [*a]", "*a", "!!python/object/apply:os.system ['id']", "!!binary x", "{", "[", "]", "? a\n: b",
    "- - - -", "|\n x", "%YAML 9",
    "---", "...", "\t", "1e999", ".nan", ".inf", "0o777", "2026-02-30", "~",
    "[" * 30, "a: " * 30, "\u2028", "\x07", "<<: {}", "'",
    "2147483648", "-1", "null", "yes", "9" * 5_000, "vibration > 1 and " * 300 + "1", "1:30:00", "'\\ud800'",
)  # fmt: skip


@contextlib.contextmanager
def documents() -> Iterator[Ask]:
    """Type, rule, mapping and fleet files."""
    from training import mappings
    from training.errors import MappingError
    from twins import fleetfiles

    catalog = load_catalog()
    texts = _texts()

    def ask(hostile: Hostile) -> None:
        kind, text = pick(hostile, texts)
        lines = text.splitlines()
        for _ in range(hostile.rng.randint(1, 4)):
            at = hostile.rng.randrange(len(lines))
            name = lines[at].partition(":")[0]
            match hostile.rng.randrange(6):
                case 0 | 1 | 2:
                    lines[at] = (
                        f"{name}: {hostile.one(*_YAML, *map(str, (0, -1, 1e308, 2**64)), hostile.text())}"
                    )
                case 3:
                    lines[at] = " " * hostile.rng.randrange(4) + lines[at]
                case 4:
                    del lines[at : at + hostile.rng.randrange(4)]
                    lines = lines or [""]
                case _:
                    lines[at:at] = [hostile.one(*_YAML)]
        text = "\n".join(lines)
        if hostile.rarely(5):
            text = hostile.damaged(text.encode(), 4).decode("utf-8", "replace")
        with contextlib.suppress(DescriptionError, MappingError):
            match kind:
                case "type":
                    parse_type(text)
                case "rules":
                    parse_rules(text, PUMP)
                case "mapping":
                    mappings.parse(text, "examples/mappings/x.yaml")
                case _:
                    fleetfiles.parse_fleet(text, catalog)

    yield ask


DOORS: Final[dict[str, Door]] = {
    "bodies": bodies,
    "arrow": arrow,
    "messages": messages,
    "filters": filters,
    "cursors": cursors,
    "credentials": credentials,
    "documents": documents,
}
"""Those that need no running edge; ``asgi.py`` has the others."""
