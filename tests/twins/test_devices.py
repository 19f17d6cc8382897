"""Values of devices and their types, and the errors of files."""

import pickle

import numpy as np
import pytest

from twins.devices import Channel, Device, DeviceType
from twins.errors import DescriptionError, DeviceTypeError, FleetFileError


def test_a_type_is_as_wide_as_its_widest_channel() -> None:
    narrow = DeviceType("a", 1, (Channel("x", "1"), Channel("y", "1")))
    wide = DeviceType("a", 1, (Channel("x", "1"), Channel("y", "1", dtype="float64")))
    assert narrow.dtype == np.float32
    assert wide.dtype == np.float64


def test_channels_are_found_by_name() -> None:
    device_type = DeviceType("a", 1, (Channel("x", "1"), Channel("y", "1")))
    assert device_type.channel_index("y") == 1
    with pytest.raises(KeyError):
        device_type.channel_index("z")


def test_values_survive_pickling() -> None:
    device = Device("a", "pump", labels={"line": "3"})
    assert pickle.loads(pickle.dumps(device)) == device


@pytest.mark.parametrize("leaf", [DescriptionError, DeviceTypeError, FleetFileError])
def test_errors_of_files_survive_pickling_with_every_problem(leaf: type[DescriptionError]) -> None:
    error = leaf("a.yaml", 3, "bad", "mend it", ((7, "worse", "mend that"),))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is leaf
    assert str(again) == "a.yaml:3: bad; mend it\na.yaml:7: worse; mend that"
    assert again.more == error.more
