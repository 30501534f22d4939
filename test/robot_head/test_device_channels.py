# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Of sound with all channels of a device those that the profile names are heard.

In files, recordings and bags as live.
"""

import json

import numpy as np
import pytest
import soundfile
import yaml
from known_sounds import heard
from measured_sessions import KEMAR, session

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.paths import share_directory
from av_perception.recording import Recording
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray

RATE = 16000
AZIMUTH_DEG = 65.0
NAMED = [1, 2, 3, 4]


def profile(name, channels):
    """A shipped profile whose device has more channels than microphones."""
    text = (share_directory() / 'config' / 'heads' / f'{name}.yaml').read_text()
    content = yaml.safe_load(text)
    return {**content, 'microphones': {**content['microphones'], 'device_channels': channels}}


@pytest.fixture()
def head(tmp_path):
    """ReSpeaker with the firmware of six channels: microphones are channels 1 to 4."""
    (tmp_path / 'six.yaml').write_text(yaml.safe_dump(profile('respeaker', NAMED)))
    return str(tmp_path / 'six.yaml')


@pytest.fixture()
def sound():
    """(N, 4) of a source to the left."""
    array = load_head('respeaker').microphones
    return heard(array, AZIMUTH_DEG, np.random.default_rng(3), 2.0).samples


def six(samples):
    """As such a device records it: first a processed channel at full scale, last a silent one."""
    loud = np.clip(20 * samples[:, :1], -1, 1)
    return np.column_stack([loud, samples, np.zeros(len(samples))])


def write(path, samples):
    soundfile.write(path, samples, RATE, subtype='FLOAT')
    return str(path)


def recording(folder, samples, head):
    folder.mkdir()
    write(folder / 'audio.wav', samples)
    info = {'head': head, 'sample_rate': RATE, 'audio_start': 0.0}
    (folder / 'recording.yaml').write_text(yaml.safe_dump(info))
    return folder


def localized(path, tmp_path, *arguments):
    assert main(['localize', str(path), '--json', str(tmp_path / 'out.json'), *arguments]) == 0
    return json.loads((tmp_path / 'out.json').read_text())


@pytest.mark.parametrize('make', [six, np.asarray], ids=['all channels', 'the microphones alone'])
def test_localize_takes_the_channels_that_the_profile_names(make, head, sound, tmp_path):
    result = localized(write(tmp_path / 'a.wav', make(sound)), tmp_path, '--head', head)
    assert abs(result['sources'][0]['azimuth_deg'] - AZIMUTH_DEG) < 5
    assert not result['problems'], 'what clips and what is silent is no microphone'


def test_faults_are_told_of_the_microphones_with_the_name_of_their_channel(head, sound, tmp_path):
    sound[:, 2] = 0
    result = localized(write(tmp_path / 'a.wav', six(sound)), tmp_path, '--head', head)
    dead = [problem for problem in result['problems'] if 'dead' in problem]
    assert dead == ['microphone 2 (channel 3 of the device) is dead: no sound in it']


def test_doctor_listens_to_the_channels_that_the_profile_names(head, sound, tmp_path, capsys):
    arguments = ['doctor', '--head', head, '--azimuth', str(AZIMUTH_DEG)]
    arguments += ['--json', str(tmp_path / 'found.json'), '--sound']
    assert main([*arguments, write(tmp_path / 'a.wav', six(sound))]) == 0
    findings = json.loads((tmp_path / 'found.json').read_text())
    assert [finding['well'] for finding in findings] == [True, True]
    assert 'as in the profile' in findings[1]['text']
    exchanged = sound[:, [1, 0, 2, 3]]
    assert main([*arguments, write(tmp_path / 'b.wav', six(exchanged))]) == 1
    text = json.loads((tmp_path / 'found.json').read_text())[1]['text']
    assert 'channels 1,0,2,3' in text and 'along device_channels [1, 2, 3, 4]' in text


def test_doctor_finds_the_microphones_when_the_profile_does_not_name_them(sound, tmp_path, capsys):
    arguments = ['--head', 'respeaker', '--azimuth', str(AZIMUTH_DEG)]
    arguments += ['--json', str(tmp_path / 'found.json')]
    other = np.column_stack([0.05 * np.random.default_rng(1).standard_normal(len(sound)), sound])
    assert main(['doctor', '--sound', write(tmp_path / 'a.wav', other), *arguments]) == 1
    last = json.loads((tmp_path / 'found.json').read_text())[-1]
    assert 'device_channels: [1, 2, 3, 4]' in last['text']


@pytest.mark.slow
def test_a_recording_takes_the_channels_that_the_profile_names(head, sound, tmp_path, capsys):
    folder = recording(tmp_path / 'rec', six(sound), head)
    opened = Recording.open(folder)
    assert opened.num_channels == 4
    np.testing.assert_allclose(opened.read_audio(100, 50), sound[100:150], atol=1e-6)
    assert opened.read_audio(len(sound), 5).shape == (0, 4)
    assert abs(localized(folder, tmp_path)['sources'][0]['azimuth_deg'] - AZIMUTH_DEG) < 5
    main(['track', str(folder), '--json', str(tmp_path / 'run.json')])
    assert json.loads((tmp_path / 'run.json').read_text())['frames'] > 20


@pytest.mark.slow
def test_calibrate_acoustic_takes_the_channels_that_the_profile_names(tmp_path):
    (tmp_path / 'ears.yaml').write_text(yaml.safe_dump(profile('kemar', [2, 0])))
    directions = [(azimuth, 0.0) for azimuth in range(-90, 91, 15)]
    samples, schedule = session(KEMAR, directions, np.random.default_rng(3), 0.8)
    header = 'start,end,azimuth_deg,elevation_deg'
    np.savetxt(tmp_path / 'places.csv', schedule, delimiter=',', header=header, comments='')
    arguments = ['calibrate', 'acoustic', '--directions', str(tmp_path / 'places.csv')]
    arguments += ['--pieces', '8']
    left, right = samples.T
    sounds = (
        ('two', 'kemar', samples),
        ('three', str(tmp_path / 'ears.yaml'), np.column_stack([right, 0 * left, left])),
    )
    for name, head, channels in sounds:
        path = write(tmp_path / f'{name}.wav', channels)
        paths = ['--recording', path, '-o', str(tmp_path / f'{name}.npz')]
        assert main([*arguments, '--head', head, *paths]) == 0
    two, three = (AcousticMap.load(tmp_path / f'{name}.npz') for name in ('two', 'three'))
    np.testing.assert_array_equal(two.slope, three.slope)


class Listener:
    """A pipeline that keeps the sound it is given."""

    counters: dict = {}
    problems: list = []

    def __init__(self):
        self.samples = []

    def hear(self, chunk):
        self.samples.append(chunk.samples)

    def poll(self, stamp_ns):
        return []

    def flush(self):
        return []


def test_a_bag_takes_the_channels_that_the_profile_names(head, sound, tmp_path):
    pytest.importorskip('rosbags')
    from bag_scenes import ORIGIN_NS, write_bag

    from av_perception.ros.bags.bag_offline import BagRecording, BagRunner
    from av_perception.ros.conversions import audio_chunk_to_msg

    channels = six(sound).astype(np.float32)
    messages = []
    for first in range(0, 2560, 256):
        stamp_ns = ORIGIN_NS + first * 10**9 // RATE
        chunk = AudioChunk(stamp_ns, RATE, first, channels[first : first + 256])
        messages.append((stamp_ns, 'audio', audio_chunk_to_msg(chunk, 'array')))
    bag = write_bag(tmp_path / 'bag', messages)
    listener = Listener()
    BagRunner(BagRecording(bag, head), listener).run()
    np.testing.assert_array_equal(np.concatenate(listener.samples), channels[:2560, NAMED])
    words = 'the bag carries 6 channels, the head profile has 4 microphones: .* device_channels'
    with pytest.raises(UserError, match=words):
        BagRunner(BagRecording(bag, 'respeaker'), Listener()).run()


@pytest.mark.parametrize(
    'named, channels, words',
    [
        ((), 6, '6 channels, the head profile has 4 microphones: .* device_channels'),
        (
            (),
            3,
            '3 channels, the head profile has 4 microphones: choose the right head or device$',
        ),
        ((1, 2, 3, 5), 5, '5 channels, but device_channels of .* go up to 5, counted from 0'),
    ],
)
def test_other_numbers_of_channels_are_refused_in_one_line(named, channels, words):
    array = load_head('respeaker').microphones
    device = MicrophoneArray(array.coordinates, device_channels=named)
    with pytest.raises(UserError, match=f'a.wav has {words}'):
        device.require_recorded(channels, 'a.wav')
