# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which track each face and sub-band belongs to: the E-Z steps."""
