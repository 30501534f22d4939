# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the HiT-DVAE on skeletons.

Two losses take turns. The evidence bound with scheduled sampling: z from its posterior, every
future pose made from the model's own past ones with a probability that grows from 0 to 1. And the
best of several futures drawn from the prior, so that draws cover what people do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import torch

from av_perception.motion_forecast.network_shape import NetworkShape
from av_perception.motion_forecast.skeletons import STEP, Clip, mirrored
from av_perception.training.hit_dvae_network import HitDvae, draw

NOTE_STEPS = 25
Noise = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class TrainingConfig:
    """What is trained how long."""

    #: [s] of processor time
    seconds: float = 1500.0
    #: windows of a step
    batch: int = 32
    #: frames seen before the future
    observed: int = 12
    #: frames of the shortest and longest window
    lengths: tuple[int, ...] = (24, 32, 44, 60)
    #: futures of which the best counts, and windows of such a step
    futures: int = 10
    best_batch: int = 12
    #: [m] standard deviation of a coordinate given all latents
    noise: float = 0.08
    #: weights of both divergences, and nats of z that cost nothing, per number
    beta: float = 1.0
    free_bits: float = 0.02
    #: weight of the best future, per meter
    best_weight: float = 30.0
    #: of Adam, at the peak
    rate: float = 1e-3
    #: share of the time over which own poses and divergences come in
    warm_up: float = 0.15
    seed: int = 0


class Windows:
    """Draws windows of clips: any phase, speed and side."""

    def __init__(self, clips: list[Clip], random: np.random.Generator):
        self._joints = [clip.joints for clip in clips]
        self._sides = [(joints, mirrored(joints)) for joints in self._joints]
        self._random = random

    def draw(self, count: int, length: int) -> torch.Tensor:
        """(count, length, X) of clips that are long enough, by their length."""
        room = np.array([len(j) - STEP * length * 1.0 for j in self._joints])
        weights = np.where(room > 0, np.sqrt(np.maximum(room, 0.0)), 0.0)
        chosen = self._random.choice(len(room), count, p=weights / weights.sum())
        return torch.from_numpy(np.stack([self._window(c, length) for c in chosen])).float()

    def _window(self, chosen: int, length: int) -> np.ndarray:
        joints = self._sides[chosen][self._random.integers(2)]
        fastest = min(1.2, (len(joints) - 1) / (STEP * length))
        speed = self._random.uniform(0.85, fastest)
        span = STEP * speed * (length - 1)
        places = self._random.uniform(0, len(joints) - 1 - span) + STEP * speed * np.arange(length)
        below = places.astype(int)
        share = (places - below)[:, None, None]
        above = np.minimum(below + 1, len(joints) - 1)
        poses = (1 - share) * joints[below] + share * joints[above]
        return poses.reshape(length, -1)


def divergence(q, p) -> torch.Tensor:
    """KL of diagonal Gaussians of (mean, log variance), number by number."""
    spread = torch.exp(q[1] - p[1]) + (q[0] - p[0]) ** 2 * torch.exp(-p[1])
    return 0.5 * (spread - 1 - q[1] + p[1])


def evidence_loss(net: HitDvae, poses, config: TrainingConfig, own: float, heat: float):
    """Loss (scalar) and nats of z per frame, of poses (B, T, X).

    own: probability that a past pose of the future is the model's; heat: of the divergences.
    """
    seen = np.random.randint(config.observed // 2, config.observed * 2)
    w_moments = net.infer_w(poses[:, :seen])
    w = draw(w_moments)
    q = net.infer_z(poses, w)
    z = draw(q)
    made, used = _generate(net, poses, z, w, config.observed, own)
    last, before = net.shifted(used)
    memory = torch.cat([net.none(len(poses)), net.latents(z[:, :-1], 1)], 1)
    p = net.prior_moments(net.tokens(last, before, 1, w), memory, {})
    nats = divergence(q, p).mean((0, 1))
    reconstruction = ((made - poses) ** 2).sum(-1).mean() / (2 * config.noise**2)
    zero = torch.zeros_like(w_moments[0])
    nats_w = divergence(w_moments, (zero, zero)).sum(-1).mean() / poses.shape[1]
    free = torch.clamp(nats, min=config.free_bits).sum()
    return reconstruction + heat * config.beta * (free + nats_w), nats.sum()


def _generate(net: HitDvae, poses, z, w, observed: int, own: float):
    """Make all poses given z; also which past poses were used."""
    count = len(poses)
    memory = torch.cat([net.none(count), net.latents(z, 1)], 1)
    if own == 0.0:
        last, before = net.shifted(poses)
        tokens = net.tokens(last, before, 1, w)
        return net.poses_after(last, before, tokens, memory, {}), poses
    last, before = net.shifted(poses[:, : observed + 1])
    cache: dict = {}
    tokens = net.tokens(last, before, 1, w)
    made = [net.poses_after(last, before, tokens, memory, cache)]
    used = [poses[:, :observed]]
    before, last = poses[:, observed - 1 : observed], made[0][:, -1:]
    for t in range(observed + 1, poses.shape[1]):
        is_own = (torch.rand(count, 1, 1) < own).float()
        now = is_own * last + (1 - is_own) * poses[:, t - 1 : t]
        used.append(now)
        made.append(net.poses_after(now, before, net.tokens(now, before, t + 1, w), None, cache))
        before, last = now, made[-1]
    used.append(poses[:, -1:])
    return torch.cat(made, 1), torch.cat(used, 1)


def sample(net: HitDvae, seen, ahead: int, noise: Noise) -> torch.Tensor:
    """Draw futures (B, ahead, X) after (B, O, X), from noise of w and of z."""
    observed = seen.shape[1]
    w = draw(net.infer_w(seen), noise[0])
    z = draw(net.infer_z(seen, w), noise[1][:, :observed])
    last, before = net.shifted(seen)
    tokens = net.tokens(last, before, 1, w)
    prior_cache: dict = {}
    cache: dict = {}
    memory = torch.cat([net.none(len(seen)), net.latents(z, 1)], 1)
    net.prior(tokens, memory[:, :-1], prior_cache)
    net.generator(tokens, memory, cache)
    latest = memory[:, -1:]
    before, last = seen[:, -2:-1], seen[:, -1:]
    made = []
    for t in range(observed, observed + ahead):
        token = net.tokens(last, before, t + 1, w)
        moments = net.prior_moments(token, latest, prior_cache)
        latest = net.latents(draw(moments, noise[1][:, t : t + 1]), t + 1)
        pose = net.poses_after(last, before, token, latest, cache)
        before, last = last, pose
        made.append(pose)
    return torch.cat(made, 1)


def draw_noise(net: HitDvae, count: int, length: int) -> Noise:
    """Draw standard noise of w (count, W) and z (count, length, Z)."""
    return torch.randn(count, net.shape.sequence), torch.randn(count, length, net.shape.latent)


def distances(made, truth) -> torch.Tensor:
    """(B,) mean distance [m] to the truth, with half of the last distance."""
    lengths = ((made - truth) ** 2).sum(-1).add(1e-6).sqrt()
    return lengths.mean(-1) + 0.5 * lengths[:, -1]


def best_loss(net: HitDvae, poses, config: TrainingConfig) -> torch.Tensor:
    """Distance [m] of the best of several futures; it is drawn again with its gradient."""
    seen, truth = poses[:, : config.observed], poses[:, config.observed :]
    num_futures = config.futures
    with torch.no_grad():
        noise = draw_noise(net, len(poses) * num_futures, poses.shape[1])
        made = sample(net, seen.repeat_interleave(num_futures, 0), truth.shape[1], noise)
        error = distances(made, truth.repeat_interleave(num_futures, 0))
        best = error.reshape(-1, num_futures).argmin(1) + num_futures * torch.arange(len(poses))
    made = sample(net, seen, truth.shape[1], (noise[0][best], noise[1][best]))
    return distances(made, truth).mean()


def train(
    clips: list[Clip],
    config: TrainingConfig,
    note: Callable[[float, dict], None],
    start_from: Mapping[str, torch.Tensor] | None = None,
) -> HitDvae:
    """Train on clips.

    Parameters
    ----------
    clips
        All that may be seen.
    config
        How long, and by what.
    note
        Called now and then with the share of time gone and figures.
    start_from
        Weights to go on from.
    """
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    source = Windows(clips, np.random.default_rng(config.seed))
    net = new_network(clips)
    if start_from is not None:
        net.load_state_dict(start_from)
    optimizer = torch.optim.AdamW(net.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    start = time.process_time()
    figures: dict = {'step': 0}
    while (gone := (time.process_time() - start) / config.seconds) < 1.0:
        for group in optimizer.param_groups:
            group['lr'] = config.rate * min(1.0, figures['step'] / 50) * _fading(gone)
        loss = _step_loss(net, source, config, gone, figures)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        figures['step'] += 1
        if figures['step'] % NOTE_STEPS == 0:
            note(gone, {**figures, 'net': net})
    return net


def new_network(clips: list[Clip], shape: NetworkShape | None = None) -> HitDvae:
    """Make an untrained network with the mean pose and the scale of clips."""
    joints = np.concatenate([clip.joints.reshape(len(clip.joints), -1) for clip in clips])
    net = HitDvae(shape or NetworkShape(pose=joints.shape[1]))
    net.center.copy_(torch.from_numpy(joints.mean(0)).float())
    net.scale.fill_(2 * float(joints.std(0).mean()))
    return net


def _fading(gone: float) -> float:
    return float(0.02 + 0.98 * np.cos(gone * np.pi / 2) ** 2)


def _step_loss(net, source: Windows, config, gone: float, figures: dict):
    """Loss of one step; the two losses take turns once the first has warmed up."""
    step = figures['step']
    # Short futures first: they are cheap, and long ones are made of them.
    num_lengths = 1 + min(int(2 * gone * len(config.lengths)), len(config.lengths) - 1)
    length = config.lengths[(step // 2) % num_lengths]
    if step % 2 == 1 and gone > config.warm_up:
        best = best_loss(net, source.draw(config.best_batch, length), config)
        figures[f'best_{length}'] = float(best.detach())
        return config.best_weight * best
    heat = min(1.0, gone / config.warm_up)
    own = max(0.0, min(1.0, gone / config.warm_up - 0.3))
    poses = source.draw(config.batch, length)
    loss, nats = evidence_loss(net, poses, config, own, heat)
    figures['nats'] = float(nats.detach())
    figures[f'loss_{length}'] = float(loss.detach())
    return loss


def arrays_of(net: HitDvae) -> dict[str, np.ndarray]:
    """Weights by name as `motion_forecast.hit_dvae` reads them, in half precision."""
    arrays = {name: value.numpy().astype(np.float16) for name, value in net.state_dict().items()}
    return {'shape': np.array(astuple(net.shape), np.int32), **arrays}
