"""A training run, step by step, in a folder of its own: parts of history to landmarks, folds to trees, all to a model.

Each step writes one file, whole or not at all, and is passed over where that is there: whoever dies, the run goes on from
what was done. What a step writes depends on the plan alone, so a run comes to the same bits with however many workers. A
step holds one part of history, or the landmarks, of which the plan bounds the number; never all of history.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from training import anomaly, features, lifecycles
from training.anomaly import HealthyModel
from training.arrays import keep, packed, unpacked
from training.boosting import Boosting, Matrix, Trees, fit
from training.errors import TooFewFailuresError
from training.evaluation import calibration, measured, measured_after
from training.features import Cut, Landmarks, Window
from training.history import History
from training.lifecycles import LifeCycles
from training.recorder import journals_in
from training.registry import JUDGED, Manifest
from training.survival import (
    FOLDS,
    Curves,
    Forecast,
    Likeness,
    Norm,
    SurvivalModel,
    columns_of,
    design,
    fit_causes,
    fold_of,
    keys_of,
    restricted,
    times_for,
    unseen_curves,
)
from training.tables import READINGS, sql_name
from twins import sealing, typefiles
from twins.clock import DAY_US, HOUR_US
from twins.covariates import shape_of, width_of
from twins.devices import DeviceType
from twins.traces import feature_channels

FOLDER: Final = "training"
"""Where a data folder has the runs that are under way."""

FEWEST_FAILURES: Final = 10
"""With fewer failures in history, or failures of hardly more than one device, no model is made."""

FEWEST_COMPARED: Final = 10
"""With fewer failures after everything that two models were trained on, they are held out by their devices alone."""

_PLAN: Final = "plan.json"
_DEVICES: Final = "devices.json"
_MANIFEST: Final = "manifest.json"
_MODEL: Final = "model.npz"
_TRIAL: Final = "trial.npz"
_STOP: Final = "stop"
_CELLS: Final = 60_000_000  # numbers in all landmarks' covariates together
_MOST_LANDMARKS: Final = 400_000
_PART_ROWS: Final = 2_000_000  # readings of history in a part, more or less
_FEWEST_PARTS: Final = 8
_CAUSE_ROUNDS: Final = 80
_SHORTEST_US: Final = 2 * DAY_US  # that is compared over: half of it is how far ahead is judged
_LONGEST_US: Final = 14 * DAY_US
_COMPARED_PART: Final = 5  # one in so many failures is kept for comparing
_LOOK_EVERY_S: Final = 0.2


class TrainingStopped(Exception):  # noqa: N818  (no error: the run was told to end)
    """Raised inside a run that was told to end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do; see ``begin``.

    Attributes
    ----------
    history, hosts : folders of the data that it reads
    device_type : the document of the type in force
    until_us : shard time; nothing that came later is used
    with_age : whether a device's age may tell
    horizon_h : how far ahead the score sees; None: as the lives suggest
    stride, parts : every so manyth reading is a landmark; into how many parts the devices are put
    seed : of the trees
    data : Delta version of each table
    cut_us : shard time; a trial model is made of what was known by then, to be compared on what came later. None: there is
        no such time, and ``uncut`` says why
    """

    history: str
    hosts: str
    device_type: Mapping[str, Any]
    until_us: int
    by: str
    with_age: bool
    horizon_h: float | None
    stride: int
    parts: int
    seed: int
    data: Mapping[str, int]
    cut_us: int | None = None
    uncut: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The plan of a run."""
        return cls(**json.loads(sealing.read(folder / _PLAN)))


def begin(
    folder: Path, data: Path, device_type: DeviceType, until_us: int, *, by: str, with_age: bool = True, seed: int = 0,
    landmarks: int | None = None, rival_us: int | None = None,
) -> Plan:  # fmt: skip
    """Decide what a run does and keep that in ``folder``; where it was decided within the last day, that stands.

    Parameters
    ----------
    data : a data folder
    landmarks : about how many are learned from; None: as many as memory is meant to bear
    rival_us : until when the model in force was trained, shard time; None: none is

    Raises
    ------
    TooFewFailuresError : history tells of too few failures to learn from.
    """
    document = typefiles.to_document(device_type)
    if (folder / _PLAN).exists():
        kept = Plan.read(folder)
        if kept.device_type == document and until_us - kept.until_us < DAY_US:
            return kept
        remove(folder)  # of a type as it was, or of a history that has gone on
    name = device_type.name
    with History(data / "history", journals_in(data / "hosts")) as history:
        ids = features.devices(history, name)
        lives = lifecycles.read(history, name, ids, (), until_us)
        if not _enough(lives):
            raise TooFewFailuresError(name, int(lives.failed.sum()), FEWEST_FAILURES)
        cut_us, uncut = _cut(history, device_type, lives, rival_us, until_us)
        most = landmarks or min(_MOST_LANDMARKS, _CELLS // width_of(device_type))
        rows = history.storage().get(READINGS + sql_name(name), (0, 0, 0))[1]
        plan = Plan(
            history=str(data / "history"),
            hosts=str(data / "hosts"),
            device_type=document,
            until_us=until_us,
            by=by,
            with_age=with_age,
            horizon_h=device_type.horizon_h,
            stride=max(1, -(-rows // most)),
            parts=min(len(ids), max(_FEWEST_PARTS, -(-rows // _PART_ROWS))),
            seed=seed,
            data=history.versions(),
            cut_us=cut_us,
            uncut=uncut,
        )
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder / _DEVICES, json.dumps(ids).encode())
    keep(folder / _PLAN, json.dumps(asdict(plan)).encode())
    return plan


def _enough(lives: LifeCycles) -> bool:
    """Whether a model can be learned from these lives."""
    failed = [lives.ids[device] for device in lives.device[lives.failed].tolist()]
    return len(failed) >= FEWEST_FAILURES and len(np.unique(fold_of(failed))) >= 2


def _cut(
    history: History, device_type: DeviceType, lives: LifeCycles, rival_us: int | None, until_us: int
) -> tuple[int | None, str]:
    """When what is compared begins, shard time; None, and why there is no such time.

    No earlier than half of the time since the model in force was trained: what came in the first half is what the new one
    may be better by. As late as leaves one in five failures, and time enough to see a week ahead.
    """
    if rival_us is None:
        return None, "No version was in force to be compared with."
    middle_us = rival_us + (until_us - rival_us) // 2
    if until_us - middle_us < _SHORTEST_US:
        days = (until_us - rival_us) / DAY_US
        return None, (
            f"The version in force was trained {days:.1f} days before, and it takes {2 * _SHORTEST_US // DAY_US} to compare "
            "on what neither had seen."
        )
    ends = np.sort(lives.end_us[lives.failed])
    kept = max(FEWEST_COMPARED, len(ends) // _COMPARED_PART)
    horizon_us = _LONGEST_US if device_type.horizon_h is None else round(2 * device_type.horizon_h * HOUR_US)
    latest_us = until_us - max(_SHORTEST_US, min(_LONGEST_US, horizon_us))
    cut_us = max(middle_us, min(int(ends[-kept - 1]) if len(ends) > kept else middle_us, latest_us))
    later = int((ends > cut_us).sum())
    if later < FEWEST_COMPARED:
        return None, (
            f"Only {later} failures came after what both could have been trained on, and comparing takes {FEWEST_COMPARED}."
        )
    if not _enough(lifecycles.read(history, device_type.name, lives.ids, (), cut_us)):
        return None, "Too few failures were known before those that versions would be compared on."
    return cut_us, ""


def stop(folder: Path) -> None:
    """Have the run's workers end at their next step; what they did stays."""
    (folder / _STOP).touch()


def go_on(folder: Path) -> None:
    """Let a run that was stopped go on."""
    (folder / _STOP).unlink(missing_ok=True)


def progress(folder: Path) -> tuple[float, str]:
    """How much of a run is done, 0 to 1, and what it is at."""
    plan = Plan.read(folder)
    parts = len(list(folder.glob("part-*.arrow")))
    folds = len(list(folder.glob("fold-*.npz"))) + len(list(folder.glob("trial-*.npz")))
    in_all = FOLDS if plan.cut_us is None else 2 * FOLDS
    if parts < plan.parts:
        return 0.7 * parts / plan.parts, f"history: {parts} of {plan.parts} parts"
    return 0.7 + 0.25 * folds / in_all, f"trees: {folds} of {in_all} folds"


def outcome(folder: Path) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """What a run came to; FileNotFoundError if it has not ended."""
    arrays = unpacked(sealing.read(folder / _MODEL))
    said = json.loads(sealing.read(folder / _MANIFEST))
    return Manifest(
        **{**said, "features": tuple(said["features"]), "failure_modes": tuple(said["failure_modes"])}
    ), arrays


def judged(folder: Path, model: SurvivalModel) -> dict[str, float]:
    """The metrics of another model on the landmarks of a run, taken as the run's own are.

    Each device is judged by the trees of its fold, which have not seen it: folds are of device ids alone, so it is held
    out for both. Curves are learned anew from the scores of other folds, for the one as for the other.

    Raises
    ------
    ValueError : it is of other regimes or channels.
    """
    worker = Worker(folder)
    rows = worker.landmarks()
    if model.norm.mean.shape != rows.covariates.trend.shape[2:]:
        raise ValueError("the model is of other regimes or channels")
    return _known(worker.measured(rows, model.by_folds(rows.covariates, fold_of(rows.device_id))))


def judged_in_time(
    folder: Path, model: SurvivalModel, trained_until_us: int
) -> tuple[dict[str, Any] | None, str]:
    """The figures of another model and of the run's trial on moments after everything that either was trained on.

    The trial is what the run would have come to at the cut: by the same recipe, of what had been heard and told by then.
    Each device is judged by the trees of its fold, of both models, and read off the curves that each really has, which
    know of no outcome after the cut. Judged is no further ahead than half of the time since: within that most outcomes
    are known.

    Gives ``since_us``, ``until_us``, ``horizon_h``, and the metrics of ``champion`` and ``challenger``; or None, and why.
    """
    plan, worker = Plan.read(folder), Worker(folder)
    if plan.cut_us is None:
        return None, plan.uncut
    if trained_until_us > plan.cut_us:
        return None, "Another version came in force while this one was trained."
    trial, rows = worker.trial(), worker.after()
    if trial is None or rows is None or _failures(rows) < FEWEST_COMPARED:
        count = 0 if rows is None else _failures(rows)
        return None, (
            f"Only {count} lives that failed were heard after what both could have been trained on, and comparing takes "
            f"{FEWEST_COMPARED}."
            if trial is not None
            else "Too little had been heard before what versions would be compared on."
        )
    if model.norm.mean.shape != rows.covariates.trend.shape[2:]:
        raise ValueError("the model is of other regimes or channels")
    horizon_h = min(trial.horizon_h, (plan.until_us - plan.cut_us) / HOUR_US / 2.0)
    fold, outcome = fold_of(rows.device_id), (rows.remaining_h, rows.failed, horizon_h)
    counts, times_h = _counts(rows), np.union1d(model.curves.times_h, trial.curves.times_h)
    champion, challenger = (
        _known({**measured_after(each.by_folds(rows.covariates, fold).on(times_h), *outcome), **counts})
        for each in (model, trial)
    )
    if missing := [name for name in JUDGED if name not in champion or name not in challenger]:
        return None, f"On what came after, {', '.join(missing)} could not be measured."
    return {
        "since_us": plan.cut_us, "until_us": plan.until_us, "horizon_h": horizon_h, "champion": champion,
        "challenger": challenger,
    }, ""  # fmt: skip


def remove(folder: Path) -> None:
    """Take away all that is kept of a run."""
    shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """One of those that do a run together; they meet in its folder alone.

    Parameters
    ----------
    folder : of the run, which was begun
    rank, workers : which of how many this is
    """

    def __init__(self, folder: Path, rank: int = 0, workers: int = 1) -> None:
        self._folder = folder
        self._rank = rank
        self._workers = workers
        self._plan = Plan.read(folder)
        self._type = typefiles.from_document(self._plan.device_type)
        self._modes = tuple(mode.name for mode in self._type.failure_modes)
        self._parts = [folder / f"part-{number:04}.arrow" for number in range(self._plan.parts)]
        self._folds = [folder / f"fold-{number:02}.npz" for number in range(FOLDS)]
        self._trials = [folder / f"trial-{number:02}.npz" for number in range(FOLDS)]
        self._pause = threading.Event()

    def work(self) -> None:
        """Do this worker's share of every step, and wait for the others' in between.

        Raises
        ------
        TrainingStopped : the run was told to end.
        MomentNotKeptError, OSError, … : a step cannot be done; what was done before stays.
        """
        with threadpool_limits(1):
            for number in self._mine(self._parts):
                self._part(number)
            self._meet(self._parts)
            if self._plan.cut_us is not None:
                self._try()
            wanted = self._mine(self._folds)
            rows = self.landmarks() if wanted or self._rank == 0 else None
            for number in wanted:
                assert rows is not None
                keep(self._folds[number], packed(self._fold(rows, number)))
            self._meet(self._folds)
            if rows is not None and self._rank == 0 and not (self._folder / _MODEL).exists():
                manifest, arrays = self._whole(rows)
                keep(self._folder / _MANIFEST, json.dumps(asdict(manifest)).encode())
                keep(self._folder / _MODEL, packed(arrays))

    def _try(self) -> None:
        """This worker's share of the trial model, of which nothing is kept in memory."""
        wanted = self._mine(self._trials)
        is_whole = self._rank != 0 or (self._folder / _TRIAL).exists()
        rows = None if is_whole and not wanted else self.before()
        enough = rows is not None and _failures(rows) >= FEWEST_FAILURES
        for number in wanted:
            keep(self._trials[number], packed(self._fold(rows, number, False) if rows and enough else {}))
        self._meet(self._trials)
        if not is_whole:
            made = self._model(rows, self._trials, range(0)).arrays() if rows and enough else {}
            keep(self._folder / _TRIAL, packed(made))

    def check(self) -> None:
        """Raises ``TrainingStopped`` if the run is to end."""
        if (self._folder / _STOP).exists():
            raise TrainingStopped

    def _mine(self, files: Sequence[Path]) -> list[int]:
        """Which of a step's files are this worker's and not there yet."""
        self.check()
        return [
            number for number in range(self._rank, len(files), self._workers) if not files[number].exists()
        ]

    def _meet(self, files: Sequence[Path]) -> None:
        while not all(file.exists() for file in files):
            self.check()
            self._pause.wait(_LOOK_EVERY_S)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _part(self, number: int) -> None:
        """The landmarks of one part of the devices, after those on both sides of the cut."""
        self.check()
        ids: list[str] = json.loads(sealing.read(self._folder / _DEVICES))
        mine = ids[number * len(ids) // self._plan.parts : (number + 1) * len(ids) // self._plan.parts]
        window = Window(self._type.name, self._plan.until_us, self._plan.stride)
        with History(self._plan.history, journals_in(Path(self._plan.hosts))) as history:
            lives = lifecycles.read(history, self._type.name, mine, self._modes, self._plan.until_us)
            if self._plan.cut_us is None:
                found = features.landmarks(history.past(), window, lives, mine, self.check)
            else:
                then = lifecycles.read(history, self._type.name, mine, (), self._plan.cut_us)
                cut = Cut(self._plan.cut_us, then)
                found, sides = features.parted(history.past(), window, cut, lives, mine, self.check)
                for side, rows in sides._asdict().items():
                    keep(self._side(side, number), _as_bytes(rows))
        keep(self._parts[number], _as_bytes(found))

    def _side(self, side: str, number: int) -> Path:
        return self._folder / f"{side}-{number:04}.arrow"

    def landmarks(self) -> Landmarks:
        """All landmarks, in the order of devices and times."""
        found = self._read(self._parts)
        assert found is not None
        return found

    def before(self) -> Landmarks | None:
        """Those that the trial is made of; see ``features.Parted``."""
        return self._read([self._side("before", number) for number in range(self._plan.parts)])

    def after(self) -> Landmarks | None:
        """Those that it is judged by."""
        return self._read([self._side("after", number) for number in range(self._plan.parts)])

    def trial(self) -> SurvivalModel | None:
        """The model that the run would have come to at the cut; None: too little had been heard by then."""
        arrays = unpacked(sealing.read(self._folder / _TRIAL))
        return SurvivalModel.from_arrays(arrays) if arrays else None

    def _read(self, paths: Sequence[Path]) -> Landmarks | None:
        blocks = [block for path in paths if (block := sealing.read(path))]
        if not blocks:
            return None
        table = pa.concat_tables([pa.ipc.open_stream(block).read_all() for block in blocks])
        return features.from_table(table, *shape_of(self._type))

    def _fold(self, rows: Landmarks, number: int, with_causes: bool = True) -> dict[str, NDArray[Any]]:
        """The trees of one fold, from the devices of all others."""
        self.check()
        x, horizon_h = self._design(rows), self.horizon_h(rows)
        others = fold_of(rows.device_id) != number
        target = restricted(rows.remaining_h, rows.failed, horizon_h)
        seed = self._plan.seed + 100 * number
        arrays = fit(x[others], target[others], Boosting(), seed).arrays("score.")
        if with_causes and self._has_causes(rows):
            named = others & rows.failed & (rows.cause >= 0) & (rows.remaining_h <= horizon_h)
            how = Boosting(rounds=_CAUSE_ROUNDS)
            for mode, trees in enumerate(
                fit_causes(x[named], rows.cause[named], len(self._modes), how, seed + 1)
            ):
                arrays |= trees.arrays(f"cause.{mode}.")
        return arrays

    def _whole(self, rows: Landmarks) -> tuple[Manifest, dict[str, NDArray[Any]]]:
        """What is said of the model, and its arrays."""
        modes = range(len(self._modes)) if self._has_causes(rows) else range(0)
        model = self._model(rows, self._folds, modes)
        told = self._unseen(rows, model.by_folds(rows.covariates, fold_of(rows.device_id)))
        well, figures = self._healthy(rows, anomaly.columns(rows.covariates, self._design(rows)))
        return self._manifest(rows, model, told, figures), model.arrays() | well

    def _model(self, rows: Landmarks, folds: Sequence[Path], modes: range) -> SurvivalModel:
        """The model of the trees that each fold came to."""
        kept = [unpacked(sealing.read(path)) for path in folds]
        horizon_h = self.horizon_h(rows)
        times_h = times_for(rows.remaining_h, horizon_h)
        scores = tuple(Trees.from_arrays(arrays, "score.") for arrays in kept)
        causes = tuple(tuple(Trees.from_arrays(arrays, f"cause.{m}.") for m in modes) for arrays in kept)
        fold, x = fold_of(rows.device_id), self._design(rows)
        unseen = np.zeros(len(x))
        for number, trees in enumerate(scores):
            unseen[fold == number] = trees.predict(x[fold == number])
        return SurvivalModel(
            norm=Norm.learned(rows.covariates),
            with_age=self._plan.with_age,
            horizon_h=horizon_h,
            folds=scores,
            causes=causes if modes else (),
            curves=Curves.learned(unseen, rows.remaining_h, rows.failed, times_h),
            likeness=Likeness.learned(x),
            seen=np.unique(keys_of(np.unique(rows.device_id))),
        )

    def _healthy(self, rows: Landmarks, x: Matrix) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """The arrays of what tells devices that are unlike healthy ones, and its figures; nothing with too few of them."""
        horizon_h = self.horizon_h(rows)
        well = anomaly.healthy(rows, horizon_h)
        model = HealthyModel.learned(x[well], rows.device_id[well], rows.at_us[well])
        if model is None:
            return {}, {}
        return model.arrays(), anomaly.measured(model.by_folds(x, fold_of(rows.device_id)), rows, horizon_h)

    def _unseen(self, rows: Landmarks, told: Forecast) -> Forecast:
        """The same forecasts with curves that have not seen the device either."""
        times_h, fold = times_for(rows.remaining_h, self.horizon_h(rows)), fold_of(rows.device_id)
        survival = unseen_curves(told.score_h, rows.remaining_h, rows.failed, fold, times_h)
        return told._replace(times_h=times_h, survival=survival)

    def measured(self, rows: Landmarks, told: Forecast) -> dict[str, float]:
        """The figures of cross-fitted forecasts on the run's landmarks."""
        return measured(self._unseen(rows, told), rows.remaining_h, rows.failed, self.horizon_h(rows))

    def _manifest(
        self, rows: Landmarks, model: SurvivalModel, told: Forecast, figures: Mapping[str, float]
    ) -> Manifest:
        counts = _counts(rows)
        channels = [self._type.channels[c].name for c in feature_channels(self._type)]
        seen = (rows.remaining_h, rows.failed, model.horizon_h)
        return Manifest(
            device_type=self._type.name,
            type_version=self._type.version,
            by=self._plan.by,
            data=self._plan.data,
            trained_until_us=self._plan.until_us,
            features=columns_of(channels, model.with_age),
            failure_modes=self._modes if model.causes else (),
            parameters={
                "with_age": model.with_age, "horizon_h": model.horizon_h, "seed": self._plan.seed,
                "stride": self._plan.stride, "folds": FOLDS, "holdout": digest_of(rows), **asdict(Boosting()), **counts,
            },
            metrics=_known({**measured(told, *seen), **figures, **counts}),
            calibration=calibration(told, *seen),
        )  # fmt: skip

    def _design(self, rows: Landmarks) -> Matrix:
        return design(rows.covariates, Norm.learned(rows.covariates), self._plan.with_age)

    def horizon_h(self, rows: Landmarks) -> float:
        """As the type says; else what half of all landmarks of lives that failed had left."""
        if self._plan.horizon_h is not None:
            return self._plan.horizon_h
        return max(1.0e-3, float(np.median(rows.remaining_h[rows.failed])))

    @staticmethod
    def _has_causes(rows: Landmarks) -> bool:
        return bool((rows.failed & (rows.cause >= 0)).any())


def _counts(rows: Landmarks) -> dict[str, int]:
    """How many moments, of how much."""
    lives = set(zip(rows.device_id.tolist(), rows.life.tolist(), rows.failed.tolist(), strict=True))
    return {
        "rows": len(rows.at_us),
        "devices": len({device for device, _, _ in lives}),
        "life_cycles": len(lives),
        "failures": sum(failed for _, _, failed in lives),
    }


def _failures(rows: Landmarks) -> int:
    return _counts(rows)["failures"]


def digest_of(rows: Landmarks) -> str:
    """What tells whether figures of two models were taken from the same landmarks, none seen by the trees that judged it."""
    seen = hashlib.sha256("\n".join(rows.device_id.tolist()).encode())
    seen.update(rows.at_us.tobytes())
    return seen.hexdigest()[:16]


def _known(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that could be measured: NaN is no JSON."""
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def _as_bytes(rows: Landmarks | None) -> pa.Buffer | bytes:
    """To be kept; of none: nothing."""
    if rows is None:
        return b""
    table = rows.table()
    held = pa.BufferOutputStream()
    with pa.ipc.new_stream(held, table.schema) as writer:
        writer.write_table(table)
    return held.getvalue()
