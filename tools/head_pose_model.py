# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Make av_perception/networks/data/head_pose.npz from clips of talking faces.

Run it as

  python tools/head_pose_model.py $AV_PERCEPTION_DATA/av_grid

It takes about two minutes and prints the SHA-256 for the registry of weights. The file holds a
mean mesh and a few dozen parameters; no image and no single person's face is in it.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

from av_perception.benchmarks.head_pose_views import learning_data, load_talkers
from av_perception.head_pose.face_mesh import FaceMesh
from av_perception.head_pose.learning import learn_head_pose_model
from av_perception.networks.weights import PACKAGE_DATA


def main() -> None:
    """Look at everybody from all sides, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', type=Path, help='folder with clips *.mpg')
    parser.add_argument('-o', '--output', type=Path, default=PACKAGE_DATA / 'head_pose.npz')
    options = parser.parse_args()
    mesh = FaceMesh()
    talkers = load_talkers(options.clips, mesh)
    data = [learning_data(talker, mesh, seed) for seed, talker in enumerate(talkers)]
    model = learn_head_pose_model(
        [talker.frontal for talker in talkers],
        [still for still, _ in data],
        [turning for _, turning in data],
    )
    np.savez(options.output, **model.arrays())
    print(f'{options.output}: {hashlib.sha256(options.output.read_bytes()).hexdigest()}')


if __name__ == '__main__':
    main()
