"""Interface packages that no registry of Python packages has, built from their field lists for the tests; a robot has the real ones from apt.

An overlay is a folder with the libraries and Python modules of one or more packages. Processes see it through `environment`, the test's own
process after `load`. Two packages are both called audio_common_msgs: they never go into the same overlay.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMPED = 'std_msgs/Header header\n'
PACKAGES = {
    'hri_msgs': {
        'IdsList': STAMPED + 'string[] ids',
        'IdsMatch': 'int8 UNSET=0\nint8 PERSON=1\nint8 FACE=2\nint8 BODY=3\nint8 VOICE=4\n'
                    'string id1\nint8 id1_type\nstring id2\nint8 id2_type\nfloat32 confidence',
        'NormalizedRegionOfInterest2D': STAMPED + 'float32 xmin\nfloat32 ymin\nfloat32 xmax\nfloat32 ymax\nfloat32 c',
    },
    'vision_msgs': {
        'ObjectHypothesis': 'string class_id\nfloat64 score',
        'ObjectHypothesisWithPose': 'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
        'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
        'Detection3D': STAMPED + 'vision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox3D bbox\nstring id',
        'Detection3DArray': STAMPED + 'vision_msgs/Detection3D[] detections',
    },
    'people_msgs': {
        'Person': 'string name\ngeometry_msgs/Point position\ngeometry_msgs/Point velocity\nfloat64 reliability\nstring[] tagnames\nstring[] tags',
        'People': STAMPED + 'people_msgs/Person[] people',
    },
    'naoqi_bridge_msgs': {
        'AudioBuffer': STAMPED + 'uint16 frequency\n' + ''.join(f'uint8 CHANNEL_{name}={value}\n' for value, name in enumerate((
            'FRONT_LEFT', 'FRONT_CENTER', 'FRONT_RIGHT', 'REAR_LEFT', 'REAR_CENTER', 'REAR_RIGHT', 'SURROUND_LEFT', 'SURROUND_RIGHT', 'SUBWOOFER',
            'LFE'))) + 'uint8[] channel_map\nint16[] data',
    },
    'audio_common_msgs (ros-drivers)': {
        'AudioData': 'uint8[] data',
        'AudioDataStamped': STAMPED + 'audio_common_msgs/AudioData audio',
        'AudioInfo': 'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format',
    },
    'audio_common_msgs (the other)': {
        'AudioData': 'float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\nuint8[] uint8_data',
        'AudioInfo': 'int32 format\nint32 channels\nint32 rate\nint32 chunk',
        'Audio': 'audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info',
        'AudioStamped': STAMPED + 'audio_common_msgs/Audio audio',
    },
}
DEPENDENCIES = ('std_msgs', 'geometry_msgs', 'builtin_interfaces')


@dataclass(frozen=True)
class Overlay:
    """Built packages below one folder."""

    folder: Path

    def environment(self) -> dict:
        """The environment of a process that is to see the packages."""
        def before(name, folder):
            return os.pathsep.join(filter(None, (str(folder), os.environ.get(name, ''))))
        return {**os.environ, 'PYTHONPATH': before('PYTHONPATH', self.folder / 'python'), 'LD_LIBRARY_PATH': before('LD_LIBRARY_PATH', self.folder / 'lib'),
                'AMENT_PREFIX_PATH': before('AMENT_PREFIX_PATH', self.folder)}

    def load(self) -> None:
        """Make the packages importable in this process. The libraries are looked up by name later: whoever is loaded already is found."""
        waiting = sorted((self.folder / 'lib').glob('*.so'))
        while waiting:
            later = []
            for path in waiting:   # in the order in which they need each other
                try:
                    ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
                except OSError:
                    later.append(path)
            if len(later) == len(waiting):
                raise OSError(f'cannot load {later}')
            waiting = later
        if str(self.folder / 'python') not in sys.path:
            sys.path.insert(0, str(self.folder / 'python'))


def build_overlay(*names: str) -> Overlay:
    """Build packages of PACKAGES (a few seconds each, kept for the next run) into an overlay."""
    definitions = repr([(name, PACKAGES[name]) for name in names]) + sys.version + sys.prefix
    folder = ROOT / '.pytest_cache' / 'interfaces' / hashlib.sha256(definitions.encode()).hexdigest()[:16]
    if not (folder / 'done').exists():
        shutil.rmtree(folder, ignore_errors=True)
        for name in names:
            _build(name, folder)
        (folder / 'done').touch()
    return Overlay(folder)


def _build(name: str, prefix: Path) -> None:
    package = name.split()[0]
    source = prefix / 'source' / package
    (source / 'msg').mkdir(parents=True)
    depends = ''.join(f'<depend>{d}</depend>' for d in DEPENDENCIES)
    (source / 'package.xml').write_text(f'<package format="3"><name>{package}</name><version>0.0.0</version><description>for tests</description>'
                                        f'<maintainer email="a@b.c">tests</maintainer><license>Apache-2.0</license>{depends}</package>')
    for message, text in PACKAGES[name].items():
        (source / 'msg' / f'{message}.msg').write_text(text + '\n')
    code = ('import pathlib, sys; sys.path.insert(0, sys.argv[1]); from rosidl_wheel import InterfaceBuild; folder = pathlib.Path(sys.argv[2]); '
            'build = InterfaceBuild(folder); (build.generated / "py" / "msg").mkdir(parents=True); (build.generated / "py" / "__init__.py").touch(); '
            'build.build()')
    built = subprocess.run([sys.executable, '-c', code, str(ROOT / 'tools'), str(source)], capture_output=True, text=True)
    if built.returncode:
        raise RuntimeError(f'building {name} failed:\n{built.stdout[-2000:]}{built.stderr[-4000:]}')
    generated = source / 'build' / 'generated'
    shutil.copytree(generated / 'py', prefix / 'python' / package)
    shutil.copytree(source / 'build' / 'libraries', prefix / 'lib', dirs_exist_ok=True)
    shutil.copytree(generated / 'index', prefix / 'share' / 'ament_index' / 'resource_index', dirs_exist_ok=True)
    shutil.copytree(source / 'msg', prefix / 'share' / package / 'msg')
