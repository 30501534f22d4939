"""The acoustic map of a head: from direction to what its microphones hear.

example:
  av-perception calibrate acoustic --head my_head.yaml -o my_head_map.npz     from the geometry, free field, a few seconds

The tracker learns the same map by itself when it is given none; a file fixes it. It names its geometry and STFT, and a node refuses another head's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from av_perception.cli.output import check_writable, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the calibration."""
    parser.add_argument('--head', required=True, help='head profile: a name of config/heads or the path of a YAML file')
    parser.add_argument('-o', '--output', type=Path, required=True, help='file to write (.npz)')
    parser.add_argument('--json', type=Path, help='write what was learnt to this file')


def run(options: argparse.Namespace) -> int:
    """Learn and save."""
    from av_perception.audio.frontend import AudioFrontEndConfig
    from av_perception.audio.learning import AcousticMapConfig, learn_free_field_map
    from av_perception.errors import UserError
    from av_perception.heads import load_head

    check_writable(options.json)
    array = load_head(options.head).microphones
    if array is None:
        raise UserError(f"head '{options.head}' has no microphones: nothing to learn")
    started = time.monotonic()
    acoustic_map = learn_free_field_map(array, AcousticMapConfig(), AudioFrontEndConfig())
    acoustic_map.save(options.output)
    figures = {'num_microphones': acoustic_map.num_microphones, 'num_subbands': acoustic_map.num_subbands, 'num_pieces': acoustic_map.num_pieces,
               'geometry_hash': acoustic_map.geometry_hash, 'seconds': time.monotonic() - started}
    print(', '.join(f'{k}: {v:.1f}' if isinstance(v, float) else f'{k}: {v}' for k, v in figures.items()) + f'; wrote {options.output}')
    if options.json:
        write_json(options.json, figures)
    return 0
