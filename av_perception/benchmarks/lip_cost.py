# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What hearing with eyes costs: mouths cut out, lips read, voices made clear, stage by stage.

Of noise that is as loud as syllables and of images that change; what is in them does not matter to
the work. Processor time of this process over the time of the stream: the least of some rounds, for
a busy machine only ever adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from av_perception.audio_visual.seen_stream import VISUAL_MODES, SeenStream
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.prior_stream import PriorStream
from av_perception.interfaces import Face, MouthCrop
from av_perception.lips.lip_looks import LipLooks
from av_perception.lips.lip_reader import LipEncoder, LipReader, learn_encoder
from av_perception.lips.mouth_crop import UPRIGHT, crop_mouths

_RATE = 16000
_CHUNK = 256  # samples
_IMAGES_PER_S = 25
_PERIOD_NS = 40_000_000
_EYES_PX = 22.0  # apart: a meter away from 450 pixels of focal length
_WARM_UP_S = 0.25
_MIDDLES = (200.0 + 240.0j, 450.0 + 240.0j)  # of the mouths of two people [px]


@dataclass(frozen=True)
class CostRow:
    """stage: what is done; cores: for two people."""

    stage: str
    cores: float


def lip_costs(duration_s: float = 3.0, rounds: int = 3) -> Iterator[CostRow]:
    """Measure all stages.

    Parameters
    ----------
    duration_s
        Of the stream in each round.
    rounds
        Of which the least counts.

    Yields
    ------
    CostRow
        Mouths, reading, and enhancement without and with eyes.
    """
    image = _images(1)[0]
    faces = [_face(middle) for middle in _MIDDLES]
    count = round(duration_s * _IMAGES_PER_S)

    def cut() -> None:
        for _ in range(count):
            crop_mouths(image, faces)

    yield CostRow('mouths of two faces', _least(cut, rounds) / duration_s)
    crops = [crop_mouths(one, faces[:1])[0] for one in _images(count)]
    follower = LipLooks()
    stamped = [(k * _PERIOD_NS, crop) for k, crop in enumerate(crops)]
    encoder = learn_encoder([look for row in stamped if (look := follower.update(*row))])
    readers: list[LipReader] = []
    read = _least(lambda: readers.append(_read(encoder, stamped)), rounds)
    yield CostRow('reading them', len(_MIDDLES) * read / duration_s)
    for mode in VISUAL_MODES:
        stage = 'vae without eyes' if mode == VISUAL_MODES[0] else f'vae, {mode}'
        enhanced = _least(partial(_enhance, mode, readers[-1], encoder, duration_s), rounds)
        yield CostRow(stage, len(_MIDDLES) * enhanced / duration_s)


def _least(work: Callable[[], object], rounds: int) -> float:
    """Least processor time [s] of doing work, which may report a time of its own."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        own = work()
        times.append(own if isinstance(own, float) else time.process_time() - begun)
    return min(times)


def _read(encoder: LipEncoder, stamped: list[tuple[int, MouthCrop]]) -> LipReader:
    reader = LipReader(encoder)
    for row in stamped:
        reader.see(*row)
    return reader


def _enhance(mode: str, reader: LipReader, encoder: LipEncoder, duration_s: float) -> float:
    """Processor time [s] of a stream with its microphone, without the first moments."""
    prior = load_prior('vae')
    stream = PriorStream(prior)
    if mode != VISUAL_MODES[0]:
        visual = _visual(prior.num_latents, encoder.num_features)
        stream = SeenStream(prior, visual, lambda times_s: reader.features(0, times_s), mode)
    begin = round(_WARM_UP_S * _RATE)
    samples = _sound(begin + round(duration_s * _RATE))
    stream.push(samples[:begin])
    begun = time.process_time()
    for first in range(begin, len(samples), _CHUNK):
        stream.push(samples[first : first + _CHUNK])
    return time.process_time() - begun


def _visual(num_latents: int, num_features: int) -> LinearVisualPrior:
    random = np.random.default_rng(0)
    weight = 0.1 * random.standard_normal((num_latents, num_features)).astype(np.float32)
    zeros = np.zeros(num_latents, np.float32)
    return LinearVisualPrior(weight, zeros, zeros + 0.5)


def _sound(count: int) -> np.ndarray:
    """(count, 2) float32 of a voice and its microphone: noise that comes and goes."""
    random = np.random.default_rng(1)
    rise = 0.5 + 0.5 * np.sin(2 * np.pi * 4.0 * np.arange(count) / _RATE)
    voice = 0.1 * rise * random.standard_normal(count)
    around = voice + 0.02 * random.standard_normal(count)
    return np.column_stack([voice, around]).astype(np.float32)


def _images(count: int) -> list[np.ndarray]:
    """(480, 640, 3) uint8 each: smooth shades with a mouth that opens."""
    shades = cv2.GaussianBlur(np.random.default_rng(2).normal(size=(480, 640)), (0, 0), 4.0)
    gray = (128 + 300 * shades).clip(0, 255).astype(np.uint8)
    found = []
    for k in range(count):
        image = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
        half = (8, 2 + k % 7)
        for middle in _MIDDLES:
            place = (round(middle.real), round(middle.imag))
            cv2.ellipse(image, place, half, 0, 0, 360, (40, 30, 60), -1)
        found.append(image)
    return found


def _face(middle: complex) -> Face:
    """One that looks into the camera; middle: of its mouth [px]."""
    scale = _EYES_PX / abs(UPRIGHT[1] - UPRIGHT[0])
    points = middle + scale * np.array([*UPRIGHT[:2], -20.0j, *UPRIGHT[2:]])
    landmarks = np.column_stack([points.real, points.imag])
    low = landmarks.min(axis=0) - _EYES_PX
    box = np.array([*low, *(landmarks.max(axis=0) + _EYES_PX - low)])
    unknown = np.full(3, np.nan)
    return Face(box, 0.9, landmarks, unknown, np.full((3, 3), np.nan))
