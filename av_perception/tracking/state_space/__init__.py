# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How people move, and what camera and array observe of them."""
