# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Print what each person says, from the folder that `av-perception track --voices FOLDER` wrote.

pip install pocketsphinx
av-perception track my_recording --voices voices
python examples/print_words.py voices
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile

MARGIN_S = 0.2  # around a turn, for the first and last sound


def load_recognizer():
    """Make a function from 16-bit samples at 16 kHz to text."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        sys.exit('no recognizer: pip install pocketsphinx, or put your own in load_recognizer')
    decoder = Decoder(samprate=16000)

    def recognize(samples: np.ndarray) -> str:
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr if decoder.hyp() else ''

    return recognize


def main(folder: str, recognize=None) -> None:
    """Go through the turns in the order in which they begin."""
    recognize = recognize or load_recognizer()
    with open(Path(folder) / 'turns.csv', newline='') as table:
        turns = list(csv.DictReader(table))
    for turn in turns:
        path = Path(folder) / f'person_{turn["id"]}.flac'
        start, end = (float(turn['start']) - MARGIN_S, float(turn['end']) + MARGIN_S)
        first, last = max(0, round(16000 * start)), round(16000 * end)
        samples, _ = soundfile.read(path, dtype='int16')
        print(f'id {turn["id"]}: {recognize(samples[first:last])}', flush=True)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
