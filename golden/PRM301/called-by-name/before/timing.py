import time

import torch

from layer import Double


def seconds(module, phase, *args):
    start = time.perf_counter()
    getattr(module, phase)(*args)
    return time.perf_counter() - start


if __name__ == "__main__":
    layer = Double()
    for phase in ("forward", "backward"):
        print(phase, seconds(layer, phase, torch.ones(1000)))
