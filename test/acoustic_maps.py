"""Small random acoustic maps."""

import numpy as np
from av_perception.audio.acoustic_map import AcousticMap


RATE = 16000


def random_map(rng, pieces, subbands=2, size=6):
    """A small map with pieces shared by the sub-bands."""
    root = rng.standard_normal((pieces, 3, 3))
    precision = root @ root.transpose(0, 2, 1) + 2 * np.eye(3)

    def share(value):
        return np.repeat(value[None], subbands, axis=0)
    weight = rng.random(pieces)
    return AcousticMap(
        log_weight=share(np.log(weight / weight.sum())), center=share(rng.standard_normal((pieces, 3))), center_precision=share(precision),
        center_log_det_precision=share(np.linalg.slogdet(precision)[1]), slope=rng.standard_normal((subbands, pieces, size, 3)),
        offset=rng.standard_normal((subbands, pieces, size)), variance=rng.uniform(0.5, 1.5, (subbands, pieces, size)),
        log_range=np.full(size, np.log(2)), sample_rate=RATE, window=256, hop=128, num_taps=1, subband_width=1, num_microphones=4,
        geometry_hash='x')
