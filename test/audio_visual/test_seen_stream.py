# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Live streams with eyes: what they do to the voice, and whom they believe."""

from __future__ import annotations

import numpy as np
import pytest
from planted_mouths import banded_voice

from av_perception.audio_visual.features import VisualFeatures, frame_times, nothing_seen
from av_perception.audio_visual.seen_stream import CVAE, MIN_VAE, SWVAE, SeenStream
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.dvae.spectra import PRIOR_TRANSFORM
from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.prior_stream import PriorStream
from av_perception.training.visual_prior import fixed_gaussian

RATE = 16000
CHUNK = 256


@pytest.fixture(scope='module')
def prior():
    return load_prior('vae')


@pytest.fixture(scope='module')
def scene(prior):
    """Clean voice, noisy voice, its latents, and a prior whose features are the latents."""
    clean = banded_voice(3.0, 5)
    noise = np.random.default_rng(1).normal(0, clean.std() * 1.4, len(clean))
    power = np.abs(PRIOR_TRANSFORM.forward(clean)) ** 2
    latents = prior.encode(power.astype(np.float32))[0]
    size = latents.shape[1]
    blind = fixed_gaussian([latents])
    spread = np.full(size, 0.05, np.float32)
    visual = LinearVisualPrior(np.eye(size, dtype=np.float32), np.zeros(size), spread, *blind)
    return clean, clean + noise, latents, visual


def seen_of(latents, reliability=None):
    """Features at the frames of a stream that began with the clip."""

    def seen(times_s):
        rows = np.searchsorted(frame_times(len(latents)), times_s - 1e-6)
        known = rows < len(latents)
        rows = np.minimum(rows, len(latents) - 1)
        believed = np.ones(len(rows)) if reliability is None else reliability[rows]
        return VisualFeatures(latents[rows], known * believed)

    return seen


def run(stream, sound, chunk=CHUNK):
    """Samples that come out, and the belief after each chunk."""
    parts, beliefs = [], []
    for first in range(0, len(sound), chunk):
        parts.append(stream.push(sound[first : first + chunk]))
        beliefs.append(getattr(stream, 'belief', np.nan))
    parts.append(stream.finish())
    return np.concatenate(parts)[: len(sound)], np.array(beliefs)


def si_sdr_db(found, clean):
    scale = found @ clean / (clean @ clean)
    rest = found - scale * clean
    return 10 * np.log10((scale * clean) @ (scale * clean) / (rest @ rest))


@pytest.mark.parametrize('mode', [CVAE, MIN_VAE, SWVAE])
def test_eyes_that_see_help(scene, prior, mode):
    clean, noisy, latents, visual = scene
    plain, _ = run(PriorStream(prior), noisy)
    found, beliefs = run(SeenStream(prior, visual, seen_of(latents), mode), noisy)
    assert si_sdr_db(found, clean) > si_sdr_db(plain, clean) + 0.2
    assert np.nanmean(beliefs[20:]) > 0.5


@pytest.mark.parametrize('mode', [CVAE, MIN_VAE])
def test_without_eyes_the_ears_decide(scene, prior, mode):
    """Nobody is seen: as loud and as good as ears alone, within what another prior changes."""
    clean, noisy, _, visual = scene
    size = visual.num_features
    plain, _ = run(PriorStream(prior), noisy)
    stream = SeenStream(prior, visual, lambda t: nothing_seen(len(t), size), mode)
    found, beliefs = run(stream, noisy)
    if mode == CVAE:
        np.testing.assert_allclose(found, plain, atol=1e-5)
    assert si_sdr_db(found, clean) > si_sdr_db(plain, clean) - 0.5
    assert np.nanmax(beliefs) == 0.0


@pytest.mark.parametrize('is_shown', [False, True])
def test_as_far_as_a_switch_disbelieves_eyes_the_stream_is_that_of_ears_alone(
    scene, prior, is_shown
):
    """Seen nothing, it is the very same; with noise for eyes, nearly."""
    clean, noisy, latents, visual = scene
    plain, _ = run(PriorStream(prior), noisy)
    noise = np.random.default_rng(2).standard_normal(latents.shape)
    seen = seen_of(noise, np.full(len(latents), float(is_shown)))
    found, beliefs = run(SeenStream(prior, visual, seen, SWVAE), noisy)
    if is_shown:
        assert np.nanmean(beliefs[8:]) < 0.15
        assert si_sdr_db(found, clean) > si_sdr_db(plain, clean) - 0.1
    else:
        np.testing.assert_allclose(found, plain, atol=1e-5)


def test_a_switch_believes_eyes_where_they_are_right_and_not_where_they_lie(scene, prior):
    clean, noisy, latents, visual = scene
    half = len(latents) // 2
    lying = latents.copy()
    lying[half:] = latents[half:][::-1] + 1.5
    stream = SeenStream(prior, visual, seen_of(lying), SWVAE)
    _, beliefs = run(stream, noisy)
    middle = len(beliefs) // 2
    known = slice(32, middle - 8)  # half a second after the beginning noise is known
    assert np.nanmean(beliefs[known]) > 0.7
    assert np.nanmean(beliefs[middle + 15 :]) < 0.1
    blind, _ = run(SeenStream(prior, visual, seen_of(lying, np.zeros(len(lying))), SWVAE), noisy)
    lied, _ = run(SeenStream(prior, visual, seen_of(lying), SWVAE), noisy)
    late = slice(len(clean) // 2 + 4000, None)
    assert si_sdr_db(lied[late], clean[late]) > si_sdr_db(blind[late], clean[late]) - 0.2


@pytest.mark.parametrize('mode', [CVAE, SWVAE])
def test_what_comes_out_does_not_depend_on_how_the_sound_is_cut(scene, prior, mode):
    _, noisy, latents, visual = scene
    sound = noisy[:16000]
    whole, _ = run(SeenStream(prior, visual, seen_of(latents), mode), sound, 16000)
    cut, _ = run(SeenStream(prior, visual, seen_of(latents), mode), sound, 123)
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_modes_and_priors_that_do_not_fit_are_refused(scene):
    visual = scene[3]
    with pytest.raises(ValueError, match='cvae, min_vae, swvae'):
        SeenStream(load_prior('vae'), visual, seen_of(scene[2]), 'off')
    with pytest.raises(ValueError, match='on their own'):
        SeenStream(load_prior('rvae'), visual, seen_of(scene[2]), CVAE)
