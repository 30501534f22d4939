# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Forecasts of everybody who is tracked, frame by frame; each person falls back alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import (
    LifeState,
    MotionForecast,
    MotionForecastFrame,
    TrackFrame,
)
from av_perception.motion_forecast.constant_velocity import (
    ConstantVelocityConfig,
    forecast_straight,
)
from av_perception.motion_forecast.history import Histories, TrackMemory
from av_perception.motion_forecast.imm import ImmConfig, ImmForecast
from av_perception.motion_forecast.path_dvae import MIN_SPAN_S, shipped_dvae
from av_perception.motion_forecast.path_gate import gaussian_radii, shipped_gate

CONSTANT_VELOCITY = 'constant_velocity'
IMM = 'imm'
DVAE = 'dvae'
HIT_DVAE = 'hit_dvae'
METHODS = (IMM, CONSTANT_VELOCITY, DVAE, HIT_DVAE)
TOO_SHORT = 'known for too short a time'
NO_SKELETON = 'no skeleton of this person'


@dataclass(frozen=True)
class ForecastConfig:
    """What is forecast, and by what. Raises ValueError."""

    #: How people are forecast; imm knows that they stop and turn, constant_velocity goes straight
    #: on, dvae has learned paths; hit_dvae also forecasts the skeletons on skeletons/person_<id>.
    method: str = IMM
    #: [s] The last moment of a forecast.
    horizon_s: float = 2.0
    #: [s] Between the moments of a forecast.
    step_s: float = 0.2
    #: How many possible walks are drawn for each person.
    samples: int = 16
    #: [s] Past of a track that a forecast is made of.
    window_s: float = 1.6
    #: [s] A track that was away for longer, or of nobody since, begins anew.
    max_gap_s: float = 0.5
    #: [m/s] A track that jumps faster begins anew.
    max_speed: float = 6.0
    #: [s] Shorter tracks are forecast by constant_velocity.
    min_history_s: float = 0.3
    #: straight on
    straight: ConstantVelocityConfig = ConstantVelocityConfig()
    #: stops and turns
    imm: ImmConfig = ImmConfig()

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f'method must be one of {", ".join(METHODS)}, not {self.method!r}')
        if not 0.0 < self.step_s <= self.horizon_s:
            raise ValueError(
                f'step_s must be positive and at most horizon_s {self.horizon_s} s, '
                f'not {self.step_s}'
            )
        if self.samples < 0:
            raise ValueError(f'samples must not be negative: {self.samples}')
        if self.straight.window_s > self.window_s:
            raise ValueError('the window of the line must not be longer than window_s')

    @property
    def horizons_s(self) -> np.ndarray:
        """(H,) [s] moments of a forecast."""
        count = int(self.horizon_s / self.step_s + 1e-6)
        return self.step_s * np.arange(1, count + 1)


@dataclass(frozen=True)
class PeopleForecast:
    """Forecasts of N people."""

    #: (N, H, 3) [m]
    means: np.ndarray
    #: (N, H, 3, 3) [m^2]
    covariances: np.ndarray
    #: (N, S, H, 3) [m]
    samples: np.ndarray
    #: (N, H, 2) standard deviations within which the truth lies in 68 and 95 % of cases
    radii: np.ndarray


class MotionForecaster:
    """Remembers tracks and forecasts them when asked."""

    PERIOD_S = 0.1  # about which remembered places lie apart

    def __init__(self, config: ForecastConfig | None = None):
        """Know nobody."""
        self.config = config or ForecastConfig()
        self._memory = self._new_memory()
        self._awake: list[int] = []

    @property
    def stamp_ns(self) -> int:
        """[ns] of the newest tracks that were taken, 0 before the first."""
        return self._memory.stamp_ns

    @property
    def counters(self) -> Counter[str]:
        """What was left out or begun anew, and why."""
        return self._memory.counters

    def reconfigure(self, config: ForecastConfig) -> None:
        """Take another configuration; a change of what is remembered forgets everybody."""
        old = self.config
        self.config = config
        remembered = ('window_s', 'max_gap_s', 'max_speed')
        if any(getattr(old, name) != getattr(config, name) for name in remembered):
            counters = self._memory.counters
            self._memory = self._new_memory()
            self._memory.counters = counters
            self._awake = []

    def _new_memory(self) -> TrackMemory:
        c = self.config
        return TrackMemory(c.window_s, self.PERIOD_S, c.max_gap_s, c.max_speed)

    def observe(self, frame: TrackFrame) -> None:
        """Take the tracks of one moment; those that are not newer are left out and counted."""
        if self._memory.observe(frame):
            awake = (track for track in frame.tracks if track.state != LifeState.SLEEPING)
            self._awake = [track.id for track in awake]

    def forecast(self, bodies: Collection[int] = ()) -> MotionForecastFrame | None:
        """Forecast everybody who is awake from the newest tracks; None before the first.

        Parameters
        ----------
        bodies
            Ids of those whose skeletons are forecast too: with `hit_dvae` all others fall back.
        """
        if not self._memory.stamp_ns:
            return None
        ids = self._memory.known(self._awake)
        forecasts: dict[int, MotionForecast] = {}
        if ids:
            histories = self._memory.histories(ids)
            spans_s = np.nanmax(histories.ages, 1) - np.nanmin(histories.ages, 1)
            for method, reason, rows in self._shares(spans_s, np.isin(ids, list(bodies))):
                made = forecast_people(histories.rows(rows), self.config, method)
                for k, row in enumerate(rows):
                    forecasts[ids[row]] = MotionForecast(
                        ids[row],
                        method,
                        made.means[k],
                        made.covariances[k],
                        made.samples[k],
                        made.radii[k],
                        reason,
                    )
        ordered = tuple(forecasts[key] for key in ids)
        return MotionForecastFrame(self._memory.stamp_ns, self.config.horizons_s, ordered)

    def _shares(
        self, spans_s: np.ndarray, has_body: np.ndarray
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield method, reason of the fallback and rows of those it forecasts.

        spans_s: (N,) [s] for which people are known; has_body: (N,) whose skeletons are forecast.
        """
        method = self.config.method
        is_short = spans_s < self.config.min_history_s
        shares = []
        if method == CONSTANT_VELOCITY:
            shares = [(method, '', np.ones_like(is_short))]
        elif method == DVAE:
            is_old = spans_s >= max(MIN_SPAN_S, self.config.min_history_s)
            shares = [(DVAE, '', is_old), (IMM, TOO_SHORT, ~is_short & ~is_old)]
        elif method == HIT_DVAE:
            shares = [
                (HIT_DVAE, '', ~is_short & has_body),
                (IMM, NO_SKELETON, ~is_short & ~has_body),
            ]
        else:
            shares = [(IMM, '', ~is_short)]
        if method != CONSTANT_VELOCITY:
            shares.append((CONSTANT_VELOCITY, TOO_SHORT, is_short))
        for name, reason, chosen in shares:
            if chosen.any():
                yield name, reason, np.flatnonzero(chosen)


def forecast_people(histories: Histories, config: ForecastConfig, method: str) -> PeopleForecast:
    """Forecast N people by one method.

    Draws are the same for the same input, so that walks drawn again and again do not flicker.

    Parameters
    ----------
    histories
        Of N people, each with a place at least.
    config
        Horizons, number of draws, and all methods.
    method
        One of METHODS; paths of HIT_DVAE are those of IMM.
    """
    random = np.random.default_rng(0)
    if method in (IMM, HIT_DVAE):
        imm = ImmForecast(histories, config.horizons_s, config.imm, shipped_gate())
        walks = imm.draw(config.samples, random)
        return PeopleForecast(imm.paths.means, imm.paths.covariances, walks, imm.radii)
    if method == DVAE:
        return _dvae_people(histories, config, random)
    paths = forecast_straight(histories, config.horizons_s, config.straight)
    walks = paths.draw(config.samples, random)
    radii = np.broadcast_to(gaussian_radii(), (*paths.means.shape[:2], 2))
    return PeopleForecast(paths.means, paths.covariances, walks, radii)


def _dvae_people(
    histories: Histories, config: ForecastConfig, random: np.random.Generator
) -> PeopleForecast:
    """Moments and radii of all draws of the model, and as many of them as are wanted."""
    made = shipped_dvae().forecast(histories, config.horizons_s, config.samples)
    means = made.paths.means
    walks = np.empty((len(means), config.samples, *means.shape[1:]))
    walks[..., :2] = made.draws[:, : config.samples]
    sigma = np.sqrt(made.paths.covariances[..., 2, 2])[:, None]
    heights = random.standard_normal((len(means), config.samples, 1))
    walks[..., 2] = means[:, None, :, 2] + sigma * heights
    return PeopleForecast(means, made.paths.covariances, walks, made.radii)
