"""What bring-up leaves in the data folder for other commands."""

import json
import os
import stat
from pathlib import Path

from cluster.bringup import RUN_FILE, TOKEN_FILE, DataFolder, ray_environment, running


def test_a_run_file_that_was_left_behind_names_no_platform(tmp_path: Path) -> None:
    """The number of the process that was killed may be anybody's by now."""
    info = {"pid": os.getpid(), "url": "", "ray_address": "", "ray_token_file": "", "started_at_s": 0.0}
    (tmp_path / RUN_FILE).write_text(json.dumps(info))
    assert running(tmp_path) is None
    with DataFolder(tmp_path):
        found = running(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
        (tmp_path / RUN_FILE).write_text(json.dumps(info | {"pid": 1}))
        assert running(tmp_path) is None


def test_a_new_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with DataFolder(tmp_path / "one"):
            ray_environment(tmp_path / "two")
    finally:
        os.umask(before)
    for folder in ("one", "two"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "two" / TOKEN_FILE).stat().st_mode) == 0o600
