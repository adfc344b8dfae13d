from abc import ABC, abstractmethod

from torch import nn


class BaseModel(nn.Module, ABC):
    def __init__(self, opt):
        super().__init__()
        self.opt = opt

    @abstractmethod
    def set_input(self, data): ...

    def optimize_parameters(self):
        self.forward()
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()
