import torch

from wide import WideGate

gate = WideGate()
optimizer = torch.optim.Adam(gate.parameters(), lr=1e-3)
