# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The recording folder: what is written is read back, and every fault is one clear line."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import soundfile
import yaml

from av_perception.errors import UserError
from av_perception.recording import Recording, RecordingInfo, RecordingWriter, TruthTable
from av_perception.recording.images import ImageSequence, ImageWriter

RATE, WIDTH, HEIGHT = 16000, 64, 48
HEAD = {
    'name': 'mine',
    'microphones': {'coordinates': [[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0]], 'sample_rate': RATE},
    'camera': {
        'width': WIDTH,
        'height': HEIGHT,
        'focal': [50.0, 50.0],
        'center': [31.5, 23.5],
        'baseline': 0.1,
    },
}
INFO = {
    'head': 'my_head.yaml',
    'sample_rate': RATE,
    'frame_rate': 10.0,
    'audio_start': 0.25,
    'video_start': 0.5,
}


def image(index):
    """A smooth image that tells its index by its brightness."""
    return np.full((HEIGHT, WIDTH, 3), 20 + 10 * index, np.uint8)


def make_by_hand(folder, info=None, head=None, channels=2, sides=('left', 'right'), count=5):
    """The folder as a stranger would make it, without our writer."""
    folder.mkdir(exist_ok=True)
    (folder / 'recording.yaml').write_text(yaml.safe_dump(INFO if info is None else info))
    (folder / 'my_head.yaml').write_text(yaml.safe_dump(head or HEAD))
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (800, channels))
    soundfile.write(str(folder / 'audio.wav'), samples, RATE, 'FLOAT')
    for side in sides:
        (folder / side).mkdir()
        for index in range(count):
            cv2.imwrite(str(folder / side / f'{index:06d}.png'), image(index))
    return samples


def write_video(path, count, size=(WIDTH, HEIGHT)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, size)
    for index in range(count):
        writer.write(np.full((size[1], size[0], 3), 20 + 10 * index, np.uint8))
    writer.release()


def fault_of(folder):
    """The one line a user reads."""
    with pytest.raises(UserError) as caught:
        for _ in Recording.open(folder).images():
            pass
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_folder_made_by_hand_with_its_own_head_file(tmp_path):
    samples = make_by_hand(tmp_path / 'r')
    recording = Recording.open(tmp_path / 'r')
    assert recording.head.name == 'mine' and recording.has_right and recording.truth is None
    assert (recording.sample_rate, recording.num_channels, recording.num_samples) == (RATE, 2, 800)
    assert (recording.audio_start_s, recording.video_start_s) == (0.25, 0.5)
    assert (recording.frame_rate, recording.num_frames) == (10.0, 5)
    np.testing.assert_allclose(recording.read_audio(100, 50), samples[100:150], atol=1e-7)
    assert recording.read_audio(790, 50).shape == (10, 2)
    assert recording.read_audio(900, 5).shape == (0, 2)
    assert recording.read_audio(0, 10).dtype == np.float32
    seen = list(recording.images())
    assert [s[0] for s in seen] == list(range(5))
    np.testing.assert_allclose([s[1] for s in seen], 0.5 + np.arange(5) / 10.0)
    for index, _, left, right in seen:
        assert np.array_equal(left, image(index)) and np.array_equal(right, image(index))


@pytest.mark.parametrize('image_format', ['mp4', 'png'])
def test_written_recording_reads_back(image_format, tmp_path):
    (tmp_path / 'h.yaml').write_text(yaml.safe_dump(HEAD))
    info = RecordingInfo('head.yaml', RATE, 0.0, 10.0, 0.0, {'scene': 'test', 'seed': 3})
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (1000, 2))
    truth = TruthTable([0.0, 0.1], [1, 1], np.ones((2, 3)), [True, False], [True, True])
    for _ in range(2):  # the second time replaces the first
        with RecordingWriter(tmp_path / 'r', info, tmp_path / 'h.yaml', image_format) as writer:
            writer.write_audio(samples[:300])
            writer.write_audio(samples[300:])
            for index in range(6):
                writer.write_images(image(index), image(index))
            writer.write_truth(truth)
    recording = Recording.open(tmp_path / 'r')
    assert recording.origin == {'scene': 'test', 'seed': 3} and recording.num_frames == 6
    np.testing.assert_allclose(recording.read_audio(0, 1000), samples, atol=1 / 32768)
    for index, _, left, right in recording.images():
        assert abs(float(left.mean()) - image(index).mean()) < 4
        assert abs(float(right.mean()) - image(index).mean()) < 4
    assert recording.truth.speaking.tolist() == [True, False]


def test_one_camera_and_sound_alone(tmp_path):
    make_by_hand(tmp_path / 'one', sides=('left',))
    assert [right for *_, right in Recording.open(tmp_path / 'one').images()] == [None] * 5
    sound = {key: INFO[key] for key in ('head', 'sample_rate', 'audio_start')}
    make_by_hand(tmp_path / 'sound', info=sound, sides=())
    recording = Recording.open(tmp_path / 'sound')
    assert recording.num_frames == 0 and not recording.has_right and list(recording.images()) == []
    assert recording.frame_rate == 25.0 and recording.video_start_s == 0.25


def test_sound_and_images_begin_together_unless_told_otherwise(tmp_path):
    """Regression: a stranger's two lines, head and sample_rate, were refused."""
    for sides, keys in (((), ('head', 'sample_rate')), (('left',), ('frame_rate',))):
        info = {key: INFO[key] for key in ('head', 'sample_rate', *keys)}
        make_by_hand(tmp_path / str(len(sides)), info=info, sides=sides)
        recording = Recording.open(tmp_path / str(len(sides)))
        assert (recording.audio_start_s, recording.video_start_s) == (0.0, 0.0)
        assert not recording.problem


@pytest.mark.parametrize('key', ['head', 'sample_rate', 'frame_rate'])
def test_missing_key_is_named(key, tmp_path):
    make_by_hand(tmp_path / 'r', info={k: v for k, v in INFO.items() if k != key})
    assert repr(key) in fault_of(tmp_path / 'r')


@pytest.mark.parametrize(
    'change, words',
    [
        ({'colour': 'red'}, "'colour'"),
        ({'sample_rate': 44100}, '16000 Hz'),
        ({'sample_rate': 'high'}, 'sample_rate must be int'),
        ({'frame_rate': 0.0}, 'frame_rate'),
        ({'audio_start': float('nan')}, 'audio_start'),
        ({'head': 'nobody'}, 'nobody'),
        ({'head': ''}, 'no file'),
    ],
)
def test_malformed_description_is_named(change, words, tmp_path):
    make_by_hand(tmp_path / 'r', info={**INFO, **change})
    assert words in fault_of(tmp_path / 'r')


def test_files_that_do_not_fit_together(tmp_path):
    make_by_hand(tmp_path / 'channels', channels=3)
    fault = fault_of(tmp_path / 'channels')
    assert '3 channels' in fault and '2 microphones' in fault
    make_by_hand(tmp_path / 'lengths')
    (tmp_path / 'lengths' / 'right' / '000004.png').unlink()
    assert '5 left images but 4 right' in fault_of(tmp_path / 'lengths')
    make_by_hand(tmp_path / 'gap')
    (tmp_path / 'gap' / 'left' / '000002.png').unlink()
    assert 'expected 000002.png' in fault_of(tmp_path / 'gap')
    make_by_hand(tmp_path / 'only_right', sides=('right',))
    assert 'none of the left' in fault_of(tmp_path / 'only_right')
    make_by_hand(tmp_path / 'no_camera', head={k: v for k, v in HEAD.items() if k != 'camera'})
    assert 'no camera' in fault_of(tmp_path / 'no_camera')
    one_camera = {**HEAD, 'camera': {**HEAD['camera'], 'baseline': 0.0}}
    make_by_hand(tmp_path / 'one_camera', head=one_camera)
    assert 'two cameras' in fault_of(tmp_path / 'one_camera')
    make_by_hand(tmp_path / 'size', head={**HEAD, 'camera': {**HEAD['camera'], 'width': 80}})
    assert '64x48' in fault_of(tmp_path / 'size') and '80x48' in fault_of(tmp_path / 'size')
    make_by_hand(tmp_path / 'deaf', head={k: v for k, v in HEAD.items() if k != 'microphones'})
    assert 'no microphones' in fault_of(tmp_path / 'deaf')


def test_unreadable_files_are_named(tmp_path):
    assert 'no recording.yaml' in fault_of(tmp_path)
    make_by_hand(tmp_path / 'silent')
    (tmp_path / 'silent' / 'audio.wav').unlink()
    assert 'neither audio.flac nor audio.wav' in fault_of(tmp_path / 'silent')
    make_by_hand(tmp_path / 'noise')
    (tmp_path / 'noise' / 'audio.wav').write_bytes(b'nonsense')
    assert 'audio.wav is not a readable sound file' in fault_of(tmp_path / 'noise')
    make_by_hand(tmp_path / 'image')
    (tmp_path / 'image' / 'left' / '000003.png').write_bytes(b'nonsense')
    assert '000003.png is not a readable image' in fault_of(tmp_path / 'image')
    make_by_hand(tmp_path / 'twice')
    write_video(tmp_path / 'twice' / 'left.mp4', 5)
    assert 'both left.mp4 and left/' in fault_of(tmp_path / 'twice')


def test_cut_video_is_named(tmp_path):
    make_by_hand(tmp_path / 'r', sides=())
    write_video(tmp_path / 'r' / 'left.mp4', 5)
    assert len(list(Recording.open(tmp_path / 'r').images())) == 5
    content = (tmp_path / 'r' / 'left.mp4').read_bytes()
    (tmp_path / 'r' / 'left.mp4').write_bytes(content[: len(content) // 2])
    assert 'left.mp4 is not a readable video' in fault_of(tmp_path / 'r')


def test_writer_spares_a_folder_that_is_no_recording(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(UserError, match='not a recording'):
        RecordingWriter(tmp_path, RecordingInfo('simulated', RATE, 0.0))
    assert (tmp_path / 'thesis.tex').exists()


def test_sound_without_samples_is_refused(tmp_path):
    """Regression: `track` divided by the duration of an empty file after all its work."""
    (tmp_path / 'recording.yaml').write_text(
        '{head: respeaker, sample_rate: 16000, audio_start: 0.0}'
    )
    soundfile.write(tmp_path / 'audio.wav', np.zeros((0, 4)), 16000)
    with pytest.raises(UserError, match='0 samples'):
        Recording.open(tmp_path)


WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
import numpy as np
from av_perception.errors import UserError
from av_perception.recording.images import ImageWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
writer = ImageWriter(Path(sys.argv[1]), (64, 48), 25.0)
for image in np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8):
    writer.write(image)
try:
    writer.close()
except UserError as error:
    print(error)
writer.close()  # once is enough
"""


def test_a_full_disk_under_a_video_was_not_noticed(tmp_path):
    """OpenCV says nothing of it; what was left could not be read."""
    words = [sys.executable, '-B', '-c', WITHOUT_ROOM, str(tmp_path / 'left.mp4')]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 'left.mp4: is there room on the disk?' in done.stdout


@pytest.mark.parametrize('missing, whole', [(3, True), (40, False)])
def test_a_video_whose_header_counts_too_many_images_ends_early(
    tmp_path, monkeypatch, missing, whole
):
    """Regression: one image fewer than the header says lost all results at the end.

    Foreign encoders write such headers.
    """
    path = tmp_path / 'left.mp4'
    writer = ImageWriter(path, (64, 48), 25.0)
    for k in range(20):
        writer.write(np.full((48, 64, 3), 10 * k, np.uint8))
    writer.close()
    sequence = ImageSequence(path)
    sequence.length += missing
    if whole:
        assert len(list(sequence)) == 20
    else:
        with pytest.raises(UserError, match='cut short'):
            list(sequence)


def stereo_videos(folder, monkeypatch, lengths, claims):
    """A recording of two videos with so many images, whose headers claim other numbers."""
    from av_perception.recording import images

    probe = images._probe_video
    claims = iter(claims)
    for side, length in zip(('left', 'right'), lengths):
        writer = ImageWriter(folder / f'{side}.mp4', (640, 480), 25.0)
        for k in range(length):
            writer.write(np.full((480, 640, 3), 10 * k, np.uint8))
        writer.close()
    (folder / 'recording.yaml').write_text(
        '{head: simulated, sample_rate: 16000, audio_start: 0.0, frame_rate: 25.0, '
        'video_start: 0.0}'
    )
    soundfile.write(folder / 'audio.wav', np.zeros((1600, 4)), 16000)
    monkeypatch.setattr(images, '_probe_video', lambda path: (next(claims), *probe(path)[1:]))


@pytest.mark.parametrize('claims', [(20, 22), (20, 40), (33, 20), (60, 30)])
def test_videos_whose_headers_disagree_are_one_pair(tmp_path, monkeypatch, claims):
    """Regression: estimated counts that differ between left and right refused the recording.

    First by any number, then by more than 5.
    """
    stereo_videos(tmp_path, monkeypatch, (20, 20), claims)
    recording = Recording.open(tmp_path)
    assert recording.num_frames == 20 and len(list(recording.images())) == 20


@pytest.mark.parametrize(
    'lengths, claims, words',
    [
        (
            (20, 8),
            (20, 28),
            '20 left images but 8 right ones; right.mp4 is cut short, its header says 28',
        ),
        ((20, 8), (20, 8), '20 left images but 8 right ones'),
        ((20, 8), (20, 20), 'right.mp4 is cut short: image 8 of 20 cannot be decoded'),
    ],
)
def test_a_side_cut_short_is_named(tmp_path, monkeypatch, lengths, claims, words):
    stereo_videos(tmp_path, monkeypatch, lengths, claims)
    assert fault_of(tmp_path).endswith(words)


@pytest.mark.parametrize(
    'frame_rate, words', [(25.0, ''), (12.5, 'with frame_rate 25'), (50.0, 'itself says 25')]
)
def test_a_wrong_frame_rate_let_images_and_sound_drift_apart_in_silence(
    tmp_path, frame_rate, words
):
    writer = ImageWriter(tmp_path / 'left.mp4', (640, 480), 25.0)
    for k in range(50):
        writer.write(np.full((480, 640, 3), 5 * k, np.uint8))
    writer.close()
    soundfile.write(tmp_path / 'audio.wav', np.zeros((32000, 4)), 16000)
    (tmp_path / 'recording.yaml').write_text(
        f'{{head: simulated, sample_rate: 16000, frame_rate: {frame_rate}}}'
    )
    problem = Recording.open(tmp_path).problem
    assert words in problem and bool(problem) == bool(words)


def test_images_alone_were_no_recording(tmp_path):
    writer = ImageWriter(tmp_path / 'left.mp4', (640, 480), 25.0)
    for k in range(10):
        writer.write(np.full((480, 640, 3), 5 * k, np.uint8))
    writer.close()
    (tmp_path / 'recording.yaml').write_text('{head: simulated, frame_rate: 25.0}')
    recording = Recording.open(tmp_path)
    assert not recording.has_sound and recording.problem == ''
    assert recording.duration_s == 0.4 and len(list(recording.images())) == 10
    assert recording.read_audio(0, 100).shape == (0, 0)
    soundfile.write(tmp_path / 'audio.wav', np.zeros((6400, 4)), 16000)
    assert "'sample_rate' is missing (audio.wav has 16000 Hz)" in fault_of(tmp_path)
    (tmp_path / 'audio.wav').unlink()
    (tmp_path / 'left.mp4').unlink()
    assert 'neither audio.flac nor audio.wav' in fault_of(tmp_path)
