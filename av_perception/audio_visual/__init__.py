# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Seeing helps hearing: what the mouth shows of speech, in enhancement and separation."""
