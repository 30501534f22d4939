# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Every reader of files is fed what is no such file: one line says so, never a traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import yaml
from bag_scenes import write_bag

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.capture import AudioFile
from av_perception.audio.channel_check import channel_faults
from av_perception.audio.responses import read_schedule, read_sofa
from av_perception.calibration.calibration_places import read_places
from av_perception.cli.main import main
from av_perception.config import read_yaml
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.paths import share_directory
from av_perception.recording import Recording, TrackTable, TruthTable
from av_perception.recording.images import find_images
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.simulation import load_scene
from av_perception.simulation.clips import read_clip_audio, read_clip_images
from av_perception.vision.capture import VideoFiles

HEAD = {
    'name': 'small',
    'microphones': {'coordinates': [[0, 0.1, 0], [0, -0.1, 0]]},
    'camera': {'width': 64, 'height': 48, 'focal': [60.0, 60.0], 'center': [32.0, 24.0]},
}
RATE = 16000
NUM_IMAGES = 10
RANDOM = np.random.default_rng(7)


# ---- whole files, one of each kind


def write_sound(path: Path) -> None:
    soundfile.write(str(path), 0.3 * RANDOM.standard_normal((RATE // 2, 2)).clip(-1, 1), RATE)


def write_video(path: Path) -> None:
    codec = 'MJPG' if path.suffix in ('.avi', '.mkv') else 'mp4v'
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25.0, (64, 48))
    assert video.isOpened()
    for _ in range(NUM_IMAGES):
        image = cv2.resize(RANDOM.integers(0, 255, (6, 8, 3), dtype=np.uint8), (64, 48))
        video.write(image)
    video.release()


def write_recording(folder: Path) -> None:
    """Two seconds of nothing much, in a folder that is whole."""
    folder.mkdir()
    write_sound(folder / 'audio.flac')
    write_video(folder / 'left.mp4')
    (folder / 'head.yaml').write_text(yaml.safe_dump(HEAD))
    start = {'audio_start': 0.0, 'video_start': 0.0}
    info = {'head': 'head.yaml', 'sample_rate': RATE, 'frame_rate': 25.0, **start}
    (folder / 'recording.yaml').write_text(yaml.safe_dump(info))
    rows = '0.0,1,1.0,0.0,0.0,1,1\n' * 3
    (folder / 'truth.csv').write_text(f'time,id,x,y,z,speaking,visible\n{rows}')


def write_sofa(path: Path) -> None:
    h5py = pytest.importorskip('h5py')
    with h5py.File(path, 'w') as file:
        file['Data.IR'] = 0.1 * RANDOM.standard_normal((12, 2, 256))
        file['Data.SamplingRate'] = np.array([float(RATE)])
        azimuths = np.arange(12) * 30.0
        file['SourcePosition'] = np.column_stack([azimuths, np.zeros(12), np.ones(12)])


def write_bag_file(path: Path) -> None:
    """Half a second of sound as a .mcap or .db3 file without its folder."""
    pytest.importorskip('rosbags')
    from av_perception.ros.conversions import audio_chunk_to_msg

    messages = []
    for number in range(20):
        samples = 0.1 * RANDOM.standard_normal((400, 4)).astype(np.float32)
        chunk = AudioChunk(10**9 + number * 25 * 10**6, RATE, 400 * number, samples)
        messages.append((chunk.stamp_ns, 'audio', audio_chunk_to_msg(chunk, 'array')))
    storage = {'.mcap': 'MCAP', '.db3': 'SQLITE3'}[path.suffix]
    folder = write_bag(path.parent / 'whole_bag', messages, storage=storage)
    next(folder.glob(f'*{path.suffix}')).rename(path)


def write_map(path: Path) -> None:
    from av_perception.audio.localization import ANALYSIS
    from av_perception.audio.map_learning import AcousticMapConfig, learn_geometric_map

    array = load_head('simulated').microphones
    config = AcousticMapConfig(num_pieces=2, num_azimuths=20, num_elevations=2, iterations=1)
    learn_geometric_map(array, config, ANALYSIS).save(path)


def text_writer(text: str):
    return lambda path: path.write_text(text, encoding='utf-8')


# ---- readers, each as far as it is used


def read_sound(path: Path) -> None:
    sound = AudioFile(str(path))
    sound.read_audio(0, sound.num_samples)


def read_video(path: Path) -> None:
    for images in find_images(path.parent, path.stem) or ():
        assert images.shape == (48, 64, 3)


def play_video(path: Path) -> None:
    videos = VideoFiles(str(path), '', load_head_of(path).camera)
    try:
        list(videos.images())
    finally:
        videos.close()


def load_head_of(path: Path):
    head = path.parent / 'a_head.yaml'
    head.write_text(yaml.safe_dump(HEAD))
    return load_head(str(head))


def read_whole_sofa(path: Path) -> None:
    read_sofa(path, load_head_of(path).microphones, np.linspace(0, 8000, 257))


def read_bag(path: Path) -> None:
    from av_perception.pipelines.full import OfflinePipeline
    from av_perception.ros.bags.bag_offline import BagRecording, BagRunner

    recording = BagRecording(path, 'respeaker')
    BagRunner(recording, OfflinePipeline(recording)).run()


def read_clip(path: Path) -> None:
    read_clip_images(path)
    read_clip_audio(path)


def read_mot_sequence(path: Path) -> None:
    SequenceInfo.beside(path.parent / 'det.txt')


CALIBRATION = yaml.safe_dump(
    {
        'image_width': 64,
        'image_height': 48,
        'distortion_model': 'plumb_bob',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': [60.0, 0, 32, 0, 60, 24, 0, 0, 1]},
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0] * 5},
        'rectification_matrix': {'rows': 3, 'cols': 3, 'data': [1.0, 0, 0, 0, 1, 0, 0, 0, 1]},
        'projection_matrix': {
            'rows': 3,
            'cols': 4,
            'data': [60.0, 0, 32, 0, 0, 60, 24, 0, 0, 0, 1, 0],
        },
    }
)
TRACK = '0.04,1,1,0,0,0,0,0,1,0,0,1,0,1,active,1,1,0.5,1\n'
TRACKS = ','.join(TrackTable.header()) + '\n' + TRACK * 2
SCENE = share_directory() / 'config' / 'scenes' / 'short.yaml'

# name of a reader: (the file it reads, how to make a whole one, how to read it)
READERS = {
    'wav': ('a.wav', write_sound, read_sound),
    'flac': ('a.flac', write_sound, read_sound),
    'headerless sound': ('a.raw', lambda path: path.write_bytes(RANDOM.bytes(6400)), read_sound),
    'video': ('left.mp4', write_video, read_video),
    'mkv': ('left.mkv', write_video, read_video),
    'played video': ('left.mp4', write_video, play_video),
    'clip': ('clip.mp4', write_video, read_clip),
    'SOFA': ('a.sofa', write_sofa, read_whole_sofa),
    'mcap': ('a.mcap', write_bag_file, read_bag),
    'db3': ('a.db3', write_bag_file, read_bag),
    'YAML': ('a.yaml', text_writer('a: 1\nb: [1, 2]\n'), read_yaml),
    'head': ('a.yaml', text_writer(yaml.safe_dump(HEAD)), lambda path: load_head(str(path))),
    'scene': (
        'a.yaml',
        lambda path: path.write_bytes(SCENE.read_bytes()),
        lambda path: load_scene(str(path)),
    ),
    'camera_info': ('a.yaml', text_writer(CALIBRATION), CameraCalibration.read),
    'truth': (
        'truth.csv',
        text_writer('time,id,x,y,z,speaking,visible\n0.0,1,1,0,0,1,1\n'),
        TruthTable.read,
    ),
    'tracks': ('tracks.csv', text_writer(TRACKS), TrackTable.read),
    'places': (
        'p.csv',
        text_writer('start,end,x,y,z\n0,1,0.5,0,0.1\n1,2,0.5,0.2,0.1\n'),
        read_places,
    ),
    'schedule': (
        's.csv',
        text_writer('start,end,azimuth_deg,elevation_deg\n0,1,30,0\n1,2,-30,0\n'),
        read_schedule,
    ),
    'MOT': (
        'gt.txt',
        text_writer('1,1,10,10,20,20,1,1,1\n2,1,11,10,20,20,1,1,1\n'),
        MotTable.read,
    ),
    'seqinfo': (
        'seqinfo.ini',
        text_writer('[Sequence]\nframeRate=25\nimWidth=64\nimHeight=48\n'),
        read_mot_sequence,
    ),
    'map': ('map.npz', write_map, AcousticMap.load),
}
# Parts of a recording folder that are spoilt one after the other.
PARTS = ('audio.flac', 'left.mp4', 'head.yaml', 'recording.yaml', 'truth.csv')
# No detections at all, no seqinfo.ini, and a recording without images.
ALLOWED = {
    ('MOT', 'empty'),
    ('seqinfo', 'a folder'),
    ('seqinfo', 'absent'),
    ('video', 'absent'),
    ('mkv', 'absent'),
}


def read_recording(folder: Path) -> None:
    recording = Recording.open(folder)
    recording.read_audio(0, recording.num_samples)
    for _, _, left, _ in recording.images():
        assert left.shape == (48, 64, 3)


# ---- what is done to files


def cut(share: float):
    def spoil(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return spoil


def flip(path: Path) -> None:
    """A few bytes in the middle, as a bad card leaves them."""
    content = bytearray(path.read_bytes())
    for place in np.linspace(len(content) // 4, len(content) - 2, 8).astype(int):
        content[place] ^= 0xA5
    path.write_bytes(bytes(content))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_unreadable(path: Path) -> None:
    """Reading fails though the file is there; permissions would not stop the superuser."""
    path.unlink()
    path.symlink_to('/proc/self/mem')


def forbid(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip('the superuser may read everything')
    path.chmod(0)


DAMAGES = {
    'empty': lambda path: path.write_bytes(b''),
    'one byte': lambda path: path.write_bytes(path.read_bytes()[:1]),
    'cut at the start': cut(0.02),
    'cut early': cut(0.3),
    'cut late': cut(0.8),
    'cut at the end': cut(0.995),
    'flipped': flip,
    'random': lambda path: path.write_bytes(np.random.default_rng(1).bytes(3000)),
    'zeros': lambda path: path.write_bytes(bytes(3000)),
    'text': lambda path: path.write_text('What is this?\nNo such file.\n'),
    'UTF-16': lambda path: path.write_bytes('start,end\n1,2\n'.encode('utf-16')),
    'a picture': lambda path: path.write_bytes(
        cv2.imencode('.png', np.eye(48, 64, dtype=np.uint8))[1].tobytes()
    ),
    'a zip file': lambda path: np.savez(open(path, 'wb'), a=np.arange(9)),
    'nested YAML': lambda path: path.write_text('[' * 5000),
    'odd YAML': lambda path: path.write_text('a: 2024-13-45\n'),
    'a folder': make_folder,
    'unreadable': make_unreadable,
    'forbidden': forbid,
    'absent': lambda path: path.unlink(),
}


def expect_one_line(read, path: Path) -> None:
    """Only UserError may come out, in one line; some damage hurts nobody."""
    try:
        read(path)
    except UserError as error:
        text = str(error)
        assert text.strip() and '\n' not in text and not re.search(r'Traceback|<class', text)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('name', READERS)
def test_a_hostile_file_is_one_line(name, damage, tmp_path):
    file_name, write, read = READERS[name]
    path = tmp_path / file_name
    write(path)
    DAMAGES[damage](path)
    expect_one_line(read, path)


@pytest.mark.parametrize('damage', ['empty', 'random', 'text', 'a folder', 'unreadable', 'absent'])
@pytest.mark.parametrize('name', READERS)
def test_what_is_no_such_file_is_refused(name, damage, tmp_path):
    file_name, write, read = READERS[name]
    path = tmp_path / file_name
    write(path)
    DAMAGES[damage](path)
    if (name, damage) in ALLOWED:
        read(path)
        return
    with pytest.raises(UserError):
        read(path)


@pytest.mark.parametrize(
    'name', [name for name in READERS if name not in ('headerless sound', 'clip')]
)
def test_the_whole_file_is_read(name, tmp_path):
    file_name, write, read = READERS[name]
    write(tmp_path / file_name)
    read(tmp_path / file_name)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('part', PARTS)
def test_a_hostile_part_of_a_recording_is_one_line(part, damage, tmp_path):
    write_recording(tmp_path / 'r')
    DAMAGES[damage](tmp_path / 'r' / part)
    expect_one_line(read_recording, tmp_path / 'r')


# ---- one regression test for each thing that went wrong


@pytest.mark.parametrize(
    'arguments',
    [
        'localize odas.raw --head respeaker',
        'doctor --head respeaker --sound odas.raw --azimuth 0',
        'calibrate acoustic --head respeaker --recording odas.raw --directions s.csv -o m.npz',
    ],
)
def test_headerless_sound_is_told_how_to_become_a_wav(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'odas.raw').write_bytes(RANDOM.bytes(6400))
    (tmp_path / 's.csv').write_text('start,end,azimuth_deg,elevation_deg\n0,1,30,0\n')
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and 'no header' in error and 'sox' in error and 'odas.wav' in error


def test_a_flac_file_that_is_cut_names_the_sample(tmp_path):
    write_sound(tmp_path / 'a.flac')
    cut(0.5)(tmp_path / 'a.flac')
    with pytest.raises(UserError, match='again'):
        read_sound(tmp_path / 'a.flac')


def test_a_key_that_is_twice_in_a_yaml_file_is_named(tmp_path):
    (tmp_path / 'a.yaml').write_text('a: 1\nb: {c: 2, c: 3}\n')
    with pytest.raises(UserError, match="'c' is there twice"):
        read_yaml(tmp_path / 'a.yaml')


SPREADSHEETS = {
    'byte order mark': '\ufeffstart,end,x,y,z\n0,1.5,0.5,0,0.1\n',
    'blanks': ' start , end, x ,y,z \n 0 , 1.5,0.5, 0,0.1 \n',
    'carriage returns': 'start,end,x,y,z\r\n0,1.5,0.5,0,0.1\r\n\r\n',
    'old line ends': 'start,end,x,y,z\r0,1.5,0.5,0,0.1\r',
    'empty rows': '\nstart,end,x,y,z\n\n0,1.5,0.5,0,0.1\n,,,,\n',
    'semicolons': 'start;end;x;y;z\n0;1.5;0.5;0;0.1\n',
    'decimal commas': '\ufeffstart;end;x;y;z\r\n0;1,5;0,5;0;0,1\r\n',
    'tabs': 'start\tend\tx\ty\tz\n0\t1.5\t0.5\t0\t0.1\n',
    'quotes': '"start","end","x","y","z"\n"0","1.5","0.5","0","0.1"\n',
}


@pytest.mark.parametrize('style', SPREADSHEETS)
def test_every_table_is_read_as_a_spreadsheet_saves_it(style, tmp_path):
    path = tmp_path / 'a.csv'
    text = SPREADSHEETS[style]
    path.write_bytes(text.encode())
    (place,) = read_places(path)
    assert (place.start_s, place.end_s, *place.position) == (0, 1.5, 0.5, 0, 0.1)
    path.write_bytes(re.sub('x(.+?)y(.+?)z', r'azimuth_deg\1elevation_deg\2room', text).encode())
    np.testing.assert_array_equal(read_schedule(path), [[0, 1.5, 0.5, 0]])
    path.write_bytes(
        re.sub('start(.+?)end', r'time\1id', text).replace('1.5', '3').replace('1,5', '3').encode()
    )
    with pytest.raises(UserError, match="'speaking' is missing"):
        TruthTable.read(path)


@pytest.mark.parametrize('header', ['start,end,x,y,z,x', 'start;end,x;y;z', 'start end x y z'])
def test_headers_that_could_mean_two_things_are_refused(header, tmp_path):
    (tmp_path / 'a.csv').write_text(f'{header}\n0,1,0.5,0,0.1,3\n')
    with pytest.raises(UserError):
        read_places(tmp_path / 'a.csv')


def test_a_video_of_another_container_is_read_and_what_is_not_read_is_named(tmp_path):
    write_recording(tmp_path / 'r')
    (tmp_path / 'r' / 'left.mp4').unlink()
    with pytest.raises(UserError, match='speaks of them .frame_rate, video_start.'):
        Recording.open(tmp_path / 'r')
    write_video(tmp_path / 'r' / 'left.mkv')
    assert Recording.open(tmp_path / 'r').num_frames == NUM_IMAGES
    (tmp_path / 'r' / 'right.h264').write_bytes(b'x')
    with pytest.raises(UserError, match='right.h264 is not used'):
        Recording.open(tmp_path / 'r')
    (tmp_path / 'r' / 'right.h264').unlink()
    write_video(tmp_path / 'r' / 'left.avi')
    with pytest.raises(UserError, match='both left.avi and left.mkv'):
        Recording.open(tmp_path / 'r')


def test_integers_stored_as_floats_are_no_gain_to_be_turned_down():
    integers = np.round(8000 * RANDOM.standard_normal((RATE, 2)))
    for fault in channel_faults(integers).values():
        assert 'integers stored as floats' in fault.text and fault.usable
    assert not channel_faults(integers / 32768)
    overdriven = np.clip(RANDOM.standard_normal((RATE, 2)), -1, 1)
    assert all('turn its gain down' in fault.text for fault in channel_faults(overdriven).values())
