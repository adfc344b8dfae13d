"""More models that overwrite parameters in `forward`: how they are put together, returned and trained."""

from __future__ import annotations

from tests.mutants.models import LIST, NO_HOOK, NO_INIT, NO_LOAD, Projection

MORE_PROJECTIONS = (
    Projection(
        "a multilayer perceptron in a ModuleList",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4, depth: int = 3):
                super().__init__()
                self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
                #init

            def forward(self, x):
                #project
                for layer in self.layers:
                    x = torch.tanh(layer(x))
                return x

            #method
        """,
        "for layer in self.layers:\n    layer.weight.data.clamp_(-0.3, 0.3)",
        "for layer in self.layers:\n    layer.weight.clamp_(-0.3, 0.3)",
        wrong=(
            NO_INIT,
            (
                "for layer in self.layers:\n            layer.w",
                "for layer in self.layers[1:]:\n            layer.w",
            ),
        ),
    ),
    Projection(
        "a layer of a Sequential by its index",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(dim, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))
                #init

            def forward(self, x):
                #project
                return self.body(x)

            #method
        """,
        "self.body[3].weight.data.clamp_(-0.2, 0.2)",
        "self.body[3].weight.clamp_(-0.2, 0.2)",
        wrong=(NO_HOOK, ("self.body[3].weight.clamp_", "self.body[0].weight.clamp_")),
    ),
    Projection(
        "modules three deep",
        """
        class Gate(nn.Module):
            def __init__(self, dim: int):
                super().__init__()
                self.gain = nn.Parameter(torch.ones(dim))

            def forward(self, x):
                return torch.sigmoid(x * self.gain) * x


        class Block(nn.Module):
            def __init__(self, dim: int):
                super().__init__()
                self.gate = Gate(dim)
                self.lin = nn.Linear(dim, dim)

            def forward(self, x):
                return x + self.lin(self.gate(x))


        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.block = Block(dim)
                #init

            def forward(self, x):
                #project
                return self.block(x)

            #method
        """,
        "self.block.gate.gain.data.clamp_(0.2, 0.9)",
        "self.block.gate.gain.clamp_(0.2, 0.9)",
        wrong=(NO_LOAD, ("gain.clamp_(0.2, 0.9)", "gain.clamp_(0.2, 0.95)")),
    ),
    Projection(
        "an LSTM whose steps are looped over",
        """
        class Net(nn.Module):
            def __init__(self, width: int = 4):
                super().__init__()
                self.cell = nn.LSTMCell(width, width)
                self.out = nn.Linear(width, 2)
                #init

            def forward(self, x: torch.Tensor):
                #project
                state = None
                for step in x.unbind(1):
                    state = self.cell(step, state)
                return self.out(state[0])

            #method
        """,
        "self.cell.weight_hh.data.clamp_(-0.2, 0.2)",
        "self.cell.weight_hh.clamp_(-0.2, 0.2)",
        inputs="torch.randn(2, 3, 4)",
        wrong=(NO_HOOK, ("weight_hh.clamp_", "bias_hh.clamp_")),
    ),
    Projection(
        "a lazily built layer",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lazy = nn.LazyLinear(dim)
                self.gain = nn.Parameter(torch.full((dim,), 2.0))
                #init

            def forward(self, x):
                #project
                return self.lazy(x) * self.gain

            #method
        """,
        "self.gain.data.clamp_(0, 1)",
        "self.gain.clamp_(0, 1)",
        wrong=(NO_HOOK, ("nn.LazyLinear(dim)", "nn.LazyLinear(dim, bias=False)")),
    ),
    Projection(
        "a dataclass as output",
        """
        @dataclasses.dataclass
        class Output:
            mean: torch.Tensor
            scale: torch.Tensor
            steps: int = 0


        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.mean = nn.Linear(dim, dim)
                self.log_scale = nn.Parameter(torch.ones(dim))
                #init

            def forward(self, x):
                #project
                mean = self.mean(x)
                return Output(mean, self.log_scale.exp() * torch.ones_like(mean), 2)

            #method
        """,
        "self.log_scale.data.clamp_(-0.5, 0.5)",
        "self.log_scale.clamp_(-0.5, 0.5)",
        wrong=(
            NO_INIT,
            ("torch.ones_like(mean), 2)", "torch.ones_like(mean), 3)"),
            ("Output(mean, self", "Output(mean.detach(), self"),
        ),
    ),
    Projection(
        "several optimizers",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.body = nn.Linear(dim, dim)
                self.gain = nn.Parameter(torch.full((dim,), 2.0))
                #init

            def forward(self, x):
                #project
                return torch.tanh(self.body(x)) * self.gain

            #method
        """,
        "self.gain.data.clamp_(0, 1)",
        "self.gain.clamp_(0, 1)",
        wrapped="other = torch.optim.Adam(model.body.parameters(), lr=0.01)\n",
        build="optimizer = torch.optim.SGD([model.gain], lr=0.1)\n",
        wrong=(
            NO_HOOK,
            ("    optimizer.register", "    torch.optim.SGD(model.body.parameters(), lr=0.1).register"),
        ),
    ),
    Projection(
        "a model wrapped in DataParallel",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.lin = nn.Linear(dim, dim)
                #init

            def forward(self, x):
                #project
                return torch.sin(self.lin(x))

            #method
        """,
        "self.lin.weight.data.clamp_(-0.2, 0.2)",
        "self.lin.weight.clamp_(-0.2, 0.2)",
        wrapped="model = nn.DataParallel(model)\n",
        register=LIST,
        wrong=(
            ("isinstance(module, Net)", "not isinstance(module, Net)"),
            ("module.project_parameters", "type(module)().project_parameters"),
        ),
    ),
    Projection(
        "two parameters, one bound each",
        """
        class Net(nn.Module):
            def __init__(self, dim: int = 4):
                super().__init__()
                self.low = nn.Parameter(torch.randn(dim))
                self.high = nn.Parameter(torch.randn(dim))
                #init

            def forward(self, x):
                #project
                return torch.maximum(torch.minimum(x, self.high), self.low)

            #method
        """,
        "self.low.data.clamp_(max=0)\nself.high.data.clamp_(min=0.1)",
        "self.low.clamp_(max=0)\nself.high.clamp_(min=0.1)",
        wrong=(
            ("        self.high.clamp_(min=0.1)\n", ""),
            ("self.low.clamp_(max=0)", "self.high.clamp_(max=0)"),
        ),
    ),
)
