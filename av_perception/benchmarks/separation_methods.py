# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Methods that separate talkers: this project's, those of pyroomacoustics, and what bounds them.

The methods of this project and delay-and-sum are told where the talkers are, with an error; the
blind ones are told how many there are, and the best order of their results is taken for theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from av_perception.audio.steering import GeometricSteering
from av_perception.benchmarks.separation_scenes import RATE, SeparationScene
from av_perception.enhancement.person_enhancers import live_modes
from av_perception.enhancement.stream import StreamEnhancer
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.separation.first_guess import GuessConfig
from av_perception.separation.offline import (
    DIRECTION_STEP_S,
    add_pieces,
    mask_streams,
    track_frame,
    wiener_streams,
)
from av_perception.separation.person_streams import PersonStreams
from av_perception.separation.reference_microphones import ReferenceMicrophones
from av_perception.separation.vemove import VemoveConfig, separate
from av_perception.spectral.transform import ShortTimeFourier

_FINE = ShortTimeFourier(512, 128, 'hann')  # as the masks
_BLIND_WINDOW = 2048
_DIRECTION_ERROR_RAD = np.radians(1.5)
_START_NS = 10**9
_CHUNK = 256  # samples, as the node `microphone_array` sends them
_TRACKS_LATE_S = 0.06
_ERROR_MEMORY = 0.96  # from one direction to the next, 40 ms later: about a second
BEST_MICROPHONE = 'best microphone'
STREAMS = 'live streams'
MASKS = 'masks'
ORACLE = 'oracle masks'


@dataclass
class Trial:
    """A scene as a method meets it; results of earlier methods are kept for those that refine."""

    scene: SeparationScene
    seed: int = 0
    found: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def directions(self) -> np.ndarray:
        """(T, J, 3) with an error of 1.5 degrees that wanders as a tracker's does."""
        random = np.random.default_rng(self.seed)
        true = self.scene.directions
        fresh = random.standard_normal(true.shape) * _DIRECTION_ERROR_RAD
        error = fresh.copy()
        for t in range(1, len(error)):
            renewal = np.sqrt(1 - _ERROR_MEMORY**2)
            error[t] = _ERROR_MEMORY * error[t - 1] + renewal * fresh[t]
        wrong = true + error
        return wrong / np.linalg.norm(wrong, axis=2, keepdims=True)

    def result(self, name: str) -> np.ndarray:
        """(N, J) of a method, by now or from before."""
        if name not in self.found:
            self.found[name] = METHODS[name](self)
        return self.found[name]


def best_microphone(trial: Trial) -> np.ndarray:
    """(N, J) for each talker the microphone in which their voice stands out most."""
    return trial.scene.mixture[:, best_microphones(trial.scene)]


def best_microphones(scene: SeparationScene) -> np.ndarray:
    """(J,) the microphone in which the voice of each talker stands out most."""
    own = np.mean(scene.images**2, axis=0)  # (I, J)
    rest = np.mean((scene.mixture[:, :, None] - scene.images) ** 2, axis=0)
    return np.argmax(own / rest, axis=0)


def stream_microphones(scene: SeparationScene) -> np.ndarray:
    """(J,) the microphone that the stream of each talker is taken from, of who stays at a side."""
    middle = scene.directions[len(scene.directions) // 2]
    chosen = ReferenceMicrophones(GeometricSteering(scene.array))
    return chosen.update(dict(enumerate(middle)), (True,) * scene.mixture.shape[1])


def delay_and_sum(trial: Trial) -> np.ndarray:
    """(N, J) in phase at the first microphone, for the direction of each talker."""
    scene = trial.scene
    spectra = _FINE.forward(scene.mixture)  # (L, F, I)
    frequencies = _FINE.frequencies(RATE)
    steps = (np.arange(len(spectra)) * _FINE.hop / RATE / 0.04).astype(int)
    directions = trial.directions[np.minimum(steps, len(trial.directions) - 1)]
    steering = GeometricSteering(scene.array)
    count = spectra.shape[2]
    beams = []
    for j in range(directions.shape[1]):
        vectors = steering.vectors(directions[:, j], np.maximum(frequencies, 1.0))
        relative = vectors / (vectors[..., :1] / np.abs(vectors[..., :1]))
        beams.append(np.einsum('lfi,lfi->lf', relative.conj(), spectra) / count)
    return _FINE.inverse(np.stack(beams, axis=2), len(scene.mixture))


def masks(trial: Trial) -> np.ndarray:
    """(N, J) those of the live streams, with the directions of the moment."""
    return mask_streams(trial.scene.mixture, trial.scene.array, trial.directions)


def enhanced(mode: str, alone: bool = False) -> Callable[[Trial], np.ndarray]:
    """Make the live streams with a mode of enhancement behind the masks.

    Parameters
    ----------
    mode
        Of `enhancement/stream.MODES`.
    alone
        Whether it hears the streams alone, without the microphones that they were taken from.
    """

    def method(trial: Trial) -> np.ndarray:
        around = trial.scene.mixture[:, stream_microphones(trial.scene)]
        found = []
        for voice, microphone in zip(trial.result(MASKS).T, around.T, strict=True):
            heard = voice if alone else np.stack([voice, microphone], axis=1)
            enhancer = StreamEnhancer(live_modes(), mode)
            found.append(np.concatenate([enhancer.push(heard), enhancer.finish()]))
        return np.stack(found, axis=1)

    return method


def live_streams(trial: Trial) -> np.ndarray:
    """(N, J) the streams of the suite as its node makes them, with tracks that come late."""
    scene = trial.scene
    streams = PersonStreams(scene.array, RATE)
    directions = trial.directions
    rates = np.gradient(directions, DIRECTION_STEP_S, axis=0)
    voices = np.zeros((len(scene.mixture), directions.shape[1]))
    known = 0
    for first in range(0, len(scene.mixture), _CHUNK):
        samples = scene.mixture[first : first + _CHUNK].astype(np.float32)
        now_s = (first + len(samples)) / RATE
        now_ns = _START_NS + nanoseconds(now_s)
        while known < len(directions) and known * DIRECTION_STEP_S + _TRACKS_LATE_S <= now_s:
            stamp_ns = _START_NS + nanoseconds(known * DIRECTION_STEP_S)
            frame = track_frame(stamp_ns, directions[known], rates[known])
            add_pieces(voices, streams.follow(frame, RigidTransform(), now_ns))
            known += 1
        stamp_ns = _START_NS + nanoseconds(first / RATE)
        add_pieces(voices, streams.push(AudioChunk(stamp_ns, RATE, first, samples), now_ns))
    add_pieces(voices, streams.flush())
    return voices


def wiener(trial: Trial) -> np.ndarray:
    """(N, J) by the masks' powers and moving covariances."""
    return wiener_streams(trial.scene.mixture, trial.result(MASKS))


def vemove(powers: str, iterations: int = 10, window: int = 512) -> Callable[[Trial], np.ndarray]:
    """Make a VEMOVE that starts from the masks and ends at the first microphone."""

    def method(trial: Trial) -> np.ndarray:
        config = VemoveConfig(window, iterations, GuessConfig(powers=powers))
        return separate(trial.scene.mixture, trial.result(MASKS), config)[:, 0]

    return method


def blind(name: str) -> Callable[[Trial], np.ndarray]:
    """Make a method of pyroomacoustics: 'auxiva', 'ilrma' or 'fastmnmf'."""

    def method(trial: Trial) -> np.ndarray:
        from pyroomacoustics import bss

        scene = trial.scene
        num_talkers = scene.images.shape[2]
        transform = ShortTimeFourier(_BLIND_WINDOW, _BLIND_WINDOW // 4)
        spectra = transform.forward(scene.mixture)
        if num_talkers > spectra.shape[2] and name != 'fastmnmf':
            raise ValueError(f'{name} takes no more talkers than microphones')
        if name == 'auxiva':
            found = bss.auxiva(spectra, n_src=num_talkers, n_iter=30, proj_back=True)
        elif name == 'ilrma':
            found = bss.ilrma(_principal(spectra, num_talkers), n_iter=50, proj_back=False)
            found = _projected_back(found, spectra[..., 0])
        else:
            found = bss.fastmnmf(spectra, n_src=num_talkers, n_iter=30, mic_index=0)
        sounds = transform.inverse(np.asarray(found), len(scene.mixture))
        return best_order(sounds, scene.references)

    return method


def oracle_masks(trial: Trial) -> np.ndarray:
    """(N, J) by the true shares of the power of each bin at the first microphone."""
    scene = trial.scene
    power = np.abs(_FINE.forward(scene.references)) ** 2
    noise = np.abs(_FINE.forward(scene.noise[:, :1])) ** 2
    share = power / (power.sum(axis=2, keepdims=True) + noise)
    mixture = _FINE.forward(scene.mixture[:, :1])
    return _FINE.inverse(share * mixture, len(scene.mixture))


METHODS: dict[str, Callable[[Trial], np.ndarray]] = {
    BEST_MICROPHONE: best_microphone,
    'delay and sum': delay_and_sum,
    STREAMS: live_streams,
    MASKS: masks,
    'masks, LSA': enhanced('lsa'),
    'masks, VAE': enhanced('vae'),
    'masks, RVAE': enhanced('rvae'),
    'masks, LSA alone': enhanced('lsa', alone=True),
    'masks, VAE alone': enhanced('vae', alone=True),
    'masks, RVAE alone': enhanced('rvae', alone=True),
    'Wiener': wiener,
    'VEMOVE': vemove('free'),
    'VEMOVE, tied': vemove('tied'),
    'VEMOVE, fixed': vemove('fixed'),
    'AuxIVA': blind('auxiva'),
    'ILRMA': blind('ilrma'),
    'FastMNMF': blind('fastmnmf'),
    ORACLE: oracle_masks,
}


def best_order(sounds: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(N, J) the columns in the order in which they resemble the references (N, J) most."""
    scale = np.linalg.norm(sounds, axis=0) * np.linalg.norm(references, axis=0)[:, None] + 1e-12
    likeness = np.abs(references.T @ sounds) / scale
    count = likeness.shape[0]
    orders = list(permutations(range(count)))
    best = max(orders, key=lambda order: sum(likeness[j, n] for j, n in enumerate(order)))
    return sounds[:, list(best)]


def _principal(spectra: np.ndarray, count: int) -> np.ndarray:
    """(L, F, count) principal components of each bin: as many channels as sources."""
    covariance = np.einsum('lfi,lfk->fik', spectra, spectra.conj())
    _, vectors = np.linalg.eigh(covariance)
    return np.einsum('fic,lfi->lfc', vectors[..., -count:].conj(), spectra)


def _projected_back(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(L, F, J) scaled bin by bin to what the sources give a microphone (L, F), together."""
    cross = np.einsum('lfj,lf->fj', found.conj(), reference)
    moment = np.einsum('lfj,lfk->fjk', found.conj(), found)
    regular = 1e-9 * np.trace(moment, axis1=1, axis2=2).real + 1e-20
    moment = moment + regular[:, None, None] * np.eye(found.shape[2])
    return found * np.linalg.solve(moment, cross[..., None])[None, ..., 0]
