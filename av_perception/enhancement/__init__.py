# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A voice in noise made clear: with a classic gain, or with a prior of speech learnt alone."""
