# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Two machines on one: namespaces of the network with a bad cable between them."""
