"""Head profiles: numbers that no head can have are one clear line."""

import pytest
import yaml

from av_perception.errors import UserError
from av_perception.heads import load_head
from av_perception.heads.profile import CameraGeometry, MicrophoneArray

CORNERS = ((0.1, 0.1, 0.0), (-0.1, 0.1, 0.0), (-0.1, -0.1, 0.0))
CAMERA = {'width': 64, 'height': 48, 'focal': (50.0, 50.0), 'center': (31.5, 23.5)}
BAD = (float('nan'), float('inf'), -float('inf'))


@pytest.mark.parametrize('name', ['simulated', 'respeaker_usb4'])
def test_shipped_heads_load(name):
    assert load_head(name).name == name


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('name', ['coordinates', 'position', 'orientation_rpy_deg'])
def test_microphones_with_numbers_that_are_not_finite_are_refused(name, bad):
    place = (0.0, bad, 0.0)
    with pytest.raises(ValueError, match=f'{name} must be finite'):
        MicrophoneArray(**{'coordinates': CORNERS, name: (*CORNERS, place) if name == 'coordinates' else place})


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('name', ['focal', 'center', 'baseline', 'position', 'orientation_rpy_deg', 'frame_rate'])
def test_camera_with_numbers_that_are_not_finite_is_refused(name, bad):
    value = {'focal': (50.0, bad), 'center': (bad, 3.0), 'position': (0.0, 0.0, bad), 'orientation_rpy_deg': (bad, 0.0, 0.0)}.get(name, bad)
    with pytest.raises(ValueError, match=f'{name} must be finite'):
        CameraGeometry(**{**CAMERA, name: value})


def test_coinciding_microphones_are_refused_and_named():
    with pytest.raises(ValueError, match='channels 1 and 3'):
        MicrophoneArray((*CORNERS, (-0.1, 0.1, 0.00005)))
    assert len(MicrophoneArray((*CORNERS, (-0.1, 0.1, 0.001))).positions) == 4
    assert len(MicrophoneArray(CORNERS[:1]).positions) == 1


@pytest.mark.parametrize('part, words', [
    ({'microphones': {'coordinates': [[0.1, float('nan'), 0.0], [0.0, 0.0, 0.0]]}}, 'coordinates must be finite'),
    ({'microphones': {'coordinates': [[0.1, 0.0, 0.0], [0.1, 0.0, 0.0]]}}, 'channels 0 and 1'),
    ({'camera': {**{key: list(v) if isinstance(v, tuple) else v for key, v in CAMERA.items()}, 'baseline': float('inf')}}, 'baseline'),
])
def test_head_file_with_impossible_geometry_is_one_line_that_names_the_file(part, words, tmp_path):
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump({'name': 'mine', **part}))
    with pytest.raises(UserError, match=words) as caught:
        load_head(str(tmp_path / 'mine.yaml'))
    assert 'mine.yaml' in str(caught.value) and '\n' not in str(caught.value)
