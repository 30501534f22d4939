# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sizes of the HiT-DVAE, shared by inference and training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkShape:
    """Sizes."""

    #: numbers of a pose: three for each joint
    pose: int = 63
    #: of a token
    width: int = 96
    #: of attention
    heads: int = 4
    #: of the wide dense layer
    dense: int = 192
    #: numbers of z, the latent of a frame
    latent: int = 16
    #: numbers of w, the latent of a sequence
    sequence: int = 16
    #: of the posteriors of w and z
    encoder_layers: int = 1
    #: of the prior of z
    prior_layers: int = 1
    #: of the generator of poses
    generator_layers: int = 2
