# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Short-time spectra: windows, transforms and their inverse, NMF, Wiener filters."""
