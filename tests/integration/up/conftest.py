"""One platform for all tests of this folder, as ``twinfold up`` brings it up: a start costs a minute of two cores.

It is encrypted and follows a broker, so whatever is tested here is tested so.
"""

from collections.abc import Iterator

import pytest

from tests.integration.running import Running, twinfold_up
from tests.serve.brokers import Broker, broker
from tests.serve.edges import METER, PUMP
from twins.key_sources import create_key_file

TWINS_PER_HOST = 150
ASKED = "asked/{device}"
SETTINGS = {
    "NOTIFICATIONS__ALLOW_PRIVATE": "true",
    "FLEET__TWINS_PER_HOST": str(TWINS_PER_HOST),
    "MQTT__TOPIC": "plant/{device}",
    "MQTT__ASKED": ASKED,
    "SPARKPLUG__HOST_ID": "twinfold",
    "SPARKPLUG__DEVICE": "{device}",
}


@pytest.fixture(scope="package")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("mqtt") / "broker") as running:
        yield running


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, mosquitto: Broker) -> Iterator[Running]:
    """Two hosts with room for 150 twins each; devices and alerts of the tests before may be there."""
    key = tmp_path_factory.mktemp("key") / "key"
    create_key_file(key)
    settings = {**SETTINGS, "ENCRYPTION__KEY": f"file:{key}", "MQTT__URL": mosquitto.url}
    with twinfold_up(tmp_path_factory.mktemp("data"), [PUMP, METER], settings) as running:
        yield running
