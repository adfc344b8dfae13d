import torch

from wide import WideGate

gate = WideGate()
optimizer = torch.optim.Adam(gate.parameters(), lr=1e-3)
optimizer.register_step_post_hook(gate.project_parameters)
