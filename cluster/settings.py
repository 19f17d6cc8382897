"""The one reader of environment and files: what is configured, from where, and frozen configs for the rest.

Order, the later wins: defaults, ``twinfold.toml`` in the data folder, variables
(``TWINFOLD_API__PORT=9000``), options of the command line. A variable that matches no setting is an error: a typing
mistake must not pass for a setting.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from twins.devices import PRIORITIES
from twins.errors import FleetError
from twins.fleet import FleetConfig
from twins.host import HostConfig
from twins.journal import JournalConfig
from twins.shard import ShardConfig

if TYPE_CHECKING:
    from serve.config import ApiConfig, DatabaseConfig, NotesConfig, ReceiversConfig
    from serve.mqtt import MqttConfig
    from serve.sparkplug.application import SparkplugConfig
    from training.retraining import RetrainingConfig
    from twins.actors import ActorConfig

PREFIX: Final = "TWINFOLD_"
FILE_NAME: Final = "twinfold.toml"

_KEY: Final = "encryption.key"


class SettingsError(FleetError):
    """A setting that cannot be used: which, from where, and what would do."""

    code = "settings.invalid"

    def __init__(self, name: str, source: str, problem: str) -> None:
        super().__init__(name, source, problem)
        self.name = name
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"setting {self.name} from {self.source}: {self.problem}; `twinfold settings` lists them all"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FleetSettings(_Section):
    """Shards and how they keep what they are told."""

    hosts: int = Field(0, ge=0, le=1024, description="shard actors; 0: one for each core")
    twins_per_host: int = Field(
        500_000, ge=1, description="devices after which another shard actor is started"
    )
    max_ahead_s: float = Field(
        60.0, ge=0, description="how far a reading may be ahead of the platform's clock, s"
    )
    stale_intervals: float = Field(
        10.0, gt=1, description="silence after which a device is STALE, in nominal intervals"
    )
    stale_at_least_s: float = Field(5.0, ge=0, description="no device is STALE sooner than this, s")
    tick_every_s: float = Field(
        1.0, gt=0, le=60, description="how often silence and shelves are looked at, s"
    )
    publish_every_s: float = Field(1.0, gt=0, le=60, description="how often the live table is renewed, s")
    snapshot_after_s: float = Field(2.0, gt=0, description="replay time after which a snapshot is taken, s")
    journal_file_mb: int = Field(256, ge=1, description="size of one journal file, MB")
    journal_max_mb: int = Field(
        4096, ge=2, description="size of an actor's journal at which writes are refused, MB"
    )


class HistorySettings(_Section):
    """The past on disk."""

    commit_every_s: float = Field(
        60.0,
        gt=0,
        description="readings reach the Delta tables at least this often, s; queries see them at once",
    )
    commit_rows: int = Field(2_000_000, ge=1000, description="or after this many rows")
    compact_every_s: float = Field(
        300.0, gt=0, description="how often small files are made into larger ones, s"
    )
    retention_days: float = Field(365.0, gt=0, description="raw readings are kept this long, days")
    retention_gb: float = Field(100.0, gt=0, description="and at most this much of them, GB")


class ScoringSettings(_Section):
    """Forecasts of the twins by the models in force."""

    every_s: float = Field(
        300.0,
        gt=0,
        description="how often twins are forecast anew, s; a model that is new in force scores at once",
    )
    threads: int = Field(2, ge=1, le=64, description="rows scored side by side")


class TrainingSettings(_Section):
    """Models that are made anew, of types that have one."""

    retrain_every_h: float = Field(
        24.0, ge=0, description="a model is trained anew after so many hours; 0: never for its age"
    )
    retrain_on_drift: bool = Field(
        True, description="and, at most every six hours, where forecasts drift from what they were"
    )
    promotion: Literal["automatic", "approval"] = Field(
        "automatic",
        description="a model of the schedule that is better comes in force by itself, or waits for approval",
    )


class ApiSettings(_Section):
    """The edge."""

    public_url: str = Field(
        "",
        description="https address of the proxy in front, under which others reach the platform; empty: this machine only",
    )
    host: str = Field(
        "127.0.0.1", description="address to listen on; another than loopback takes api.public_url"
    )
    port: int = Field(8700, ge=1, le=65535, description="port of REST, WebSocket and the app")
    requests_per_s: float = Field(
        100.0,
        ge=0,
        description="requests that one account may make a second, three times as many at once; 0: no limit",
    )

    @field_validator("public_url")
    @classmethod
    def _over_tls(cls, url: str) -> str:
        """Passwords and sessions do not travel in the clear."""
        parts = urlsplit(url)
        if url and (parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query):
            raise ValueError("write https://name or https://name:port; TLS ends at the proxy in front")
        return url.rstrip("/")

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, host: str, info: ValidationInfo) -> str:
        """An open port without TLS is an open door to the plant."""
        try:
            inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            inside = False
        if not inside and not info.data.get("public_url"):
            raise ValueError(
                f"{host} can be reached from other machines without TLS; put a proxy with TLS in front and "
                "name its address in api.public_url, or use 127.0.0.1"
            )
        return host


class AlertSettings(_Section):
    """Which commands to alerts must say why. Priorities are separated by commas; empty: none takes a note."""

    note_to_acknowledge: str = Field(
        "",
        description="priorities of alerts that take a note when they are acknowledged, separated by commas",
    )
    note_to_reset: str = Field("", description="the same, when latched ones are reset")
    note_to_shelve: str = Field(",".join(PRIORITIES), description="the same, when they are put on the shelf")
    note_to_suppress: str = Field(
        "critical,high", description="the same, when they are suppressed or taken out of service"
    )

    @field_validator("*")
    @classmethod
    def _of_priorities(cls, text: str) -> str:
        if unknown := set(_listed(text)) - set(PRIORITIES):
            raise ValueError(f"{', '.join(sorted(unknown))}: no priority; use {', '.join(PRIORITIES)}")
        return text


class AccountSettings(_Section):
    """Who may make an account."""

    registration: Literal["closed", "invite", "open"] = Field(
        "closed",
        description="who may register: nobody (admins make accounts), who was invited, or anyone, as a viewer",
    )
    audit_days: float = Field(
        400.0, ge=0, description="for how long lines of the audit are kept, days; 0: for ever"
    )


class SimulatorSettings(_Section):
    """Simulated devices, and a recorded wind farm played back beside them."""

    fleet: str = Field("", description="fleet file to simulate; empty: none")
    recorded: str = Field(
        "", description="mapping of a recorded set to play back as live devices; empty: none"
    )
    recorded_files: str = Field("", description="files of the recorded set, separated by commas")
    backfill_s: float = Field(2400.0, ge=0, description="how much of the past is told at the first start, s")
    recorded_speed: float = Field(600.0, gt=0, description="how much faster than recorded it is played")


class RaySettings(_Section):
    """The cluster underneath."""

    address: str = Field("", description="a running cluster to join; empty: start one here")
    num_cpus: int = Field(0, ge=0, description="cores Ray may plan with; 0: all")
    object_store_mb: int = Field(0, ge=0, description="size of the object store, MB; 0: a tenth of memory")
    temp_dir: str = Field("", description="short folder for Ray's sessions; empty: /tmp/twinfold-<user>")


class DatabaseSettings(_Section):
    """Accounts, versions of types and rules, and whatever else people write."""

    url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user:password@host/name; empty: a SQLite file in the data folder",
    )

    @field_validator("url")
    @classmethod
    def _known_kind(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value():
            from serve.database import check_url  # loads SQLAlchemy, which most commands do without

            check_url(url.get_secret_value())
        return url


class EncryptionSettings(_Section):
    """Encryption at rest."""

    key: str = Field(
        "",
        description="where the key-encryption key is: file:/path, env:NAME or command:/path; empty: nothing is encrypted",
    )


class MqttSettings(_Section):
    """A broker whose messages are readings."""

    url: SecretStr = Field(
        SecretStr(""), description="mqtt://host:1883 or mqtts://user:password@host:8883; empty: no bridge"
    )
    topic: str = Field("twinfold/{device}", description="topics to read; {device} and {channel} are levels")
    refused: str = Field(
        "twinfold-refused/{device}", description="topic on which it is told why a message was not taken"
    )
    asked: str = Field(
        "",
        description="topic of a device, as twinfold/{device}, below which it is asked things and reports; empty: none",
    )
    version: Literal["5", "3.1.1"] = Field("5", description="of the protocol")
    client_id: str = Field("twinfold", description="names the session at the broker; one a platform")
    ca_file: str = Field("", description="certificates to trust beside the system's")


class SparkplugSettings(_Section):
    """Sparkplug B edge nodes at the broker of `mqtt.url`."""

    host_id: str = Field(
        "",
        pattern=r"^[^/+#]*$",
        description="name of the host application that nodes may wait for; empty: no Sparkplug",
    )
    groups: str = Field("+", description="groups that are followed, separated by commas; +: all")
    device: str = Field(
        "{node}/{device}", description="twin of a node's device, of {group}, {node} and {device}"
    )
    node: str = Field("{node}", description="twin of a node itself, of {group} and {node}")
    metrics: str = Field(
        "", description="metric=channel, separated by commas; others are the channel of their name"
    )


class IngestSettings(_Section):
    """Readings on their way in."""

    unknown: Literal["refuse", "template"] = Field(
        "refuse",
        description="readings of unknown devices: refuse them, or register the device by an approved template",
    )


class NotificationSettings(_Section):
    """How people are told of alerts when they do not look."""

    mail_host: str = Field("", description="mail server that takes e-mail; empty: no e-mail")
    mail_port: int = Field(587, ge=1, le=65535, description="its port")
    mail_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="encryption on the way to it: after the greeting, from the first byte, or none",
    )
    mail_user: str = Field("", description="name to log in there with; empty: without")
    mail_password: SecretStr = Field(SecretStr(""), description="and password")
    mail_sender: str = Field(
        "", description="address that e-mail comes from; empty: twinfold@ the mail server"
    )
    allow_private: bool = Field(
        False, description="whether webhooks may lead into private networks and to this machine"
    )
    apprise: bool = Field(
        False, description="whether channels may use Apprise, which dials by itself: where to is not judged"
    )


class Settings(_Section):
    """Everything that can be set."""

    data: Path = Field(Path("data"), description="folder of journals, history and models")
    types: str = Field("", description="folder with device types of your own, beside the catalogue")
    fleet: FleetSettings = FleetSettings()
    history: HistorySettings = HistorySettings()
    scoring: ScoringSettings = ScoringSettings()
    training: TrainingSettings = TrainingSettings()
    api: ApiSettings = ApiSettings()
    alerts: AlertSettings = AlertSettings()
    accounts: AccountSettings = AccountSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    ray: RaySettings = RaySettings()
    database: DatabaseSettings = DatabaseSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    ingest: IngestSettings = IngestSettings()
    mqtt: MqttSettings = MqttSettings()
    sparkplug: SparkplugSettings = SparkplugSettings()
    notifications: NotificationSettings = NotificationSettings()

    def mqtt_config(self) -> "MqttConfig":
        """The broker and what is read from it."""
        from serve.mqtt import MqttConfig

        m = self.mqtt
        return MqttConfig(
            m.url.get_secret_value(), m.topic, m.refused, m.version, m.client_id, m.ca_file, m.asked
        )

    def sparkplug_config(self) -> "SparkplugConfig":
        """The broker, and which edge nodes are followed there."""
        from serve.sparkplug.application import SparkplugConfig

        m, s = self.mqtt, self.sparkplug
        return SparkplugConfig(
            m.url.get_secret_value(),
            s.host_id,
            _listed(s.groups),
            s.device,
            s.node,
            s.metrics,
            m.refused,
            m.version,
            f"{m.client_id}-sparkplug",
            m.ca_file,
        )

    def receivers_config(self) -> "ReceiversConfig":
        """How receivers of notifications are reached."""
        from serve.config import MailConfig, ReceiversConfig

        n = self.notifications
        mail = MailConfig(
            n.mail_host,
            n.mail_port,
            n.mail_tls,
            n.mail_user,
            n.mail_password.get_secret_value(),
            n.mail_sender,
        )
        return ReceiversConfig(mail, n.allow_private, n.apprise, link=self.api.public_url)

    def fleet_config(self, cores: int) -> FleetConfig:
        """How the fleet is to be on machines with so many cores in all."""
        f = self.fleet
        return FleetConfig(
            hosts=f.hosts or max(1, cores),
            twins_per_host=f.twins_per_host,
            host=HostConfig(
                journal=JournalConfig(file_bytes=f.journal_file_mb << 20, max_bytes=f.journal_max_mb << 20),
                shard=ShardConfig(f.max_ahead_s, f.stale_intervals, f.stale_at_least_s),
                snapshot_after_s=f.snapshot_after_s,
                recorded=True,
            ),
        )

    def retraining_config(self) -> "RetrainingConfig":
        """When models are trained anew, and whether better ones come in force."""
        from training.retraining import RetrainingConfig  # loads scikit-learn

        t = self.training
        return RetrainingConfig(t.retrain_every_h, t.retrain_on_drift, t.promotion == "automatic")

    def database_config(self) -> "DatabaseConfig":
        from serve.config import database_config

        return database_config(self.database.url.get_secret_value(), self.data.resolve())

    def api_config(self) -> "ApiConfig":
        from serve.config import LOOPBACK_NAMES, ApiConfig

        name = urlsplit(self.api.public_url).hostname
        return ApiConfig(
            hosts=(*LOOPBACK_NAMES, *([name] if name else [])),
            public=self.api.public_url,
            cookie=f"__Host-twinfold-{self.api.port}" if name else f"twinfold-{self.api.port}",
            registration=self.accounts.registration,
            notes=self.notes_config(),
            receivers=self.receivers_config(),
            unknown=self.ingest.unknown,
            requests_per_s=self.api.requests_per_s,
        )

    def notes_config(self) -> "NotesConfig":
        from serve.config import NotesConfig

        return NotesConfig(
            acknowledge=_listed(self.alerts.note_to_acknowledge),
            reset=_listed(self.alerts.note_to_reset),
            shelve=_listed(self.alerts.note_to_shelve),
            suppress=_listed(self.alerts.note_to_suppress),
        )

    def actor_config(self) -> "ActorConfig":
        from twins.actors import ActorConfig  # imports Ray, which reads its environment when it is imported

        return ActorConfig(self.fleet_config(1).host, self.fleet.tick_every_s, self.fleet.publish_every_s)


def load(options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. ``options`` are dotted names from the command line; None values are left out.

    Raises
    ------
    SettingsError : for an unknown name or a value that does not do, with where it came from.
    """
    return load_with_sources(options, environment)[0]


def load_with_sources(
    options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and for each dotted name where its value came from."""
    environment = os.environ if environment is None else environment
    chosen = {name: value for name, value in (options or {}).items() if value is not None}
    from_environment = {
        name.removeprefix(PREFIX).lower().replace("__", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    data = Path(chosen.get("data") or from_environment.get("data") or "data")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    file = data / FILE_NAME
    if file.is_file():
        try:
            document = tomllib.loads(file.read_text())
        except tomllib.TOMLDecodeError as error:
            raise SettingsError("(file)", str(file), str(error)) from error
        _take(values, sources, dict(_flat(document)), str(file))
    _take(values, sources, from_environment, "environment", PREFIX)
    _take(values, sources, chosen, "command line")
    if sources.get(_KEY) == str(file) and str(values[_KEY]).startswith("command:"):
        raise SettingsError(_KEY, str(file), "a data folder may not name a program to run; set the variable")
    known = dict(names())
    for name in values:
        if name not in known:
            close = ", ".join(each for each in known if each.split(".")[-1] == name.split(".")[-1])
            hint = f"did you mean {close}?" if close else "no such setting"
            raise SettingsError(name, sources[name], hint)
    try:
        settings = Settings.model_validate(_nested(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(name, sources.get(name, "default"), first["msg"]) from error
    return settings, {name: sources.get(name, "default") for name in known}


def announce_key(settings: Settings) -> None:
    """Say where the key-encryption key is to whatever opens a sealed file, in this process and those that it starts."""
    if settings.encryption.key:
        os.environ[PREFIX + _KEY.upper().replace(".", "__")] = settings.encryption.key


def names() -> Iterator[tuple[str, str]]:
    """Every setting's dotted name with its description."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            for inner, inner_field in section.model_fields.items():
                yield f"{name}.{inner}", inner_field.description or ""
        else:
            yield name, field.description or ""


def value(settings: Settings, name: str) -> Any:
    """The value of a dotted name."""
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def shown(settings: Settings, name: str) -> Any:
    """The value of a dotted name as JSON, without what is secret in it."""
    found = value(settings, name)
    if isinstance(found, SecretStr):
        from serve.database import shown_url

        if name.endswith(".mail_password"):
            return "***" if found.get_secret_value() else ""
        return shown_url(found.get_secret_value()) if found.get_secret_value() else ""
    return str(found) if isinstance(found, Path) else found


def _take(
    values: dict[str, Any], sources: dict[str, str], more: Mapping[str, Any], source: str, prefix: str = ""
) -> None:
    for name, each in more.items():
        values[name] = each
        sources[name] = f"{source} {prefix}{name.upper().replace('.', '__')}" if prefix else source


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in document.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{before}{name}.")
        else:
            yield f"{before}{name}", each


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, each in values.items():
        *path, last = name.split(".")
        inner = document
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = each
    return document


def _listed(text: str) -> tuple[str, ...]:
    """What commas separate, without the space around it."""
    return tuple(filter(None, map(str.strip, text.split(","))))
