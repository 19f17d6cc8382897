"""Versions of trained models: kept whole, never changed, put in force and taken back.

Under a type's name a version is a folder of two files: ``manifest.json`` says what it was trained on and what it came to,
``model.npz`` holds its arrays, which mean nothing here, sealed where the data folder is encrypted. Which version is in
force, and who changed that when and why, is in ``champion.json`` beside them.

A version gets its name once it is whole and durable, and ``champion.json`` is replaced whole, so that whoever reads needs no
lock; one writes at a time. Nothing is ever unpickled.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from numpy.typing import NDArray

from training.arrays import packed, unpacked, write
from training.errors import ModelDamagedError, ModelFormatError, ModelNotFoundError, NoFormerModelError
from twins import sealing
from twins.clock import Clock, WallClock
from twins.journal import sync_folder
from twins.sealing import SealBrokenError

FOLDER: Final = "models"
"""Where a data folder has them."""

FORMAT: Final = 1
"""Of what is written here; what says a higher one is refused."""

UNFINISHED: Final = ".part-"
"""What the name of a version begins with that is being written, or was when its writer was killed."""

KEPT: Final = 500
"""Changes of what is in force that are remembered for each type."""

MANIFEST_FILE: Final = "manifest.json"
MODEL_FILE: Final = "model.npz"
CHAMPION_FILE: Final = "champion.json"

Role = Literal["champion", "challenger", "retired"]
Act = Literal["promoted", "rolled_back"]
HeldOut = Literal["identity", "identity_and_time"]

_LOCK_FILE: Final = ".lock"
_TYPE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION: Final = re.compile(r"[1-9][0-9]*")
_CONCORDANCE_MARGIN: Final = 0.005
_COVERAGE_MARGIN: Final = 0.02
_NOMINAL_COVERAGE: Final = 0.9
JUDGED: Final = ("brier", "concordance", "coverage_90")
"""The metrics that a verdict is of."""

_FIGURES: Final = (*JUDGED, "rmse_h", "brier_constant", "rmse_constant_h", "rows", "devices", "failures")

_log = logging.getLogger("twinfold.models")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a trainer says of a model. Everything is a JSON value; what could not be measured is left out.

    Attributes
    ----------
    device_type, type_version : whose failures it forecasts
    by : who had it trained
    data : the Delta version of each table that it was trained on
    trained_until_us : nothing after this shard time was used
    features : the columns it wants, in their order
    failure_modes : those it tells apart
    parameters : settings, ``seed``, ``with_age``, ``horizon_h``, ``holdout`` (a hash of the held-out devices), and what it
        learned from: ``devices``, ``life_cycles``, ``failures``, ``rows``
    metrics : on devices that no part of it has seen. ``rmse_h`` (remaining life, up to the horizon, h), ``concordance``,
        ``brier`` (integrated up to the horizon), ``coverage_90`` (share of true lives inside the 5–95 % interval), for
        reference ``rmse_constant_h`` and ``brier_constant`` (one forecast for all); ``rows``, ``devices``, ``failures``;
        with enough healthy devices what ``anomaly.measured`` gives
    against : the version that was in force then: ``version``, and its ``metrics`` on the very same; ``held_out``, see
        ``Verdict``, and ``why`` no more than devices; ``in_time``: what ``training_runs.judged_in_time`` gives, if it does.
        Empty: none was
    calibration : on the same. ``reliability`` by horizon in hours: predicted, observed, count; ``coverage``: nominal,
        observed; ``forecast``: ``true_h``, ``p05_h``, ``p50_h``, ``p95_h``, count
    """

    device_type: str
    type_version: int
    by: str
    data: Mapping[str, int]
    trained_until_us: int
    features: tuple[str, ...]
    failure_modes: tuple[str, ...]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    calibration: Mapping[str, Any]
    against: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version as it is kept.

    Attributes
    ----------
    created_us : when it was added
    sha256 : of its arrays as a file, before sealing
    role : champion: in force; challenger: newer than the champion and never in force; retired: the rest
    """

    manifest: Manifest
    version: int
    created_us: int
    sha256: str
    role: Role


@dataclass(frozen=True, slots=True)
class Change:
    """One change of what is in force: ``version`` took the place of ``former`` (None: of nothing)."""

    version: int
    former: int | None
    act: Act
    by: str
    reason: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of two versions side by side; None: it was not measured."""

    name: str
    champion: float | None
    challenger: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """The moments that figures are of, which neither version knew of, shard time, and how far ahead of them was judged."""

    since_us: int
    until_us: int
    horizon_h: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger is better, why, and the figures.

    ``comparable`` is False where the two were measured on different devices, or not at all: then neither is better.
    ``held_out`` says how what they were measured on was held out from both, and ``period`` when that was, if in time, too;
    None: it was not the same. ``held_out_why`` is why it was by identity alone.
    """

    better: bool
    comparable: bool
    reasons: tuple[str, ...]
    figures: tuple[Figure, ...]
    held_out: HeldOut | None = None
    held_out_why: str = ""
    period: Period | None = None


class Registry:
    """The models of a data folder. All methods may be called from any thread and process.

    Parameters
    ----------
    folder : where each type has its versions; made by the first ``add``
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self._clock = clock or WallClock()
        self._told: set[str] = set()

    def types(self) -> list[str]:
        """The device types of which there are models, by name."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(name for name in names if self._numbers(name))

    def versions(self, device_type: str) -> list[ModelVersion]:
        """Those of a type, the newest first. One that cannot be read is left out, and said in the log."""
        found, changes = [], self.changes(device_type)
        for number in reversed(self._numbers(device_type)):
            try:
                found.append(self._version(device_type, number, changes))
            except (ModelDamagedError, ModelFormatError) as error:
                if str(error) not in self._told:
                    _log.error("a model is left out: %s", error)
                self._told.add(str(error))
        return found

    def newest(self, device_type: str) -> ModelVersion | None:
        """The last one that was added, of those that can be read; None: there is none."""
        for number in reversed(self._numbers(device_type)):
            try:
                return self._version(device_type, number, self.changes(device_type))
            except (ModelDamagedError, ModelFormatError):
                continue
        return None

    def get(self, device_type: str, version: int) -> ModelVersion:
        """One version.

        Raises
        ------
        ModelNotFoundError : there is none of this number.
        ModelDamagedError, ModelFormatError : its manifest cannot be read.
        """
        self._check_there(device_type, version)
        return self._version(device_type, version, self.changes(device_type))

    def champion(self, device_type: str) -> ModelVersion | None:
        """The version that is in force; None: none is. Raises what ``get`` does."""
        changes = self.changes(device_type)
        return self.get(device_type, changes[0].version) if changes else None

    def add(self, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> ModelVersion:
        """Keep a model as the next version of its type; it is durable when this returns, and not yet in force.

        Raises
        ------
        ValueError : the manifest holds what is no JSON value, or an array holds objects.
        OSError : it cannot be written; nothing was added.
        """
        if not _TYPE.fullmatch(manifest.device_type):
            raise ValueError(f"no device type can be called {manifest.device_type!r}")
        block = packed(arrays)
        with self._writing():
            folder = self.folder / manifest.device_type
            version = self._next(manifest.device_type)
            sha256, created_us = hashlib.sha256(block).hexdigest(), self._clock.now_us()
            document = {"format": FORMAT, "version": version, "created_us": created_us, "sha256": sha256}
            text = json.dumps({**document, **asdict(manifest)}, indent=1, allow_nan=False)
            folder.mkdir(exist_ok=True)
            sync_folder(self.folder)
            _sweep(folder)
            part, whole = folder / f"{UNFINISHED}{version}", folder / str(version)
            try:
                part.mkdir()
                write(part / MODEL_FILE, sealing.stored(whole / MODEL_FILE, block))
                write(part / MANIFEST_FILE, text.encode())
                sync_folder(part)
                os.rename(part, whole)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            sync_folder(folder)
        return self.get(manifest.device_type, version)

    def load(self, device_type: str, version: int) -> dict[str, NDArray[Any]]:
        """The arrays of a version, checked against its manifest.

        Raises
        ------
        ModelNotFoundError, ModelFormatError : as ``get``.
        ModelDamagedError : they are not what was added, or gone.
        SealingError : they are sealed, and the key is not at hand.
        """
        kept = self.get(device_type, version)
        file = f"{version}/{MODEL_FILE}"
        try:
            block = sealing.read(self.folder / device_type / file)
        except (FileNotFoundError, SealBrokenError) as error:
            raise ModelDamagedError(device_type, file, str(error)) from error
        if hashlib.sha256(block).hexdigest() != kept.sha256:
            raise ModelDamagedError(device_type, file, "its bytes are not those that were added")
        try:
            return unpacked(block)
        except (ValueError, zipfile.BadZipFile) as error:
            raise ModelDamagedError(device_type, file, f"it holds no arrays: {error}") from error

    def promote(self, device_type: str, version: int, by: str, reason: str = "") -> ModelVersion:
        """Put a version in force, an older one too, once it has been read and found whole.

        One that is in force already stays so, and nothing is written down.

        Raises
        ------
        ModelNotFoundError, ModelDamagedError, ModelFormatError, SealingError : it cannot be used; nothing has changed.
        """
        self.load(device_type, version)
        with self._writing():
            changes = self.changes(device_type)
            former = changes[0].version if changes else None
            if former != version:
                self._change(
                    device_type,
                    changes,
                    Change(version, former, "promoted", by, reason, self._clock.now_us()),
                )
        return self.get(device_type, version)

    def rollback(self, device_type: str, by: str, reason: str = "") -> ModelVersion:
        """Put the version in force again that was before the present one; once more goes further back.

        Raises
        ------
        NoFormerModelError : none was.
        ModelNotFoundError, ModelDamagedError, ModelFormatError, SealingError : it cannot be used; nothing has changed.
        """
        with self._writing():
            changes = self.changes(device_type)
            stack = _stack(changes)
            if len(stack) < 2:
                raise NoFormerModelError(device_type)
            former, version = stack[-1], stack[-2]
            self.load(device_type, version)
            self._change(
                device_type, changes, Change(version, former, "rolled_back", by, reason, self._clock.now_us())
            )
        return self.get(device_type, version)

    def changes(self, device_type: str) -> list[Change]:
        """Which versions were put in force, by whom, when and why, the newest first; the last ``KEPT`` of them.

        Raises
        ------
        ModelDamagedError, ModelFormatError : what was written down cannot be read.
        """
        document = self._read(device_type, CHAMPION_FILE) if _TYPE.fullmatch(device_type) else None
        if document is None:
            return []
        try:
            return [Change(**each) for each in document["changes"]]
        except (KeyError, TypeError) as error:
            raise ModelDamagedError(device_type, CHAMPION_FILE, repr(error)) from error

    # -- inside ----------------------------------------------------------------------------------------------------

    def _version(self, device_type: str, version: int, changes: Sequence[Change]) -> ModelVersion:
        file = f"{version}/{MANIFEST_FILE}"
        document = self._read(device_type, file)
        if document is None:
            raise ModelDamagedError(device_type, file, "it is gone")
        try:
            said = {field.name: document[field.name] for field in fields(Manifest)}
            said |= {name: tuple(said[name]) for name in ("features", "failure_modes")}
            created_us, sha256 = document["created_us"], document["sha256"]
        except (KeyError, TypeError) as error:
            raise ModelDamagedError(device_type, file, repr(error)) from error
        return ModelVersion(Manifest(**said), version, created_us, sha256, _role(version, changes))

    def _read(self, device_type: str, file: str) -> dict[str, Any] | None:
        """A document of this format; None: there is no such file."""
        try:
            document = json.loads((self.folder / device_type / file).read_bytes())
            written = int(document["format"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelDamagedError(device_type, file, repr(error)) from error
        if written > FORMAT:
            raise ModelFormatError(device_type, file, written, FORMAT)
        return dict(document)

    def _numbers(self, device_type: str) -> list[int]:
        """The versions that are whole, the oldest first."""
        folder = self.folder / device_type
        if not _TYPE.fullmatch(device_type) or not folder.is_dir():
            return []
        return sorted(int(path.name) for path in folder.iterdir() if _VERSION.fullmatch(path.name))

    def _next(self, device_type: str) -> int:
        """A number that no version has or, should one have been deleted by hand, had in force."""
        used = [*self._numbers(device_type), *(change.version for change in self.changes(device_type))]
        return 1 + max(used, default=0)

    def _check_there(self, device_type: str, version: int) -> None:
        known = self._numbers(device_type)
        if version not in known:
            raise ModelNotFoundError(device_type, version, tuple(known))

    def _change(self, device_type: str, changes: Sequence[Change], change: Change) -> None:
        document = {"format": FORMAT, "changes": [asdict(each) for each in (change, *changes)][:KEPT]}
        path = self.folder / device_type / CHAMPION_FILE
        part = path.with_name(UNFINISHED + CHAMPION_FILE)
        write(part, json.dumps(document, indent=1).encode())
        os.replace(part, path)
        sync_folder(path.parent)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keeps other writers out, of this process and of others."""
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder.parent)
        descriptor = os.open(self.folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def verdict(champion: ModelVersion | None, challenger: ModelVersion) -> Verdict:
    """Whether a challenger should take the champion's place, by what both came to on the same held-out devices.

    Where the challenger was made beside this champion and history was long enough, the moments are later than everything
    that either was trained on, too. It is better if its Brier score is lower, its concordance lower by no more than 0.005,
    and the coverage of its 90 % interval further from 90 % by no more than 0.02. Without a champion it is to beat one
    forecast for all devices.
    """
    champion, challenger, period = _judged_alike(champion, challenger)
    before: Mapping[str, float] = champion.manifest.metrics if champion is not None else {}
    after = challenger.manifest.metrics
    figures = tuple(
        Figure(name, before.get(name), after.get(name))
        for name in _FIGURES
        if name in before or name in after
    )
    obstacle = _obstacle(champion, challenger)
    if obstacle is not None:
        return Verdict(False, False, (obstacle,), figures)
    judged = _against_constant(after) if champion is None else _against_champion(before, after)
    better, reasons = all(holds for holds, _ in judged), tuple(text for _, text in judged)
    if period is not None:
        return Verdict(better, True, reasons, figures, "identity_and_time", "", period)
    return Verdict(better, True, reasons, figures, "identity", _why_not_in_time(champion, challenger))


def _judged_alike(
    champion: ModelVersion | None, challenger: ModelVersion
) -> tuple[ModelVersion | None, ModelVersion, Period | None]:
    """Both with the figures that they came to on the same, where these were taken; and when that was, if it was in time."""
    against = challenger.manifest.against
    if champion is None or against.get("version") != champion.version:
        return champion, challenger, None
    in_time = against.get("in_time")
    holdout = challenger.manifest.parameters.get("holdout")
    if in_time is None:
        return _with(champion, against["metrics"], holdout), challenger, None
    period = Period(in_time["since_us"], in_time["until_us"], in_time["horizon_h"])
    return (
        _with(champion, in_time["champion"], holdout),
        _with(challenger, in_time["challenger"], holdout),
        period,
    )


def _with(version: ModelVersion, metrics: Mapping[str, float], holdout: str | None) -> ModelVersion:
    parameters = {**version.manifest.parameters, "holdout": holdout}
    return replace(version, manifest=replace(version.manifest, metrics=metrics, parameters=parameters))


def _why_not_in_time(champion: ModelVersion | None, challenger: ModelVersion) -> str:
    against = challenger.manifest.against
    if champion is None:
        return "There is no version to be compared with."
    if against.get("version") != champion.version:
        return f"Version {champion.version} was not in force when version {challenger.version} was trained."
    return str(against.get("why") or "It was trained before versions were held out in time, too.")


def _obstacle(champion: ModelVersion | None, challenger: ModelVersion) -> str | None:
    """Why two versions cannot be compared; None: they can."""
    needed = ("brier", "brier_constant") if champion is None else JUDGED
    for each in (champion, challenger):
        if each is not None and (missing := [name for name in needed if name not in each.manifest.metrics]):
            return f"Version {each.version} cannot be judged: {', '.join(missing)} could not be measured."
    if champion is None:
        return None
    held = [each.manifest.parameters.get("holdout") for each in (champion, challenger)]
    if held[0] is None or held[0] != held[1]:
        return (
            f"Versions {champion.version} and {challenger.version} were measured on different held-out devices, "
            "so their figures cannot be compared."
        )
    return None


def _against_constant(after: Mapping[str, float]) -> list[tuple[bool, str]]:
    brier, constant = after["brier"], after["brier_constant"]
    than = f"{'lower' if brier < constant else 'not lower'} than the {constant:.4f} of one forecast for all devices"
    return [(brier < constant, f"Its Brier score is {brier:.4f}, {than}.")]


def _against_champion(before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[bool, str]]:
    brier, concordance, coverage = ((before[name], after[name]) for name in JUDGED)
    lower = brier[1] < brier[0]
    worse = concordance[1] < concordance[0] - _CONCORDANCE_MARGIN
    off = [abs(each - _NOMINAL_COVERAGE) for each in coverage]
    further = off[1] > off[0] + _COVERAGE_MARGIN
    said = f"Its Brier score is {brier[1]:.4f}, {'lower' if lower else 'not lower'} than {brier[0]:.4f}."
    ranks = f"Its concordance is {concordance[1]:.3f} against {concordance[0]:.3f}"
    holds = (
        f"Its 90 % interval holds {coverage[1] * 100:.1f} % of true lives against {coverage[0] * 100:.1f} %"
    )
    return [
        (lower, said),
        (not worse, f"{ranks}: {'lower' if worse else 'not lower'} by more than {_CONCORDANCE_MARGIN:g}."),
        (
            not further,
            f"{holds}: {'further' if further else 'not further'} from 90 % by more than {_COVERAGE_MARGIN * 100:g} points.",
        ),
    ]


def _role(version: int, changes: Sequence[Change]) -> Role:
    champion = changes[0].version if changes else 0
    if version == champion:
        return "champion"
    been = any(version in (change.version, change.former) for change in changes)
    return "challenger" if version > champion and not been else "retired"


def _stack(changes: Sequence[Change]) -> list[int]:
    """The versions that rolling back goes through, the present one last."""
    stack: list[int] = []
    for change in reversed(changes):
        if change.act == "rolled_back" and len(stack) > 1:
            stack.pop()
        elif change.act == "rolled_back":  # what it went back from is no longer remembered
            stack = [change.version]
        else:
            stack.append(change.version)
    return stack


def _sweep(folder: Path) -> None:
    """Take away what killed writers have left."""
    for left in folder.glob(UNFINISHED + "*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
