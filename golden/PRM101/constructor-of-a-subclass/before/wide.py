from torch import nn

from gate import Gate


class WideGate(Gate):
    def __init__(self, channels=4, spread=3.0):
        super().__init__(channels)
        nn.init.normal_(self.width, 0.0, spread)


class NamedGate(Gate):
    def __init__(self, name):
        super().__init__()
        self.name = name
