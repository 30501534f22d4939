# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Chains over modes, of recordings and of streams, against sums over all paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from av_perception.audio_visual.modes import (
    FilteredChain,
    ModesStep,
    SmoothedChain,
    chain_posterior,
    doubts,
    first_transition,
)
from av_perception.enhancement.alternation import PossibleSpeech

SHOWN = np.ones(6, bool)


def losses_of(modes, frames=6, seed=0):
    return np.random.default_rng(seed).standard_normal((frames, modes))


def weights_of_paths(transition, losses):
    """(frames, modes) sums over all paths of this length, and their total."""
    frames, modes = losses.shape
    found = np.zeros((frames, modes))
    for path in itertools.product(range(modes), repeat=frames):
        log_weight = -np.log(modes) - losses[0, path[0]]
        for t in range(1, frames):
            log_weight += np.log(transition[path[t - 1], path[t]]) - losses[t, path[t]]
        found[np.arange(frames), path] += np.exp(log_weight)
    return found, found[0].sum()


@pytest.mark.parametrize('modes', [2, 3])
def test_the_chain_of_a_recording_is_the_sum_over_all_paths(modes):
    losses = 3 * losses_of(modes)
    transition = first_transition(modes, 0.8)
    found = chain_posterior(transition, losses)
    paths, total = weights_of_paths(transition, losses)
    assert found.log_evidence == pytest.approx(np.log(total))
    np.testing.assert_allclose(found.states, paths / total)


@pytest.mark.parametrize('modes', [2, 3])
def test_the_chain_of_a_stream_is_the_sum_over_the_paths_so_far(modes):
    """Each frame by what came before it."""
    losses = losses_of(modes)
    chain = FilteredChain(modes, stay=0.8, doubt=0.0)
    found = chain.filtered(losses, SHOWN)
    transition = first_transition(modes, 0.8)
    for end in range(1, len(losses) + 1):
        paths, total = weights_of_paths(transition, losses[:end])
        np.testing.assert_allclose(found[end - 1], paths[-1] / total)


def test_a_stream_in_blocks_is_the_stream_at_once():
    losses = losses_of(2)
    whole = FilteredChain(2).filtered(losses, SHOWN)
    chain = FilteredChain(2)
    parts = []
    for first in (0, 2, 4):
        parts.append(chain.filtered(losses[first : first + 2], SHOWN[:2]))
        chain.keep(parts[-1])
    np.testing.assert_allclose(np.concatenate(parts), whole)


def test_a_block_that_is_asked_twice_answers_the_same():
    """Rounds of one block all begin where the block before ended."""
    chain = FilteredChain(2)
    losses = losses_of(2)
    np.testing.assert_array_equal(chain.filtered(losses, SHOWN), chain.filtered(losses, SHOWN))


def test_recordings_and_streams_doubt_the_last_mode_alike():
    """What has to be brought beforehand is the same evidence as a loss that is so much higher."""
    losses = losses_of(2)
    doubted = losses + doubts(2, 0.4)
    smoothed = SmoothedChain(2, 0.97, 400.0, doubt=0.4).shares(losses)
    np.testing.assert_allclose(smoothed, SmoothedChain(2, 0.97, 400.0, doubt=0.0).shares(doubted))
    filtered = FilteredChain(2, doubt=0.4).filtered(losses, SHOWN)
    alike = FilteredChain(2, doubt=0.0).filtered(doubted, SHOWN)
    np.testing.assert_allclose(filtered, alike)


def test_where_modes_are_alike_the_doubt_decides():
    same = np.zeros((200, 2))
    believed = FilteredChain(2, doubt=0.4).filtered(same, np.ones(200, bool))
    assert believed[-1, 1] < 0.1
    single = FilteredChain(1).filtered(same[:, :1], np.ones(200, bool))
    np.testing.assert_array_equal(single, 1.0)


def test_where_nothing_is_shown_a_stream_forgets():
    chain = FilteredChain(2)
    losses = np.tile([5.0, 0.0], (200, 1))
    is_shown = np.arange(200) < 50
    found = chain.filtered(losses, is_shown)[:, 1]
    assert found[49] > 0.9
    assert np.all(np.diff(found[49:]) <= 1e-12) and found[-1] == pytest.approx(0.5, abs=0.01)


def test_one_frame_does_not_decide_and_no_mode_is_lost_for_ever():
    chain = FilteredChain(2, stay=0.97)
    found = chain.filtered(np.array([[0.0, 1e9]]), SHOWN[:1])
    odds = found[0, 0] / found[0, 1]
    assert odds == pytest.approx(np.exp(4.4))  # the most that a frame says, and the doubt
    chain.keep(np.array([[1.0, 0.0]]))
    assert chain.filtered(np.zeros((1, 2)), np.zeros(1, bool))[0, 1] > 0.03


def test_the_step_weighs_modes_by_the_chain():
    class Modes:
        def improve(self, posterior):
            return np.array([[0.0, 2.0]])

        def speech(self, shares):
            return PossibleSpeech(np.ones((2, 1, 3)), shares.T)

    step = ModesStep(Modes(), SmoothedChain(2, 0.97, 400.0, 0.0), np.full((1, 2), 0.5))
    np.testing.assert_array_equal(step.speech.weights, [[0.5], [0.5]])
    found = step(None).weights
    assert found[0, 0] / found[1, 0] == pytest.approx(np.exp(2.0))
    np.testing.assert_array_equal(step.shares, found.T)
