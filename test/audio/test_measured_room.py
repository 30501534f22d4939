# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A dummy head in a measured room: its map, and speech that is found within it."""

import h5py
import numpy as np
import pytest
import soundfile
from measured_sessions import KEMAR, RATE
from scipy.signal import fftconvolve

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig, extract_features
from av_perception.audio.localization import LocalizationConfig, localize
from av_perception.audio.map_learning import learn_map
from av_perception.audio.responses import (
    aligned,
    fit_to_geometry,
)
from av_perception.audio.sofa import read_sofa
from av_perception.audio.training_examples import (
    AcousticMapConfig,
    measured_examples,
)
from av_perception.geometry.rigid_transform import wrap_angle

FRONT_END = AudioFrontEndConfig(voice_activity=False)
FREQUENCIES = FRONT_END.stft.frequencies


@pytest.fixture(scope='module')
def dummy_head_map(data_directory):
    """Learnt from the anechoic responses of the dummy head that also stood in the room."""
    config = AcousticMapConfig()
    measured, mirrored = aligned(
        read_sofa(data_directory / 'hrtf' / 'UniS_Anechoic_BRIR_16k.sofa', KEMAR, FREQUENCIES),
        KEMAR,
        FREQUENCIES,
    )
    assert mirrored
    return learn_map(
        KEMAR,
        *measured_examples(KEMAR, measured, config, FRONT_END),
        config,
        FRONT_END,
        'sofa',
        'UniS_Anechoic_BRIR_16k.sofa',
    )


def test_kemar_follows_sofa(data_directory):
    measured, mirrored = aligned(
        read_sofa(data_directory / 'hrtf' / 'MIT_KEMAR_normal_pinna.sofa', KEMAR, FREQUENCIES),
        KEMAR,
        FREQUENCIES,
    )
    assert (
        not mirrored
        and len(measured.directions) == 710
        and fit_to_geometry(measured, KEMAR, FREQUENCIES) > 0.95
    )


@pytest.mark.slow
@pytest.mark.parametrize('azimuth_deg', range(-60, 61, 20))
def test_speech_in_a_measured_room_is_found_within_5_degrees(
    azimuth_deg, dummy_head_map, data_directory
):
    with h5py.File(data_directory / 'hrtf' / 'UniS_Room_A_BRIR_16k.sofa') as file:
        azimuths = -wrap_angle(
            np.radians(file['SourcePosition'][:, 0])
        )  # the file counts to the right
        response = file['Data.IR'][int(np.argmin(np.abs(azimuths - np.radians(azimuth_deg))))]
    path = sorted((data_directory / 'speech' / 'librispeech_train').glob('*.flac'))[
        (azimuth_deg + 60) // 4
    ]
    speech = soundfile.read(path, start=RATE, stop=4 * RATE)[0]
    sound = fftconvolve(speech[:, None], response.T, axes=0)
    sound = (
        0.3 * sound / np.abs(sound).max()
        + 1e-4 * np.random.default_rng(4).standard_normal(sound.shape)
    ).astype(np.float32)
    features = extract_features(
        AudioFrontEnd(FRONT_END, 2, RATE), lambda s, c: sound[s : s + c], len(sound), RATE
    )
    (source,) = localize(features, dummy_head_map, LocalizationConfig()).sources
    assert abs(np.degrees(wrap_angle(source.azimuth)) - azimuth_deg) < 5
