# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual clustering by exact EM: weighted-data mixtures, audio-visual events, the two-microphone mode, microphone calibration."""
