"""One platform for all tests of this folder, as ``twinfold up`` brings it up: a start costs a minute of two cores."""

from collections.abc import Iterator

import pytest

from tests.integration.running import Running, twinfold_up
from tests.serve.edges import METER, PUMP

TWINS_PER_HOST = 150
SETTINGS = {"NOTIFICATIONS__ALLOW_PRIVATE": "true", "FLEET__TWINS_PER_HOST": str(TWINS_PER_HOST)}


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two hosts with room for 150 twins each; devices and alerts of the tests before may be there."""
    with twinfold_up(tmp_path_factory.mktemp("data"), [PUMP, METER], SETTINGS) as running:
        yield running
