# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Live enhancement of voices by what the lips of their people show."""

from __future__ import annotations

from weakref import WeakValueDictionary

import numpy as np

from av_perception.audio_visual.features import VisualFeatures, nothing_seen
from av_perception.audio_visual.seen_stream import SeenStream
from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.stream import VAE, Makers
from av_perception.geometry.time import NANOSECONDS
from av_perception.interfaces import MouthFrame, TrackFrame
from av_perception.lips.lip_model import LipModel
from av_perception.lips.lip_reader import LipReader
from av_perception.lips.mouth_tracks import mouths_of_tracks

_RATE = 16000


class SeenVoices:
    """Reads the lips of everybody who is tracked, and makes the modes of their voices.

    Parameters
    ----------
    model
        Of the user's.
    mode
        cvae, min_vae or swvae.
    """

    def __init__(self, model: LipModel, mode: str):
        self._model = model
        self._mode = mode
        self._prior = load_prior(model.speech_prior)
        self._readers: dict[int, LipReader] = {}
        self._streams: WeakValueDictionary[int, SeenStream] = WeakValueDictionary()

    @property
    def beliefs(self) -> dict[int, float]:
        """How far the eyes count in the voice of each person now, in 0..1, by id."""
        found = {key: stream.belief for key, stream in self._streams.items()}
        return {key: belief for key, belief in sorted(found.items()) if np.isfinite(belief)}

    def see(self, tracks: TrackFrame, mouths: MouthFrame) -> None:
        """Take the tracks of an image and the mouths in it; who is gone is forgotten."""
        ids = {track.id for track in tracks.tracks}
        for gone in self._readers.keys() - ids:
            del self._readers[gone]
        for key, crop in mouths_of_tracks(tracks, mouths).items():
            if key not in self._readers:
                self._readers[key] = LipReader(self._model.encoder)
            self._readers[key].see(mouths.stamp_ns, crop)

    def makers(self, key: int, start_ns: int) -> Makers:
        """Give the modes that see, for a voice whose first sample has this stamp [ns]."""

        def make(start: int) -> SeenStream:
            first_ns = start_ns + start * NANOSECONDS // _RATE

            def seen(times_s: np.ndarray) -> VisualFeatures:
                reader = self._readers.get(key)
                if reader is None:
                    return nothing_seen(len(times_s), self._model.encoder.num_features)
                return reader.features(first_ns, times_s)

            stream = SeenStream(self._prior, self._model.visual, seen, self._mode)
            self._streams[key] = stream
            return stream

        return {VAE: make}
