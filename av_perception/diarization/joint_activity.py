# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks, jointly: a hidden Markov model over the subsets of the tracked people.

State e_t: the set of those who speak. Each person starts and stops by a chain of their own; a
block's evidence for the set is that of `subset_evidence`. As sets compete, two who speak at once
explain a block better than each alone, and a silent one who stands beside a talker explains
nothing more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.direction_bins import BinBlock, DirectionLikelihood
from av_perception.diarization.bin_supply import BinSupply
from av_perception.diarization.hysteresis import Decision, TurnEnds
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.diarization.subset_evidence import subset_evidence, subset_table
from av_perception.geometry.time import seconds

NOMINAL_STEP_S = 0.04
_NOTHING = -50.0  # log ratio of a bin that is certainly not somebody's
_START_ANEW_S = 1.0  # a stamp so far back begins another stream


@dataclass(frozen=True)
class Activity:
    """One person: `speaking` with hysteresis, since since_ns; probability in [0, 1]."""

    id: int
    speaking: bool
    probability: float
    since_ns: int


@dataclass(frozen=True)
class _Step:
    """One block of the recursion: people, (2^J,) filtered and predicted, log evidence."""

    stamp_ns: int
    ids: tuple[int, ...]
    filtered: np.ndarray
    log_evidence: np.ndarray
    everybody: tuple[int, ...]


@dataclass
class JointActivity:
    """Recursive; `config` may be replaced at any time."""

    likelihood: DirectionLikelihood
    config: JointActivityConfig = field(default_factory=JointActivityConfig)

    def __post_init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._ids: tuple[int, ...] = ()
        self._joint = np.ones(1)
        self._outside: dict[int, float] = {}  # probability of whom the subsets leave out
        self._decisions: dict[int, Decision] = {}
        self._supply = BinSupply()
        self._turn_ends = TurnEnds()
        self._steps: deque[_Step] = deque()
        self._stamp_ns: int | None = None
        self._voiceless_s: dict[int, float] = {}  # of sound from there since the last voice
        self._of_people = np.zeros(0)  # evidence beside the sound, of the newest step

    def sound_evidence(self) -> dict[int, float]:
        """Log likelihood ratio of speaking to silent in the newest block, by sound alone [nat].

        By id of those whom the subsets are made of; what the others do is summed over.
        """
        if not self._steps:
            return {}
        step = self._steps[-1]
        members = subset_table(len(step.ids))
        of_sound = np.exp(step.log_evidence - members @ self._of_people)
        speaking = of_sound @ members
        silent = of_sound.sum() - speaking
        ratios = np.log(np.maximum(speaking, 1e-300)) - np.log(np.maximum(silent, 1e-300))
        return dict(zip(step.ids, ratios.tolist(), strict=True))

    def update(
        self,
        block: BinBlock,
        directions: Mapping[int, np.ndarray],
        person_evidence: Mapping[int, float] | None = None,
    ) -> list[Activity]:
        """Take a block.

        Parameters
        ----------
        block
            The bins of 40 ms.
        directions
            Unit vector (3,) in the array frame by id, of everybody who is tracked now.
        person_evidence
            What else tells of a person: the log likelihood ratio of speaking to silent in this
            block by id [nat]; 0 for whom it leaves out.

        Returns
        -------
        list of Activity
            Everybody's status, at the block `look_ahead_s` earlier where that is not 0. A block
            whose stamp does not advance changes nothing.
        """
        ids = tuple(directions)
        towards = np.array([directions[i] for i in ids], float).reshape(-1, 3)
        ratios = self.likelihood.heard_by(block.live).ratios_towards(block, towards)
        return self.update_ratios(
            block.stamp_ns, ratios, ids, block.voice_activity, person_evidence, block.is_blank
        )

    def update_ratios(
        self,
        stamp_ns: int,
        ratios: np.ndarray,
        ids: tuple[int, ...],
        voice_activity: float | None,
        person_evidence: Mapping[int, float] | None = None,
        is_blank: bool = False,
    ) -> list[Activity]:
        """Do the same with log ratios (R, J) of everybody already at hand."""
        log_evidence = self._filter(
            stamp_ns, ratios, ids, voice_activity, person_evidence, is_blank
        )
        if log_evidence is None:
            return self._statuses(self._probabilities(ids), ids, stamp_ns, decide=False)
        self._steps.append(_Step(stamp_ns, self._ids, self._joint, log_evidence, ids))
        return self._publish()

    def probabilities(
        self,
        stamp_ns: int,
        ratios: np.ndarray,
        ids: tuple[int, ...],
        voice_activity: float | None,
        person_evidence: Mapping[int, float] | None = None,
    ) -> dict[int, float]:
        """Take log ratios as `update_ratios`, for who needs no decision and no look-ahead.

        Returns
        -------
        dict of int to float
            Probability of speaking, by id.
        """
        self._filter(stamp_ns, ratios, ids, voice_activity, person_evidence)
        return self._probabilities(ids)

    def _filter(
        self,
        stamp_ns: int,
        ratios: np.ndarray,
        ids: tuple[int, ...],
        voice_activity: float | None,
        person_evidence: Mapping[int, float] | None = None,
        is_blank: bool = False,
    ) -> np.ndarray | None:
        """Advance to a block; gives its log evidence, None where its stamp does not advance."""
        if self._elapsed_s(stamp_ns) < -_START_ANEW_S:
            self.reset()
        elapsed_s = self._elapsed_s(stamp_ns)
        if elapsed_s <= 0 and self._stamp_ns is not None:
            return None
        chosen = self._choose(ratios, ids)
        self._follow(tuple(ids[n] for n in chosen), ids, elapsed_s)
        if not is_blank:  # digital zeros tell nothing of what voices leave in the room
            self._supply.note(len(ratios), voice_activity)
        of_people = np.array([(person_evidence or {}).get(i, 0.0) for i in self._ids])
        is_voiceless = self._voiceless(ratios, ids, voice_activity, elapsed_s)
        if is_voiceless.any():  # a machine, a dog, music: nobody says that
            ratios = np.where(is_voiceless, _NOTHING, ratios)
        heard = ratios[:, chosen]
        log_evidence = self._log_evidence(heard, voice_activity, of_people)
        self._of_people = of_people
        joint = self._predicted(self._joint, elapsed_s) * np.exp(log_evidence)
        self._joint = joint / joint.sum()
        self._stamp_ns = stamp_ns
        return log_evidence

    def _voiceless(
        self,
        ratios: np.ndarray,
        ids: tuple[int, ...],
        voice_activity: float | None,
        elapsed_s: float,
    ) -> np.ndarray:
        """(J,) bool: from whose direction there has been sound for long in which nobody speaks."""
        if voice_activity is None or voice_activity >= self.config.least_voice:
            self._voiceless_s = {}
            return np.zeros(len(ids), bool)
        best = ratios.max(axis=1, initial=0.0)
        owned = ((ratios == best[:, None]) & (best[:, None] > 0)).sum(axis=0)
        before = np.array([self._voiceless_s.get(i, 0.0) for i in ids])
        now = before + elapsed_s * (owned >= self.config.quiet_bins)
        self._voiceless_s = dict(zip(ids, now.tolist(), strict=True))
        return now > self.config.voiceless_s

    def _elapsed_s(self, stamp_ns: int) -> float:
        """Time since the last block; 0 for the first [s]."""
        return 0.0 if self._stamp_ns is None else seconds(stamp_ns - self._stamp_ns)

    def _choose(self, ratios: np.ndarray, ids: tuple[int, ...]) -> list[int]:
        """Choose whom the subsets are made of, by index: who spoke, and who explains the block."""
        if len(ids) <= self.config.max_people:
            return list(range(len(ids)))
        _, share = subset_evidence(ratios, np.ones((1, len(ids)), bool))
        before = self._probabilities(ids)
        score = np.array([before[i] for i in ids]) + share[0]
        return sorted(np.argsort(-score, kind='stable')[: self.config.max_people].tolist())

    def _follow(self, ids: tuple[int, ...], everybody: tuple[int, ...], elapsed_s: float) -> None:
        """Bring the joint distribution to other people: sum over who left, add who came."""
        if ids == everybody == self._ids:
            self._outside = {}
            return
        marginal = self._probabilities(everybody)
        staying = [n for n, i in enumerate(self._ids) if i in ids]
        joint = _marginal(self._joint, len(self._ids), staying)
        order = [self._ids[n] for n in staying]
        for newcomer in (i for i in ids if i not in order):
            speaks = marginal[newcomer]
            joint = np.concatenate([joint * (1 - speaks), joint * speaks])
            order.append(newcomer)
        self._ids = tuple(order)
        self._joint = joint
        # Whom the subsets leave out is taken for silent, and forgotten to have spoken.
        keep = (1 - self.config.start - self.config.stop) ** (elapsed_s / NOMINAL_STEP_S)
        self._outside = {
            i: marginal[i] * keep * (1 - self.config.stop) for i in everybody if i not in order
        }
        self._sort(ids)

    def _sort(self, ids: tuple[int, ...]) -> None:
        """Reorder the joint distribution like `ids`."""
        count = len(ids)
        # axis 0 of the tensor is the last person, since bit n of a subset's number is person n
        tensor = self._joint.reshape((2,) * count)
        axes = [count - 1 - self._ids.index(i) for i in ids][::-1]
        self._joint = tensor.transpose(axes).reshape(-1)
        self._ids = ids

    def _log_evidence(
        self, ratios: np.ndarray, voice_activity: float | None, of_people: np.ndarray
    ) -> np.ndarray:
        """(2^J,) of the subsets, at least -evidence_limit below the best; of_people: (J,)."""
        config = self.config
        members = subset_table(ratios.shape[1])
        evidence, share = subset_evidence(ratios, members)
        supply = self._supply.share_of(config.usual_bins)
        owned = share * (len(ratios) / (supply * config.absence_bins))  # (2^J, J), 1: enough bins
        of_others = np.minimum(1.0, owned.sum(axis=1, keepdims=True) - owned)
        absent = of_others * np.maximum(0.0, 1 - owned)
        of_member = config.speaker_cost + config.absence_cost * absent - of_people
        quiet = max(0.0, 1 - len(ratios) / max(supply * config.quiet_bins, 1))
        of_speech = config.quiet_cost * quiet
        if voice_activity is not None:
            odds = np.log(max(voice_activity, 1e-9) / max(1 - voice_activity, 1e-9))
            of_speech -= min(max(odds, -config.silence_limit), config.voice_limit)
        cost = (of_member * members).sum(axis=1) + of_speech * members.any(axis=1)
        total = config.evidence_weight / supply * evidence - cost
        return np.maximum(total - total.max(), -config.evidence_limit)

    def _transition(self, elapsed_s: float) -> np.ndarray:
        """(2, 2) of one person: column the state before, row the state after."""
        rest = self.config.resting
        # A two-state chain forgets geometrically towards its resting probability.
        keep = (1 - self.config.start - self.config.stop) ** (elapsed_s / NOMINAL_STEP_S)
        wake = rest * (1 - keep)
        stay = rest + (1 - rest) * keep
        return np.array([[1 - wake, 1 - stay], [wake, stay]])

    def _predicted(
        self, joint: np.ndarray, elapsed_s: float, backward: bool = False
    ) -> np.ndarray:
        """Advance the joint by a time; backward: the transposed chain, for smoothing."""
        matrix = self._transition(elapsed_s)
        if backward:
            matrix = matrix.T
        stride = 1  # of the next person's bit in the number of a subset
        while stride < len(joint):
            joint = (matrix @ joint.reshape(-1, 2, stride)).reshape(-1)
            stride *= 2
        return joint

    def _probabilities(self, ids: tuple[int, ...]) -> dict[int, float]:
        """P(speaking) now by id."""
        known = dict(zip(self._ids, _speaking(self._joint, len(self._ids)), strict=True))
        known.update(self._outside)
        return {i: float(known.get(i, self.config.resting)) for i in ids}

    def _publish(self) -> list[Activity]:
        """Statuses at the newest step that lies look_ahead_s back; before that, at the oldest."""
        newest = self._steps[-1]
        lag_ns = self.config.look_ahead_s * 1e9 - 1e3
        while len(self._steps) > 1 and newest.stamp_ns - self._steps[1].stamp_ns >= lag_ns:
            self._steps.popleft()
        step = self._steps[0]
        ripe = newest.stamp_ns - step.stamp_ns >= lag_ns
        smoothed = dict(zip(step.ids, self._smoothed(), strict=True))
        probability = {
            i: smoothed.get(i, self._outside.get(i, self.config.resting)) for i in newest.everybody
        }
        return self._statuses(probability, newest.everybody, step.stamp_ns, decide=ripe)

    def _smoothed(self) -> np.ndarray:
        """(J,) P(speaking) at the oldest step given all later ones.

        Backward messages pass on while the people stay the same; who comes or goes ends them.
        """
        steps = list(self._steps)
        message = None
        for before, after in zip(steps[-2::-1], steps[:0:-1], strict=True):
            if before.ids != after.ids:
                message = None
                continue
            later = np.exp(after.log_evidence) * (1.0 if message is None else message)
            elapsed_s = seconds(after.stamp_ns - before.stamp_ns)
            message = self._predicted(later, elapsed_s, backward=True)
            message = message / message.max()
        joint = steps[0].filtered * (1.0 if message is None else message)
        return _speaking(joint / joint.sum(), len(steps[0].ids))

    def _statuses(
        self, probability: Mapping[int, float], ids: tuple[int, ...], stamp_ns: int, decide: bool
    ) -> list[Activity]:
        """Give the statuses, and decide anew where the probabilities are those of a new block."""
        decisions = {i: self._decisions.get(i) or Decision(stamp_ns) for i in ids}
        if decide:
            self._decisions = decisions
            self._decide(probability, stamp_ns)
        result = []
        for i, decision in decisions.items():
            result.append(Activity(i, decision.speaking, float(probability[i]), decision.since_ns))
        return result

    def _decide(self, probability: Mapping[int, float], stamp_ns: int) -> None:
        """Decide anew, and learn from turns that end or go on after all."""
        off = self._turn_ends.lowered(self.config.off)
        for i, decision in self._decisions.items():
            if decision.update(probability[i], stamp_ns, self.config, off):
                self._turn_ends.note(i, decision, self.config)
        self._turn_ends.settle(stamp_ns, self.config)


def _marginal(joint: np.ndarray, count: int, kept: list[int]) -> np.ndarray:
    """Sum the joint distribution of `count` people over all but some, in their order."""
    tensor = joint.reshape((2,) * count)
    gone = tuple(count - 1 - n for n in range(count) if n not in kept)
    return tensor.sum(axis=gone).reshape(-1)


def _speaking(joint: np.ndarray, count: int) -> np.ndarray:
    """(J,) probability that each of the people is in the subset."""
    return joint @ subset_table(count)
