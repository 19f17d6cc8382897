"""What can go wrong in a fleet, as one tree.

::

    FleetError
    ├── DescriptionError           a file that describes something is wrong: file, line, remedy
    │   ├── DeviceTypeError        a device type
    │   └── FleetFileError         a simulated fleet
    ├── DeviceTypeNotFoundError    no such device type is installed
    ├── DeviceNotFoundError        no such device
    ├── DeviceExistsError          the id is taken
    ├── ReadingError               a batch that cannot be read at all
    ├── StaleDirectoryError        the batch was routed by the directory of another life; route again
    ├── SupersededError            another owner of membership has claimed the host since
    ├── CommandRefusedError        a command that does not fit the state it met
    │   ├── VersionConflictError   somebody else was first
    │   ├── NotOfferedError        the device's type has no such property, command or parameter
    │   ├── ValueRefusedError      the type does not take such a value
    │   ├── RoleTooLowError        the type wants a higher role
    │   └── UnknownNumberError     the device has no command of this number
    ├── AlertNotFoundError         no such alert
    ├── FilterError                a filter or rule text that cannot be parsed, with its column
    ├── OverloadedError            full for the moment; try again after ``retry_after_s``
    ├── DegradedError              the shard cannot write; what it last knew can be read
    │   └── StorageFullError       because its disk is full
    ├── FaultError                 a fault of Twinfold's own, undone
    ├── JournalError               the journal cannot do what was asked
    │   ├── JournalWriteError      an append was not taken: a failed sync, a file that is locked
    │   │   └── DiskFullError      the disk is full
    │   ├── JournalCorruptError    an entry does not match its checksum
    │   ├── JournalGapError        what was asked for has been cut away
    │   └── FencedError            a newer owner holds this journal
    ├── SnapshotError              a snapshot cannot be read
    ├── HostTwiceError             two data folders hold the same host
    ├── NoFolderError              no node has a data folder for a host
    ├── FolderMissingError         a node does not find the data folder that a host lives in
    └── (training/errors.py continues the tree)

Errors cross processes by pickling: every ``__init__`` takes positional arguments and passes the very same
ones on.
"""


class FleetError(Exception):
    """Something in the world, not in the caller's code, stands in the way."""

    code = "fleet.error"


class DescriptionError(FleetError):
    """A description in a file cannot be used as it stands.

    The first problem is in the attributes; ``more`` lists the others as (line, problem, remedy).
    """

    code = "description.invalid"

    def __init__(
        self, source: str, line: int, problem: str, remedy: str, more: tuple[tuple[int, str, str], ...] = ()
    ) -> None:
        super().__init__(source, line, problem, remedy, more)
        self.source = source
        self.line = line
        self.problem = problem
        self.remedy = remedy
        self.more = more

    def __str__(self) -> str:
        problems = ((self.line, self.problem, self.remedy), *self.more)
        return "\n".join(f"{self.source}:{line}: {problem}; {remedy}" for line, problem, remedy in problems)


class DeviceTypeError(DescriptionError):
    """A device type description cannot be used as it stands."""

    code = "device_type.invalid"


class FleetFileError(DescriptionError):
    """A description of a simulated fleet cannot be used as it stands."""

    code = "fleet_file.invalid"


class DeviceTypeNotFoundError(FleetError):
    """No device type of this name is installed."""

    code = "device_type.not_found"

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return f"no device type {self.name!r} is installed ({known}); add its file or check the name"


class DeviceNotFoundError(FleetError):
    """No device with this id is registered in the fleet."""

    code = "device.not_found"

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id)
        self.device_id = device_id

    def __str__(self) -> str:
        return f"no device {self.device_id!r} in this fleet; register it or check the id"


class DeviceExistsError(FleetError):
    """The id is taken by another device, perhaps a retired one: ids are never reused."""

    code = "device.exists"

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id)
        self.device_id = device_id

    def __str__(self) -> str:
        return f"device {self.device_id!r} exists already; ids are never reused, choose another"


class ReadingError(FleetError):
    """A batch of readings that cannot be read at all. Single bad readings are counted, never raised."""

    code = "reading.invalid"

    def __init__(
        self, problem: str, remedy: str = "docs/concepts/reading.md has the shape of a batch"
    ) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class StaleDirectoryError(FleetError):
    """Rows were looked up in a directory that does not fit the shard: that of another life of the data folder."""

    code = "directory.stale"

    def __init__(self, device_type: str, used: int, current: int) -> None:
        super().__init__(device_type, used, current)
        self.device_type = device_type
        self.used = used
        self.current = current

    def __str__(self) -> str:
        return (
            f"the {self.used} devices of type {self.device_type!r} by which this was routed are not the first of the "
            f"{self.current} that the shard has; look the devices up again"
        )


class SupersededError(FleetError):
    """Who registers devices is no longer who claimed the host last."""

    code = "membership.superseded"

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return (
            f"{self.host} has been claimed anew since; nothing was registered there, claim it and ask again"
        )


class CommandRefusedError(FleetError):
    """The command does not fit the state it met. Nothing was changed."""

    code = "command.refused"

    def __init__(self, command: str, subject: str, reason: str) -> None:
        super().__init__(command, subject, reason)
        self.command = command
        self.subject = subject
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot {self.command} {self.subject!r}: {self.reason}"


class VersionConflictError(CommandRefusedError):
    """Somebody else changed it first."""

    code = "command.version_conflict"


class NotOfferedError(CommandRefusedError):
    """The device's type does not have what is asked for."""

    code = "command.not_offered"


class ValueRefusedError(CommandRefusedError):
    """The device's type does not take such a value."""

    code = "command.value_refused"


class RoleTooLowError(CommandRefusedError):
    """The device's type wants a higher role for this."""

    code = "command.role_too_low"


class UnknownNumberError(CommandRefusedError):
    """The device has no command of this number, or none that is remembered."""

    code = "command.unknown_number"


class AlertNotFoundError(FleetError):
    """No alert with this id is or was standing."""

    code = "alert.not_found"

    def __init__(self, alert_id: str) -> None:
        super().__init__(alert_id)
        self.alert_id = alert_id

    def __str__(self) -> str:
        return f"no alert {self.alert_id!r}; it may have returned to normal, see the alert journal"


class FilterError(FleetError):
    """A filter text that cannot be parsed or names something that is not allowed."""

    code = "filter.invalid"

    def __init__(self, text: str, column: int, problem: str, remedy: str) -> None:
        super().__init__(text, column, problem, remedy)
        self.text = text
        self.column = column
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} at column {self.column} of {self.text!r}; {self.remedy}"


class OverloadedError(FleetError):
    """Full for the moment. Nothing of the batch was taken."""

    code = "fleet.overloaded"

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(what, retry_after_s)
        self.what = what
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.what}; nothing was taken, try again in {self.retry_after_s:g} s"


class DegradedError(FleetError):
    """This part of the fleet cannot write at present; what it last knew can still be read."""

    code = "fleet.degraded"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"writes are refused: {self.reason}; they resume by themselves when an append succeeds"


class StorageFullError(DegradedError):
    """The disk of this part of the fleet is full; what it last knew can still be read."""

    code = "storage.full"

    def __str__(self) -> str:
        return f"nothing more is taken: {self.reason}"


class FaultError(FleetError):
    """A fault of Twinfold's own: what it was doing was undone, nothing acknowledged is lost."""

    code = "fleet.fault"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"a fault in Twinfold: {self.what}; what it was doing was undone, please report it"


class JournalError(FleetError):
    """The journal cannot do what was asked."""

    code = "journal.error"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"journal {self.path}: {self.problem}"


class JournalWriteError(JournalError):
    """An append failed. Whether its entries are in the log is known only after ``Journal.recover``."""

    code = "journal.write_failed"


class DiskFullError(JournalWriteError):
    """There is no room on the disk for what was to be appended."""

    code = "journal.disk_full"


class JournalCorruptError(JournalError):
    """The bytes on disk changed after they were written. ``cursor`` is the first entry that cannot be
    read."""

    code = "journal.corrupt"

    def __init__(self, path: str, problem: str, cursor: int = 0) -> None:
        JournalError.__init__(self, path, problem)
        self.args = (path, problem, cursor)
        self.cursor = cursor


class JournalGapError(JournalError):
    """The entries asked for have been cut away; start from a snapshot."""

    code = "journal.gap"


class FencedError(JournalError):
    """A newer owner has taken this journal over; this one must stop."""

    code = "journal.fenced"


class SnapshotError(FleetError):
    """A snapshot cannot be read."""

    code = "snapshot.unreadable"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"snapshot {self.path}: {self.problem}"


class HostTwiceError(FleetError):
    """Two data folders hold a host of the same name; only one of them can be right."""

    code = "host.twice"

    def __init__(self, host: str, known: str, found: str) -> None:
        super().__init__(host, known, found)
        self.host = host
        self.known = known
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.host} belongs to the data folder {self.known!r} and lies in {self.found!r} too; "
            f"move hosts/{self.host} of the wrong one aside, it is a copy or of another platform"
        )


class NoFolderError(FleetError):
    """No node of the cluster has a data folder in which a host could live."""

    code = "host.no_folder"

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"no node of the cluster has a data folder for {self.host}; start nodes with `twinfold node`"


class FolderMissingError(FleetError):
    """The data folder that a host lives in is not where its node looks for it; perhaps its disk is not mounted."""

    code = "host.folder_missing"

    def __init__(self, folder: str, wanted: str, found: str) -> None:
        super().__init__(folder, wanted, found)
        self.folder = folder
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        there = f"is the data folder {self.found!r}" if self.found else "is no data folder"
        return (
            f"{self.folder or '(nothing)'} {there}, not {self.wanted!r}; see that its disk is mounted there"
        )
