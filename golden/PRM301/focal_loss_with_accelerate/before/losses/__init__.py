from .focal import FocalLoss
