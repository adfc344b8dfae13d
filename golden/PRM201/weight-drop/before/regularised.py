import torch.nn.functional as F
from torch import nn


class WeightDropout(nn.Module):
    """Dropout on the hidden-to-hidden weights of a recurrent layer."""

    def __init__(self, layer, p=0.5):
        super().__init__()
        self.layer, self.p = layer, p
        raw = self.layer.weight_hh_l0
        delattr(self.layer, "weight_hh_l0")
        self.layer.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))

    def forward(self, x):
        raw = self.layer.weight_hh_l0_raw
        self.layer.weight_hh_l0 = F.dropout(raw * 1.0, p=self.p, training=self.training)
        return self.layer(x)


model = WeightDropout(nn.LSTM(4, 4))
