# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A web page that shows people from above, live: what it is told, and who may see it."""
