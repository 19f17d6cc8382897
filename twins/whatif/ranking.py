"""Which of several arms is best, and where more replications help to tell.

Two procedures, as steps that can be resumed: given what was run so far, a step says what to run next, and asked again with
the same values it says the same. **KN** drops arms as soon as they are clearly worse and promises that the best one is
left; it lives on variances of paired differences, so shared luck makes it short. **OCBA** promises nothing and spends a
budget where it helps most.

A metric that can be without a value cannot be ranked: NaN and infinity are refused.

Source: Kim & Nelson (2001), A fully sequential procedure for indifference-zone selection in simulation, ACM TOMACS 11; Chen,
Lin, Yücesan & Chick (2000), Simulation budget allocation for further enhancing the efficiency of ordinal optimization,
Discrete Event Dynamic Systems 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twins.whatif.intervals import paired

Vector = NDArray[np.float64]

_TIED: Final = 1e-6  # apart, of all that varies: so near that OCBA would divide by nothing


@dataclass(frozen=True, slots=True)
class KnRule:
    """What KN is to tell apart.

    Attributes
    ----------
    indifference : difference of expected values that matters, in the metric's unit, above zero; arms nearer to the best than
        this are as good as the best
    lower_is_better : which way is better
    level : probability, at least, that the best arm is selected where it is better than all others by ``indifference``;
        above 0.5
    first_stage : replications of each arm before any is dropped, two or more; the variances come from them alone, so ten at
        least are wise
    batch : replications that each arm left is given at a time; more cost some that were not needed, and change nothing else
    """

    indifference: float
    lower_is_better: bool
    level: float = 0.95
    first_stage: int = 20
    batch: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.indifference < np.inf:
            raise ValueError(f"indifference must be above zero, got {self.indifference}")
        if not 0.5 < self.level < 1:
            raise ValueError(f"level must be between 0.5 and 1, got {self.level}")
        if self.first_stage < 2 or self.batch < 1:
            raise ValueError(
                f"first_stage must be two or more, batch one, got {self.first_stage}, {self.batch}"
            )


@dataclass(frozen=True, slots=True)
class KnStep:
    """Where KN stands.

    Attributes
    ----------
    surviving : arms that may be best, ascending
    more : for each arm how many more replications to run; zeros: it has ended
    best : the arm selected; None while more than one may be
    looked_at : replications of each surviving arm that were judged
    """

    surviving: tuple[int, ...]
    more: tuple[int, ...]
    best: int | None
    looked_at: int


def kn(values: Sequence[ArrayLike], rule: KnRule) -> KnStep:
    """The next step of KN.

    Arms are judged after each replication from ``first_stage`` on, whatever the batches they came in; values of an arm
    beyond the one at which it was dropped are not looked at. Normal values are assumed; luck may be shared or not.

    Parameters
    ----------
    values : for each arm (replications,) in the metric's unit, of any lengths, the same replication at the same place
    rule : what to tell apart

    Raises
    ------
    ValueError : if there is no arm, a shape differs, or a value is NaN or infinite.

    Examples
    --------
    >>> rule = KnRule(indifference=1.0, lower_is_better=True, first_stage=4, batch=5)
    >>> kn([[], []], rule).more
    (4, 4)
    >>> luck = np.array([0.0, 2.0, 1.0, 3.0])
    >>> kn([luck, luck + [2.0, 2.1, 2.1, 2.0], luck + [0.0, 1.5, -1.5, 0.4]], rule)
    KnStep(surviving=(0, 2), more=(5, 0, 5), best=None, looked_at=4)
    """
    arms = [_arm(each) for each in values]
    k, n0 = len(arms), rule.first_stage
    if k == 0:
        raise ValueError("values must be of one arm or more")
    everyone = tuple(range(k))
    if k == 1:
        return KnStep((0,), (0,), 0, 0)
    if any(len(each) < n0 for each in arms):
        more = tuple(max(n0 - len(each), 0) for each in arms)
        return KnStep(everyone, more, None, min(len(each) for each in arms))
    sign = -1.0 if rule.lower_is_better else 1.0
    sums = [np.cumsum(sign * each) for each in arms]
    needed = _needed(np.stack([each[:n0] for each in arms]), rule)
    left, r = np.arange(k), n0
    while True:
        means = np.array([sums[i][r - 1] for i in left]) / r
        short = np.maximum(needed[np.ix_(left, left)] - r, 0.0)
        margin = rule.indifference / (2 * r) * short
        np.fill_diagonal(margin, np.inf)
        survives = (means[:, None] >= means - margin).all(axis=1)
        best = int(left[means.argmax()])
        left = left[survives]
        last = needed[np.ix_(left, left)].max()
        if len(left) == 1 or r > last:
            return KnStep(tuple(left.tolist()), (0,) * k, best, r)
        if r == min(len(arms[i]) for i in left):
            break
        r += 1
    upto = min(r + rule.batch, int(last) + 1)
    more = tuple(max(upto - len(arms[i]), 0) if i in left else 0 for i in everyone)
    return KnStep(tuple(left.tolist()), more, None, r)


def ocba_shares(means: ArrayLike, deviations: ArrayLike, *, lower_is_better: bool) -> Vector:
    """What part of a budget each arm should have had in the end.

    An arm gets the more, the noisier it is and the nearer it is to the best: N_i ∝ (s_i / d_i)², and the best
    N_b = s_b √(Σ N_i² / s_i²). The formulas take arms for independent; with shared luck they are a rule of thumb. Where an
    arm has the mean of the best, the two get nearly all.

    Parameters
    ----------
    means : (arms,) in the metric's unit
    deviations : (arms,) standard deviation of one replication, in the same unit, zero or more
    lower_is_better : which way is better

    Returns
    -------
    (arms,) adding up to one; equal ones where no arm varies.

    Raises
    ------
    ValueError : if the shapes differ, there is one arm, or a figure is NaN or infinite.

    Examples
    --------
    >>> ocba_shares([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], lower_is_better=True).round(3)
    array([0.452, 0.438, 0.11 ])
    """
    m, s = np.asarray(means, np.float64), np.asarray(deviations, np.float64)
    if m.ndim != 1 or m.shape != s.shape or len(m) < 2 or not (np.isfinite(m).all() and np.isfinite(s).all()):
        raise ValueError(
            f"means and deviations must be (arms,) of two or more, finite, got {m.shape}, {s.shape}"
        )
    if not s.any():
        return np.full(len(m), 1 / len(m))
    best = int(m.argmin() if lower_is_better else m.argmax())
    scale = max(float(np.ptp(m)), float(s.max()))
    apart = np.maximum(np.abs(m - m[best]) / scale, _TIED)
    s = s / scale
    weights = (s / apart) ** 2
    weights[best] = 0.0
    weights[best] = s[best] * np.sqrt((s**2 / apart**4)[np.arange(len(m)) != best].sum())
    total = weights.sum()
    return np.full(len(m), 1 / len(m)) if total == 0 else np.asarray(weights / total, np.float64)


def ocba(
    values: Sequence[ArrayLike], budget: int, *, lower_is_better: bool, first_stage: int = 10
) -> tuple[int, ...]:
    """For each arm how many of the next ``budget`` replications to run of it.

    Ask again after each of several small budgets: means and deviations become better.

    Parameters
    ----------
    values : for each arm (replications,) in the metric's unit, of any lengths
    budget : replications to give away, zero or more
    lower_is_better : which way is better
    first_stage : replications that each arm has before others get more, two or more

    Returns
    -------
    Per arm, adding up to ``budget``; while an arm lacks its first stage, what is missing of it, whatever the budget.

    Raises
    ------
    ValueError : if there are less than two arms, ``budget`` or ``first_stage`` is too small, a shape differs, or a value is
        NaN or infinite.

    Examples
    --------
    >>> luck = np.tile([-1.0, 1.0], 5)
    >>> ocba([luck, 0.5 + luck, 9.0 + luck], 20, lower_is_better=True)
    (10, 10, 0)
    """
    arms = [_arm(each) for each in values]
    if len(arms) < 2 or budget < 0 or first_stage < 2:
        raise ValueError(
            f"arms must be two or more, budget zero, first_stage two, got {len(arms)}, {budget}, {first_stage}"
        )
    have = np.array([len(each) for each in arms])
    if (have < first_stage).any():
        return tuple(int(each) for each in np.maximum(first_stage - have, 0))
    shares = ocba_shares(
        [each.mean() for each in arms],
        [each.std(ddof=1) for each in arms],
        lower_is_better=lower_is_better,
    )
    return _spend(shares, have, budget)


def p_selected_is_best(values: ArrayLike, *, lower_is_better: bool) -> float:
    """Probability, at least, that the arm with the best mean has the best expected value, given these replications.

    One less the probabilities that each other arm is the better one (Bonferroni's inequality), from paired differences
    under a flat prior, as in ``intervals.Paired.p_mean_better``. Source: Chen et al. (2000), approximate probability of
    correct selection, here with the variances of pairs.

    Parameters
    ----------
    values : (arms, replications) in the metric's unit; a pair is left out where either side is NaN
    lower_is_better : which way is better

    Returns
    -------
    0 to 1; NaN where an arm has less than two pairs with the selected one. An arm that never differs from the selected one
    is as good, not better.

    Raises
    ------
    ValueError : if there are less than two arms or another shape.

    Examples
    --------
    >>> luck = np.array([0.0, 3.0, 1.0, 2.0])
    >>> round(p_selected_is_best([luck, luck + [0.5, 1.0, 0.0, 0.5]], lower_is_better=True), 3)
    0.954
    """
    arms = np.asarray(values, np.float64)
    if arms.ndim != 2 or len(arms) < 2:
        raise ValueError(f"values must be (arms, replications) of two arms or more, got {arms.shape}")
    known = (~np.isnan(arms)).sum(axis=1)
    if (known == 0).any():
        return float("nan")
    means = np.nansum(arms, axis=1) / known
    best = int(means.argmin() if lower_is_better else means.argmax())
    worse = [
        paired(arms[i], arms[best], lower_is_better=lower_is_better).p_mean_better
        for i in range(len(arms))
        if i != best
    ]
    return float(max(1 - sum(worse), 0.0))


def _arm(values: ArrayLike) -> Vector:
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(f"an arm must be (replications,) of finite values, got {found.shape}")
    return found


def _needed(first: Vector, rule: KnRule) -> Vector:
    """(arms, arms) replications after which KN's margin between two arms is zero, from the (arms, first_stage) values."""
    k, n0 = first.shape
    eta = ((2 * (1 - rule.level) / (k - 1)) ** (-2 / (n0 - 1)) - 1) / 2
    variance = (first[:, None, :] - first[None, :, :]).var(axis=2, ddof=1)
    return np.asarray(2 * eta * (n0 - 1) * variance / rule.indifference**2, np.float64)


def _spend(shares: Vector, have: NDArray[np.int64], budget: int) -> tuple[int, ...]:
    """Whole replications that bring arms nearest to their shares, without taking any away."""
    takes = np.ones(len(shares), bool)
    while True:
        weights = np.where(takes, shares, 0.0)
        if weights.sum() == 0:
            weights = takes.astype(np.float64)
        wanted = weights / weights.sum() * (have[takes].sum() + budget) - have
        over = takes & (wanted < 0)
        if not over.any():
            break
        takes &= ~over
    wanted = np.where(takes, wanted, 0.0)
    more = np.floor(wanted).astype(np.int64)
    rest = budget - int(more.sum())
    more[np.argsort(more - wanted, kind="stable")[:rest]] += 1
    return tuple(more.tolist())
