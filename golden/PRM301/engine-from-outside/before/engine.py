import torch.nn as nn
from deepspeed.runtime.engine import DeepSpeedEngine

from training_kit import ModuleWithHooks


class LoggingEngine(DeepSpeedEngine):
    def forward(self, x):
        return super().forward(x)

    def backward(self, grad):
        self.last = grad
        return grad


class Hooked(ModuleWithHooks, nn.Module):
    def forward(self, x):
        return x * 2

    def backward(self, grad):
        return grad * 2
