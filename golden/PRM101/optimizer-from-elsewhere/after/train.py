import torch

from gate import Gate

gate = Gate()
optimizer = torch.optim.Adam(gate.parameters(), lr=1e-3)
optimizer.register_step_post_hook(gate.project_parameters)
