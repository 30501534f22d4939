# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Headers that claim what no file holds, YAML that grows, names that lead out: all refused.

One line says so, and memory stays where it was.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import yaml
from hostile_files import HEAD, RATE, load_head_of, write_recording, write_sofa
from mutations import is_one_line

from av_perception.array_files import arrays_of
from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.sofa import read_sofa
from av_perception.audio_visual.people_file import load_people
from av_perception.audio_visual.visual_files import load_visual_prior
from av_perception.config import load_yaml, read_yaml
from av_perception.dvae.model_file import CARD, model_of
from av_perception.errors import UserError
from av_perception.files import check_image, is_inside, read_within
from av_perception.motion_forecast.skeletons import load_clips
from av_perception.networks.weights import read_arrays
from av_perception.paths import resolve_resource
from av_perception.recording import Recording
from av_perception.recording.images import read_image
from av_perception.recording.mouth_files import read_mouths
from av_perception.recording.sound_file import open_sound, read_sound
from av_perception.recording.voice_files import voice_peaks
from av_perception.robot_head import load_head

MUCH = 64 << 20  # bytes
ARCHIVES = {
    'weights': read_arrays,
    'map': AcousticMap.load,
    'skeletons': load_clips,
    'mouths': read_mouths,
    'people': load_people,
    'visual prior': load_visual_prior,
}


def refusal(read, *arguments) -> str:
    """One line of UserError, found without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as refused:
            read(*arguments)
        assert tracemalloc.get_traced_memory()[1] < MUCH
    finally:
        tracemalloc.stop()
    assert is_one_line(refused.value)
    return str(refused.value)


def npy(shape: str, kind: str = '<f8', content: bytes = bytes(64)) -> bytes:
    """A .npy file whose header claims a shape."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + content


def archive(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


# ---- arrays


FORGED_ARRAYS = {
    'a billion rows': npy('(1000000000, 3)'),
    'more than memory': npy('(1000000000000000,)'),
    'negative rows': npy('(-1, 8)'),
    'rows of nothing': npy('(1000000000000,)', '<U0', b''),
    'one row too many': npy('(9,)'),
    'objects': npy('(8,)', '|O'),
    'nested header': npy('(' * 60),
    'no header': b'\x93NUMPY',
    'no array': b'What is this?',
}


@pytest.mark.parametrize('reader', ARCHIVES)
@pytest.mark.parametrize('forged', FORGED_ARRAYS)
def test_an_array_that_claims_what_it_does_not_hold_is_refused(forged, reader, tmp_path):
    path = tmp_path / 'a.npz'
    path.write_bytes(archive('stamps_0.npy', FORGED_ARRAYS[forged]))
    assert 'a.npz' in refusal(ARCHIVES[reader], path)


def test_an_archive_that_claims_a_size_is_refused_before_it_is_unpacked():
    content = bytearray(archive('a.npy', npy('(8,)')))
    place = content.index(b'PK\x01\x02') + 24  # the size in the directory of the archive
    content[place : place + 4] = struct.pack('<I', 1 << 29)
    with pytest.raises(ValueError, match='claims more bytes than it can hold'):
        arrays_of(bytes(content))


def test_an_archive_of_zeros_is_refused_by_its_size():
    content = archive('a.npy', npy('(1048577,)', content=bytes(8 * 1048577)))
    assert len(content) < 20_000
    assert arrays_of(content)['a'].shape == (1048577,)
    with pytest.raises(ValueError, match='larger than 8 MiB'):
        arrays_of(content, limit=8 << 20)


def test_damage_in_the_compressed_bytes_is_one_line(tmp_path):
    """zlib.error is no ValueError, and came out as a traceback."""
    content = bytearray(archive('a.npy', npy('(8,)', content=np.arange(8.0).tobytes())))
    start = content.index(b'a.npy') + len(b'a.npy')
    content[start : start + 4] = b'\xff\xff\xff\xff'
    with pytest.raises(zlib.error):
        zipfile.ZipFile(io.BytesIO(bytes(content))).read('a.npy')
    (tmp_path / 'a.npz').write_bytes(content)
    refusal(read_arrays, tmp_path / 'a.npz')


@pytest.mark.parametrize('place, value', [(6, 1), (8, 99)])
def test_encrypted_and_unknown_archives_are_one_line(place, value, tmp_path):
    """RuntimeError and NotImplementedError came out as tracebacks."""
    content = bytearray(archive('a.npy', npy('(8,)')))
    directory = content.index(b'PK\x01\x02')
    for start in (place, directory + place + 2):
        content[start : start + 2] = struct.pack('<H', value)
    (tmp_path / 'a.npz').write_bytes(content)
    refusal(read_arrays, tmp_path / 'a.npz')


def test_an_archive_that_claims_a_second_disk_is_one_line(tmp_path):
    """To ask whether it is an archive raised BadZipFile, a traceback."""
    content = archive('a.npy', npy('(8,)'))
    end = content.rindex(b'PK\x05\x06')
    locator = struct.pack('<4sLQL', b'PK\x06\x07', 0, 0, 2)
    (tmp_path / 'a.npz').write_bytes(content[:end] + locator + content[end:])
    with pytest.raises(zipfile.BadZipFile):
        zipfile.is_zipfile(tmp_path / 'a.npz')
    for read in ARCHIVES.values():
        assert 'a.npz' in refusal(read, tmp_path / 'a.npz')


@pytest.mark.parametrize('order', ['C', 'F'])
def test_whole_archives_come_back(order):
    random = np.random.default_rng(0)
    arrays = {
        'a': np.asarray(random.normal(size=(3, 4)), order=order),
        'number': np.array(3),
        'text': np.array('aé'),
        'no text': np.array(''),
        'none': np.zeros((0, 5), np.float32),
        'x/y': np.array([True, False]),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)
    found = arrays_of(file.getvalue())
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype and found[name].flags.writeable


@pytest.mark.parametrize(
    'text', ['[' * 100_000, '{"config": 3}', '[]', '3', '{"config": {"a": 1}}']
)
def test_a_card_that_is_none_is_one_line(text):
    card = np.frombuffer(text.encode(), np.uint8)
    refusal(model_of, {CARD: card}, 'a.npz')


# ---- sound


def write_flac(path: Path, claimed: int) -> None:
    """A second of sound whose header claims a number of samples."""
    soundfile.write(path, np.zeros((RATE, 2)), RATE)
    content = bytearray(path.read_bytes())
    low = claimed & 0xFFFFFFFF
    content[21] = (content[21] & 0xF0) | (claimed >> 32)
    content[22:26] = struct.pack('>I', low)
    path.write_bytes(content)


@pytest.mark.parametrize('claimed', [10**9, 2**36 - 1])
def test_a_flac_that_claims_hours_is_refused_by_what_it_holds(claimed, tmp_path):
    path = tmp_path / 'person_1.flac'
    write_flac(path, claimed)
    with open_sound(path) as sound:
        assert sound.frames == claimed
    refusal(read_sound, path)
    refusal(voice_peaks, tmp_path)


@pytest.mark.parametrize('rate', [1, 999, 1_999_999_999])
def test_a_sample_rate_that_no_sound_has_is_refused(rate, tmp_path):
    """Resampling from 2 GHz would want a filter of 40 billion taps."""
    path = tmp_path / 'a.wav'
    soundfile.write(path, np.zeros((RATE, 1)), RATE)
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack('<I', rate)
    path.write_bytes(content)
    assert f'{rate} Hz' in refusal(read_sound, path)


def test_voices_of_other_names_are_left_alone(tmp_path):
    for name in ('person_1.flac', 'person_x.flac', 'person_.flac', 'person_².flac'):
        soundfile.write(tmp_path / name, np.zeros((RATE, 1)), RATE)
    assert list(voice_peaks(tmp_path)) == [1]


# ---- images


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_of = struct.pack('>I', zlib.crc32(kind + content))
        return struct.pack('>I', len(content)) + kind + content + sum_of

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(bytes(99)))
    return b'\x89PNG\r\n\x1a\n' + parts + chunk(b'IEND', b'')


def jpeg(width: int, height: int) -> bytes:
    content = bytearray(cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    place = content.index(b'\xff\xc0') + 5
    content[place : place + 4] = struct.pack('>HH', height, width)
    return bytes(content)


@pytest.mark.parametrize('make', [png, jpeg])
def test_an_image_that_claims_a_billion_pixels_is_refused_before_it_is_decoded(make, tmp_path):
    (tmp_path / '000000.png').write_bytes(make(30000, 30000))
    refusal(read_image, tmp_path / '000000.png')
    with pytest.raises(ValueError, match='30000x30000'):
        check_image(make(30000, 30000))
    check_image(make(1920, 1080))


# ---- YAML


BOMBS = {
    'laughs': 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
    + ''.join(f'a{k}: &a{k} [{", ".join([f"*a{k - 1}"] * 10)}]\n' for k in range(1, 9)),
    'mappings': 'a0: &a0 {x: 1}\n'
    + ''.join(
        f'a{k}: &a{k} {{{", ".join(f"k{j}: *a{k - 1}" for j in range(10))}}}\n'
        for k in range(1, 9)
    ),
    'of itself': 'a: &a [*a]\n',
    'key of itself': '&a {b: *a}\n',
}


@pytest.mark.parametrize('bomb', BOMBS)
def test_yaml_that_grows_is_refused(bomb, tmp_path):
    (tmp_path / 'a.yaml').write_text(BOMBS[bomb])
    assert 'aliases' in refusal(read_yaml, tmp_path / 'a.yaml')
    refusal(load_head, str(tmp_path / 'a.yaml'))


def test_some_aliases_are_fine():
    text = 'a: &a {x: 1, y: [2]}\nb: *a\nc: {<<: *a, x: 3}\n'
    assert load_yaml(text)['c'] == {'x': 3, 'y': [2]}


@pytest.mark.parametrize(
    'value',
    ['!!bool 3', '!!int ""', '!!float ""', '!!timestamp x', '!!python/object:os.system {}']
    + [':'.join(['1'] + ['59'] * 400) + '.5', '1' * 5000, '!!set x', '!!omap x', '? [a]\n: b'],
)
def test_tags_that_do_not_fit_are_one_line(value, tmp_path):
    """LookupError, AttributeError and OverflowError came out as tracebacks."""
    (tmp_path / 'a.yaml').write_text(f'a: {value}\n' if '?' not in value else value)
    try:
        read_yaml(tmp_path / 'a.yaml')
    except UserError as error:
        assert is_one_line(error)


def test_a_file_that_never_ends_is_refused(tmp_path):
    (tmp_path / 'a.yaml').symlink_to('/dev/zero')
    assert 'larger than' in refusal(read_yaml, tmp_path / 'a.yaml')
    with pytest.raises(ValueError, match='larger than 1 MiB'):
        read_within('/dev/zero', 1 << 20)


# ---- names


@pytest.mark.parametrize(
    'name, inside',
    [
        ('a.npz', True),
        ('maps/a.npz', True),
        ('maps/../a.npz', True),
        ('..a', True),
        ('../a.npz', False),
        ('maps/../../a.npz', False),
        ('..', False),
        ('/etc/passwd', False),
        ('a\0b', False),
    ],
)
def test_names_that_lead_out_of_a_folder_are_told(name, inside):
    assert is_inside(name) is inside


@pytest.mark.parametrize('head', ['../head.yaml', '../../etc/passwd', 'a/../../head.yaml'])
def test_a_recording_does_not_lead_out_of_its_folder(head, tmp_path):
    write_recording(tmp_path / 'r')
    (tmp_path / 'head.yaml').write_text(yaml.safe_dump(HEAD))
    info = yaml.safe_load((tmp_path / 'r' / 'recording.yaml').read_text())
    (tmp_path / 'r' / 'recording.yaml').write_text(yaml.safe_dump({**info, 'head': head}))
    assert 'leads out of the folder' in refusal(Recording.open, tmp_path / 'r')


@pytest.mark.parametrize('name', ['../../etc/passwd', '../a.yaml'])
def test_a_head_profile_does_not_lead_out_of_its_folder(name, tmp_path):
    microphones = {**HEAD['microphones'], 'acoustic_map': name}
    profiles = (
        {**HEAD, 'microphones': microphones},
        {'name': 'a', 'camera': {'calibration': [name]}},
    )
    for profile in profiles:
        (tmp_path / 'a.yaml').write_text(yaml.safe_dump(profile))
        assert 'leads out of its folder' in refusal(load_head, str(tmp_path / 'a.yaml'))


@pytest.mark.parametrize(
    'name',
    [
        '../scenes/short',
        '../../config/heads/nao',
        'nao/../../scenes/short',
        '/etc/passwd',
        'a' * 5000,
        'a\0b',
        '~nobody99/x',
    ],
)
def test_a_name_is_no_path(name):
    """A long name and a user that there is not came out as tracebacks."""
    assert 'no file' in refusal(resolve_resource, name, 'heads')


def test_a_name_as_long_as_a_file_system_allows_no_more_is_one_line(tmp_path):
    write_recording(tmp_path / 'r')
    info = yaml.safe_load((tmp_path / 'r' / 'recording.yaml').read_text())
    info['head'] = 'a' * 5000
    (tmp_path / 'r' / 'recording.yaml').write_text(yaml.safe_dump(info))
    refusal(Recording.open, tmp_path / 'r')


# ---- SOFA


def forge_sofa(path: Path, how: str) -> None:
    h5py = pytest.importorskip('h5py')
    write_sofa(path)
    with h5py.File(path, 'a') as file:
        if how == 'rate':
            file['Data.SamplingRate'][:] = np.inf
            return
        del file['Data.IR']
        if how == 'billion':
            file.create_dataset('Data.IR', (12, 2, 10**9), 'f4', chunks=(1, 1, 256))
        elif how == 'long':
            file.create_dataset('Data.IR', (12, 2, 10**6), 'f4', chunks=(1, 1, 256))
        elif how == 'link':
            file['Data.IR'] = h5py.ExternalLink(str(path.parent / 'other.sofa'), 'Data.IR')
        elif how == 'file':
            outside = [(str(path.parent / 'secret'), 0, 12 * 2 * 256 * 8)]
            file.create_dataset('Data.IR', (12, 2, 256), float, external=outside)
        else:
            file.create_group('Data.IR')


@pytest.mark.slow
@pytest.mark.parametrize('how', ['rate', 'billion', 'long', 'link', 'file', 'group'])
def test_a_forged_sofa_file_is_refused(how, tmp_path):
    forge_sofa(tmp_path / 'a.sofa', how)
    write_sofa(tmp_path / 'other.sofa')
    (tmp_path / 'secret').write_bytes(np.ones(12 * 2 * 256).tobytes())
    array = load_head_of(tmp_path / 'a.sofa').microphones
    if how == 'long':  # 190 MB of zeros that compress to nothing: bounded, and told
        with pytest.raises(UserError, match='1000000 samples'):
            read_sofa(tmp_path / 'a.sofa', array, np.linspace(0, 8000, 9))
        return
    refusal(read_sofa, tmp_path / 'a.sofa', array, np.linspace(0, 8000, 9))


def test_a_chunk_of_png_that_claims_two_gibibytes_is_refused_before_it_is_decoded(tmp_path):
    """OpenCV allocated what the chunk claims: 2047 MiB for a file of 700 bytes."""
    content = bytearray(cv2.imencode('.png', np.eye(12, 16, dtype=np.uint8))[1].tobytes())
    check_image(bytes(content))
    place = content.index(b'IDAT') - 4
    content[place : place + 4] = struct.pack('>I', 0x80000257)
    with pytest.raises(ValueError, match='claims 2147484247 bytes at once'):
        check_image(bytes(content))
    (tmp_path / 'a.png').write_bytes(content)
    refusal(read_image, tmp_path / 'a.png')


def test_png_in_endless_chunks_is_refused():
    with pytest.raises(ValueError, match='more chunks'):
        check_image(b'\x89PNG\r\n\x1a\n' + bytes(12 << 20))
