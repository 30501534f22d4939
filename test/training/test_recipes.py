# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recipes: every model can begin as the prior that its recipe names."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.dvae.families import MODELS
from av_perception.dvae.objective import bound
from av_perception.dvae.start import parameters_from_vae, random_parameters
from av_perception.errors import UserError

pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')


@pytest.mark.parametrize('name', [name for name in MODELS if name != 'vae'])
def test_every_model_begins_as_the_wide_vae(name):
    from av_perception.training.recipes import beginning, recipe

    assert beginning(name) == 'wide_vae'
    start = random_parameters(MODELS['vae'], recipe('wide_vae').sizes, seed=0)
    config = recipe(name)
    model = MODELS[name](
        config.sizes, parameters_from_vae(MODELS[name], config.sizes, start, seed=1)
    )
    vae = MODELS['vae'](recipe('wide_vae').sizes, start)
    x = np.random.default_rng(0).standard_normal((3, 2, 513)).astype(np.float32)
    assert np.allclose(bound(model, x).decoded, bound(vae, x).decoded, atol=1e-4)


def test_names_that_do_not_exist_are_answered():
    from av_perception.training.recipes import recipe

    with pytest.raises(UserError, match='known: vae'):
        recipe('gan')
