# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, it goes on where it stopped, and it keeps what sounds best."""

from __future__ import annotations

import numpy as np
import pytest
from toy_talkers import voice, write_talkers

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.errors import UserError
from av_perception.training.resynthesis import measure, resynthesize, si_sdr
from av_perception.training.speech_data import gather_frames, read_speech

torch = pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')

SIZES = DvaeConfig(latent_dim=3, hidden_dim=8, memory_dim=6)


def config_of(model: str, **choices):
    from av_perception.training.speech_prior import TrainingConfig

    defaults = {'epochs': 3, 'batch': 8, 'learning_rate': 5e-3}
    return TrainingConfig(model=model, sizes=SIZES, **{**defaults, **choices})


@pytest.fixture(scope='module')
def speech(tmp_path_factory):
    """Frames of three talkers, and the sound of a fourth."""
    folder = write_talkers(tmp_path_factory.mktemp('speech'), 4)
    files = sorted(folder.iterdir())
    return [gather_frames(files[:3]), gather_frames(files[:3], 0.9)], [read_speech(files[3])]


def trained(config, speech, state=None, until: int | None = None):
    from av_perception.training.speech_prior import first_state, train

    class Stop(Exception):
        pass

    def done(now):
        if now.epoch == until:
            raise Stop

    state = state or first_state(config, speech[0][0], None)
    try:
        return train(config, *speech, state, done)
    except Stop:
        return state


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return all((left[name] == right[name]).all() for name in left)


@pytest.mark.slow
@pytest.mark.parametrize('model', ['vae', 'srnn'])
def test_training_learns(speech, model):
    steps = 1 if model == 'vae' else 8
    config = config_of(model, epochs=12, steps=steps, learning_rate=2e-2)
    state = trained(config, speech)
    misfits = [row['misfit'] for row in state.history]
    assert misfits[-1] < 0.8 * misfits[0]
    ratios = [row['si_sdr_db'] for row in state.history]
    assert model != 'vae' or max(ratios) > ratios[0]


@pytest.mark.slow
@pytest.mark.parametrize('model', ['vae', 'rvae', 'srnn'])
def test_training_that_was_stopped_goes_on_bit_for_bit(speech, tmp_path, model):
    from av_perception.training.work_folder import load_state, save_state

    config = config_of(model, steps=1 if model == 'vae' else 8)
    whole = trained(config, speech)
    save_state(tmp_path / 'state.npz', config, trained(config, speech, until=2))
    stopped = load_state(tmp_path / 'state.npz', config)
    assert stopped.epoch == 2
    resumed = trained(config, speech, stopped)
    assert same(whole.parameters, resumed.parameters)
    assert same(whole.best, resumed.best)
    assert [row['misfit'] for row in whole.history] == [r['misfit'] for r in resumed.history]
    assert not same(whole.parameters, trained(config_of(model, seed=2), speech).parameters)


def test_a_state_of_other_choices_is_not_gone_on_with(speech, tmp_path):
    from av_perception.training.work_folder import load_state, save_state

    path = tmp_path / 'state.npz'
    config = config_of('vae', epochs=1)
    save_state(path, config, trained(config, speech))
    with pytest.raises(UserError, match='other choices'):
        load_state(path, config_of('vae', epochs=2))
    path.write_bytes(b'no state')
    with pytest.raises(UserError, match='install them again|no npz'):
        load_state(path, config)


def test_what_is_kept_is_the_epoch_that_resynthesizes_best(speech):
    """Steps so large that training runs away: an early epoch stays, and training ends."""
    config = config_of('vae', epochs=12, learning_rate=3.0, final_rate=1.0, patience=2)
    state = trained(config, speech)
    ratios = [row['si_sdr_db'] for row in state.history]
    assert len(ratios) < 12
    model = model_named('vae')(SIZES, state.best)
    found = measure(model, speech[1], config.floor, with_estoi=False).si_sdr_db.mean()
    assert found == pytest.approx(max(ratios), abs=1e-3)


def test_the_data_statistics_are_not_trained(speech):
    from av_perception.training.speech_prior import first_state

    config = config_of('vae')
    first = first_state(config, speech[0][0], None)
    before = {name: first.parameters[name].copy() for name in ('data.mean', 'data.scale')}
    state = trained(config, speech, first)
    assert same(before, state.parameters)


def test_a_perfect_model_gives_the_sound_back():
    """Resynthesis with variances that are the powers is the recording itself, to the floor."""

    class Perfect:
        is_autoregressive = False

        def encode(self, x):
            self.x = x
            return type('Encoded', (), {'sample': x})

        def decode(self, z, x):
            return z

    sound = voice(140)
    sound = sound / np.abs(sound).max()
    assert si_sdr(resynthesize(Perfect(), sound, 1e-9), sound) > 50
    assert 10 < si_sdr(resynthesize(Perfect(), sound, 1e-2), sound)


def test_choices_that_make_no_sense_are_refused():
    for wrong in ({'epochs': 0}, {'learning_rate': 0.0}, {'beta': -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            config_of('vae', **wrong)
