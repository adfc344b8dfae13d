from .affine import Affine
from .base import Invertible


class AffineFlow(Affine, Invertible):
    pass
