"""The references' optimisers: RMSprop as in PyTorch or Adam, after clipping the gradient's norm."""

from typing import Literal, Protocol, TypeAlias

import optax

OptimiserName: TypeAlias = Literal["adam", "rmsprop"]


class Options(Protocol):
    """What a configuration says about its optimiser."""

    @property
    def optimiser(self) -> OptimiserName:
        """Which."""
        ...

    @property
    def optim_alpha(self) -> float:
        """Decay of RMSprop."""
        ...

    @property
    def optim_eps(self) -> float:
        """Added to the root of the second moment."""
        ...

    @property
    def grad_norm_clip(self) -> float:
        """Largest norm of the gradient; 0 or less: no clipping."""
        ...


def make_optimiser(options: Options, lr: float) -> optax.GradientTransformation:
    """The optimiser of one group of networks, whose gradient has one norm."""
    if options.optimiser == "adam":
        step = optax.adam(lr, eps=options.optim_eps)
    else:  # PyTorch adds eps outside the root
        decay, eps = options.optim_alpha, options.optim_eps
        step = optax.rmsprop(lr, decay=decay, eps=eps, eps_in_sqrt=False)
    if options.grad_norm_clip <= 0:
        return step
    return optax.chain(optax.clip_by_global_norm(options.grad_norm_clip), step)
