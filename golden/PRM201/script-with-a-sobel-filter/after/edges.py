import torch
from torch import nn

sobel = nn.Conv2d(1, 2, kernel_size=3, padding=1, bias=False)
sobel.weight.data.copy_(  # one filter for each direction
    torch.tensor(
        [
            [[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]],  # horizontal
            [[[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]],  # vertical
        ]
    )
    / 8
)

image = torch.rand(1, 1, 16, 16)
edges = sobel(image).pow(2).sum(dim=1).sqrt()
print(tuple(edges.shape))
