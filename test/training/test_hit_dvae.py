# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the HiT-DVAE in torch: the NumPy twin, losses, one sequence learnt by heart."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from av_perception.motion_forecast.hit_dvae import HitDvae as Twin  # noqa: E402
from av_perception.motion_forecast.hit_dvae import divergence as twin_divergence  # noqa: E402
from av_perception.motion_forecast.network_shape import NetworkShape  # noqa: E402
from av_perception.motion_forecast.skeletons import Clip  # noqa: E402
from av_perception.training.hit_dvae import (  # noqa: E402
    TrainingConfig,
    Windows,
    arrays_of,
    divergence,
    draw_noise,
    new_network,
    sample,
    train,
)

SHAPE = NetworkShape(63, 16, 2, 24, 3, 4, 1, 1, 2)


def clip(frames=400, seed=0):
    """A skeleton whose joints swing."""
    random = np.random.default_rng(seed)
    times = np.arange(frames)[:, None, None] / 120
    phase = random.uniform(0, 6, (1, 21, 3))
    return Clip('walking', 'swing', 0.2 * np.sin(2 * np.pi * times + phase))


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    made = new_network([clip()], SHAPE)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture(scope='module')
def twin(net):
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    return Twin({**arrays, 'shape': arrays_of(net)['shape']})


def test_the_numpy_twin_continues_alike(net, twin):
    seen = torch.from_numpy(clip().joints[:50:5].reshape(1, 10, 63)).float().repeat(3, 1, 1)
    noise = draw_noise(net, 3, 16)
    with torch.no_grad():
        expected = sample(net, seen, 6, noise).numpy()
        mean, spread = net.infer_w(seen)
        w = (mean + torch.exp(0.5 * spread) * noise[0]).numpy()
    made = twin.continued(seen.numpy(), 6, w, noise[1].numpy())
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_divergences_are_those_of_torch():
    random = np.random.default_rng(0)
    q, p = (tuple(random.normal(size=(2, 5)).astype(np.float32)) for _ in range(2))
    theirs = divergence(*(tuple(torch.from_numpy(v) for v in m) for m in (q, p))).numpy()
    np.testing.assert_allclose(twin_divergence(q, p), theirs, rtol=1e-5)
    gaussians = (
        torch.distributions.Normal(torch.from_numpy(m), torch.exp(0.5 * torch.from_numpy(s)))
        for m, s in (q, p)
    )
    exact = torch.distributions.kl_divergence(*gaussians).numpy()
    np.testing.assert_allclose(theirs, exact, rtol=1e-4, atol=1e-6)


def test_half_precision_changes_little(net, twin):
    seen = clip().joints[:60:5].reshape(12, 63)
    halves = Twin(arrays_of(net))
    first, second = (n.sample(seen, 8, 2, np.random.default_rng(0)) for n in (twin, halves))
    np.testing.assert_allclose(first, second, atol=0.01)


def test_windows_are_of_clips_that_are_long_enough():
    source = Windows([clip(400), clip(100, 1)], np.random.default_rng(0))
    drawn = source.draw(6, 40)
    assert drawn.shape == (6, 40, 63) and torch.isfinite(drawn).all()


@pytest.mark.slow
def test_one_sequence_is_learnt_by_heart_without_divergences():
    """The mean error of a joint falls below 5 mm when latents cost nothing."""
    torch.set_num_threads(1)
    poses = torch.from_numpy(clip(120).joints[::5].reshape(1, 24, 63)).float()
    torch.manual_seed(0)
    network = new_network([clip(120)], SHAPE)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)

    def made():
        w = network.infer_w(poses)[0]
        z = network.infer_z(poses, w)[0]
        last, before = network.shifted(poses)
        memory = torch.cat([network.none(1), network.latents(z, 1)], 1)
        return network.poses_after(last, before, network.tokens(last, before, 1, w), memory, {})

    def error_m():
        return (made() - poses).reshape(24, 21, 3).norm(dim=-1).mean()

    before = float(error_m().detach())
    for step in range(300):
        if step == 200:
            optimizer.param_groups[0]['lr'] = 5e-4
        loss = ((made() - poses) ** 2).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(error_m().detach()) < 0.005 < before


@pytest.mark.slow
def test_training_runs_both_losses_and_goes_on_from_weights():
    config = TrainingConfig(
        seconds=1.5, batch=2, best_batch=2, futures=2, lengths=(14, 16), observed=8, warm_up=0.1
    )
    seen = {}
    first = train([clip()], config, lambda gone, figures: seen.update(figures))
    assert first.state_dict()['step.weight'].abs().max() > 0
    again = train([clip()], config, lambda gone, figures: None, first.state_dict())
    assert not torch.equal(again.state_dict()['step.weight'], first.state_dict()['step.weight'])
