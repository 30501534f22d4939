# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What separation does to words: a small offline recognizer on voices and on what is left of them.

The recognizer is pocketsphinx with the English model of its package. It is far from perfect on
clean speech, and nobody wrote down what the talkers say, so that the words it finds in the dry
voice are the reference: this counts the words that separation changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from av_perception.errors import UserError

RATE = 16000
# What a recognizer on a robot can follow: noisy sound takes a third of the time so.
_LIMITS = {'maxhmmpf': 3000, 'maxwpf': 5}


def recognized_words(voice: np.ndarray) -> list[str]:
    """Words that pocketsphinx hears in a voice (N,) at 16 kHz.

    Raises
    ------
    UserError
        When the package is missing.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise UserError('words need a recognizer: pip install pocketsphinx') from None
    decoder = Decoder(samprate=float(RATE), loglevel='FATAL', **_LIMITS)
    level = np.abs(voice).max()
    scaled = np.round(20000 / max(level, 1e-9) * voice).astype(np.int16)
    decoder.start_utt()
    decoder.process_raw(scaled.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr.split() if hypothesis else []


def word_errors(words: Sequence[str], reference: Sequence[str]) -> int:
    """Count the least insertions, deletions and replacements that lead from one to the other."""
    costs = np.arange(len(reference) + 1)
    for count, word in enumerate(words, 1):
        different = np.array([word != other for other in reference], int)
        changed = np.minimum(costs[:-1] + different, costs[1:] + 1)
        costs = np.concatenate([[count], changed])
        # a deletion from the left may still be cheaper: running minimum of cost - position
        position = np.arange(len(costs))
        costs = np.minimum.accumulate(costs - position) + position
    return int(costs[-1])


def spoken_words(dry: np.ndarray) -> list[list[str]]:
    """List the words of each of the dry voices (N, J)."""
    return [recognized_words(voice) for voice in dry.T]


def word_error_rate(voices: np.ndarray, spoken: Sequence[Sequence[str]]) -> float:
    """Count errors per spoken word, over all talkers.

    Parameters
    ----------
    voices
        (N, J), a room's sound later than the dry ones, which words do not mind.
    spoken
        Words of each talker.

    Returns
    -------
    float
        0 where all words are right; more than 1 where more are invented than were said; NaN where
        nothing was said.
    """
    pairs = zip(voices.T, spoken, strict=True)
    errors = sum(word_errors(recognized_words(voice), words) for voice, words in pairs)
    total = sum(len(words) for words in spoken)
    return errors / total if total else float('nan')
