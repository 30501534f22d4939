# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Numerics that several folders share: Gaussians, mixtures, EM, Kalman filters, chains."""
