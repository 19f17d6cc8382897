"""The fleet as it stands, read out of the hosts' folders: needs no running platform, and disturbs none.

Each host's newest snapshot and the entries after it, taken again. What a running platform shows its readers is the live
table of ``serve``; this has the same columns.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from training.errors import HistoryBehindError
from training.rebuilding import Rebuilding, followed, of_journal
from training.recorder import JournalSource
from training.tables import sql_name
from twins import entries, snapshots, views
from twins.entries import EntryKind
from twins.errors import JournalGapError
from twins.shard import Shard

LIVE: Final = "live"
"""The table of all twins; ``live_<type>`` is that of one type, with its channels."""

_ATTEMPTS: Final = 5


def tables(hosts: Path) -> dict[str, pa.Table]:
    """``live`` and, for each type, ``live_<type>``: one line a device.

    Parameters
    ----------
    hosts : folder with a ``host-NNN`` folder for each host

    Raises
    ------
    HistoryBehindError : a host's journal no longer follows its snapshots.
    MomentNotKeptError : an entry is damaged.
    """
    found: dict[str, list[pa.Table]] = {}
    for shard in standing(hosts):
        found.setdefault(shard.device_type.name, []).append(views.live(shard))
    by_type = {name: _joined(parts) for name, parts in sorted(found.items())}
    everyone = [table.select(views.COMMON) for table in by_type.values()]
    return {
        **({LIVE: _joined(everyone)} if everyone else {}),
        **{f"{LIVE}_{sql_name(name)}": table for name, table in by_type.items()},
    }


def standing(hosts: Path) -> list[Shard]:
    """The shards of all hosts, as their last acknowledged entries left them."""
    return [shard for folder in sorted(hosts.glob("*/journal")) for shard in _of_host(folder.parent)]


def _of_host(folder: Path) -> list[Shard]:
    for _ in range(_ATTEMPTS):
        works = _begun(folder)
        began = max((work.cursor for work in works.values()), default=0)
        try:
            for stored in followed(JournalSource(folder.name, folder / "journal"), began):
                entry = of_journal(stored)
                if stored.kind == EntryKind.READINGS:
                    name, _ = entries.decode_readings(stored.payload)
                    told = [works[name]] if name in works else []
                else:
                    if entry.command is not None and entry.command[0] == "InstallType":
                        name = entry.command[1]["document"]["name"]
                        works.setdefault(name, Rebuilding(folder.name, name, None))
                    told = list(works.values())
                for work in told:
                    work.take(entry)
        except JournalGapError:  # cut meanwhile, at a snapshot that is newer than the one this began with
            continue
        return [work.shard for work in works.values() if work.shard is not None]
    problem = f"the journal of {folder.name} does not follow any of its snapshots"
    raise HistoryBehindError(str(folder), problem)


def _begun(folder: Path) -> dict[str, Rebuilding]:
    found, _ = snapshots.newest(folder / "snapshots")
    if found is None:
        return {}
    cursor, meta, arrays = found
    return {
        name: Rebuilding.from_snapshot(folder.name, name, None, cursor, meta, arrays)
        for name in meta["shards"]
    }


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts, promote_options="default").unify_dictionaries()  # versions may differ
