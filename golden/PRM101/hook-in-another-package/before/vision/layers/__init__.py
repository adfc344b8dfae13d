from .bounded import BoundedLinear
