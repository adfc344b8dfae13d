import torch

from gate import Gate

gate = Gate()
optimizer = torch.optim.Adam(gate.parameters(), lr=1e-3)
