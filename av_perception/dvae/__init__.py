# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Dynamical variational autoencoders: models of sequences with latents, and priors of speech.

The seven models of Girin, Leglaive, Bie, Diard, Hueber and Alameda-Pineda, "Dynamical variational
autoencoders: a comprehensive review" (Foundations and Trends in Machine Learning 15(1-2), 2021),
beside the VAE. Each is written once, against the few operations of `backend.py`.
"""
