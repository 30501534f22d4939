# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of resynthesis, by sounds whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.training.resynthesis import si_sdr


def test_si_sdr_is_the_ratio_of_planted_noise_whatever_the_scale():
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(4000)
    noise = rng.standard_normal(4000)
    noise -= (noise @ sound) / (sound @ sound) * sound
    noise *= np.linalg.norm(sound) / np.linalg.norm(noise) / 10
    assert si_sdr(3 * (sound + noise), sound) == pytest.approx(20)
    assert si_sdr(-0.1 * (sound + noise), 7 * sound) == pytest.approx(20)
    assert np.isfinite(si_sdr(np.zeros(10), np.zeros(10)))
