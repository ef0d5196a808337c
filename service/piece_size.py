"""How many crops the processor embeds at once."""

import time

from contract.manifest import Manifest
from service.parity import Embed, probe_crops

# More crops' activations do not fit the processor's cache: on one thread SFace's network embeds 46
# crops/s in pieces of 8 and 30 in one of 32.
MOST_AT_ONCE = 8
ROUNDS = 2


def fastest_piece(embed: Embed, manifest: Manifest) -> int:
    """1 or MOST_AT_ONCE, whichever takes `embed` less of this processor in a short trial.

    It depends on the network and on the cache: few weights and large activations go faster one by
    one (SFace's, by a fifth on an AMD EPYC), many weights go faster together (ResNet, by a third).
    """
    crops = probe_crops(manifest.input.height, manifest.input.width, count=MOST_AT_ONCE)

    def seconds(at_once: int) -> float:
        # Of this thread: other work on the machine must not decide.
        start = time.thread_time()
        for first in range(0, MOST_AT_ONCE, at_once):
            embed(crops[first : first + at_once])
        return time.thread_time() - start

    for at_once in (1, MOST_AT_ONCE):
        embed(crops[:at_once])  # Memory is taken and kernels are chosen at the first of each shape.
    return min((1, MOST_AT_ONCE), key=lambda n: min(seconds(n) for _ in range(ROUNDS)))
