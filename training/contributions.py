"""What moved a device's forecast, as a person is told it: a few channels, the hours of each, and what was seen of them.

They say what the trees looked at, not what is broken: channels that go together share what they tell, in parts that
may be otherwise in another model.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from training.survival import AGE, Contributions, Ids, SurvivalModel
from twins.covariates import Covariates


class Contribution(TypedDict):
    """Of one channel, or of the age; JSON.

    Attributes
    ----------
    channel : None: it is the age's
    hours : how far it moved the score, h; negative: it shortens
    now_sd, change_sd : where the channel lies, and how far from where it lay of late, in standard deviations of the norm;
        None: it was not heard, or it is the age
    age_h : None: it is a channel's, or the age is not known
    """

    channel: str | None
    hours: float
    now_sd: float | None
    change_sd: float | None
    age_h: float | None


def explained(
    model: SurvivalModel,
    features: Sequence[str],
    known: Covariates,
    ids: Ids,
    most: int = 5,
) -> list[list[Contribution]] | None:
    """Of each device what moved its score, the greatest first; None: the model was kept without what tells that.

    Parameters
    ----------
    features : the model's columns, as its manifest says
    most : so many for each device; what moved nothing is left out
    """
    found = model.contributions(known, ids)
    return None if found is None else largest(found, features, most)


def largest(found: Contributions, features: Sequence[str], most: int = 5) -> list[list[Contribution]]:
    """The same of what is found already."""
    channels, hours = by_channel(found, features)
    order = np.argsort(-np.abs(hours), axis=1, kind="stable")[:, :most]
    lines = zip(order.tolist(), hours.tolist(), found.seen.tolist(), strict=True)
    return [
        [
            _told(channels[k], moved_h[k], dict(zip(features, seen, strict=True)))
            for k in places
            if moved_h[k] != 0.0
        ]
        for places, moved_h, seen in lines
    ]


def by_channel(
    found: Contributions, features: Sequence[str]
) -> tuple[tuple[str | None, ...], NDArray[np.float64]]:
    """The channels, None for the age, and (n, channels) how far each moved the score, h: the sum over its views.

    Raises
    ------
    ValueError : there are not as many columns as ``features``.
    """
    if len(features) != found.hours.shape[1]:
        raise ValueError(f"the model has {found.hours.shape[1]} columns, not {len(features)}")
    owners = [None if name == AGE else name.rpartition(".")[0] for name in features]
    channels = tuple(dict.fromkeys(owners))
    hours = np.zeros((len(found.hours), len(channels)))
    for column, owner in enumerate(owners):
        hours[:, channels.index(owner)] += found.hours[:, column]
    return channels, hours


def _told(channel: str | None, moved_h: float, seen: Mapping[str, float]) -> Contribution:
    age = channel is None
    return {
        "channel": channel,
        "hours": moved_h,
        "now_sd": None if age else _known(seen[f"{channel}.now"]),
        "change_sd": None if age else _known(seen[f"{channel}.change"]),
        "age_h": _known(seen[AGE]) if age else None,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
