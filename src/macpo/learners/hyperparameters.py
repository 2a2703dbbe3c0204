"""Hyper-parameters that all algorithms share, and the optimisers they describe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import optax

from macpo.errors import require, require_choice

OptimiserName: TypeAlias = Literal["adam", "rmsprop"]


@dataclass(frozen=True)
class Hyperparameters:
    """PyMARL2's names and values."""

    schedule: ClassVar[Mapping[str, Any]] = {}

    lr: float = 1e-3
    """Learning rate (PyMARL2 with Adam; PyMARL has 5e-4 with RMSprop)."""
    optimiser: OptimiserName = "adam"
    """`adam`: PyMARL2; `rmsprop`: PyMARL."""
    optim_alpha: float = 0.99
    """RMSprop's decay (PyMARL)."""
    optim_eps: float = 1e-8
    """Added to the root of the second moment; PyMARL uses 1e-5 with RMSprop."""
    grad_norm_clip: float = 10.0
    """Largest norm of the gradient of all networks of an optimiser; 0 or less: no clipping."""
    gamma: float = 0.99
    """Discount per env step."""
    td_lambda: float = 0.6
    """λ of the return."""
    rnn_hidden_dim: int = 64
    """Width of the agents' recurrent state."""

    def __post_init__(self) -> None:
        require_choice("algorithm", "optimiser", self.optimiser, OptimiserName)
        self.require_positive("lr", "rnn_hidden_dim", "optim_eps")
        self.require_fraction("gamma", "td_lambda")

    def require_positive(self, *names: str) -> None:
        """UsageError unless each of these options is above zero."""
        for name in names:
            value = getattr(self, name)
            require(value > 0, f"algorithm: {name} must be positive, not {value}.")

    def require_fraction(self, *names: str) -> None:
        """UsageError unless each of these options is between 0 and 1."""
        for name in names:
            value = getattr(self, name)
            require(0 <= value <= 1, f"algorithm: {name} must be between 0 and 1, not {value}.")

    def require_not_negative(self, *names: str) -> None:
        """UsageError if one of these options is below zero."""
        for name in names:
            value = getattr(self, name)
            require(value >= 0, f"algorithm: {name} must not be negative, but is {value}.")

    def make_optimiser(self, lr: float | None = None) -> optax.GradientTransformation:
        """The references' RMSprop or Adam for networks that learn at one rate, by default `lr`.

        The norm of their gradient is clipped first.
        """
        rate = self.lr if lr is None else lr
        if self.optimiser == "adam":
            step = optax.adam(rate, eps=self.optim_eps)
        else:  # PyTorch adds eps outside the root
            decay, eps = self.optim_alpha, self.optim_eps
            step = optax.rmsprop(rate, decay=decay, eps=eps, eps_in_sqrt=False)
        if self.grad_norm_clip <= 0:
            return step
        return optax.chain(optax.clip_by_global_norm(self.grad_norm_clip), step)
