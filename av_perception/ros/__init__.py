# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes share.

Conversions, parameters, life cycle, diagnostics, bags, and what a wheel environment lacks.
"""
