"""Hyper-parameters that all algorithms share, and the optimisers they describe."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import optax

from macpo import registry
from macpo.bounds import Finite, Fraction, Positive, PositiveInt, check_fields
from macpo.field_types import Settings
from macpo.types import PyTree

OptimiserName: TypeAlias = Literal["adam", "rmsprop"]


@dataclass(frozen=True)
class Hyperparameters:
    """Hyper-parameters of every algorithm, with PyMARL2's names and values."""

    schedule: ClassVar[Settings] = {}

    lr: Positive = 1e-3
    """Learning rate (PyMARL2 with Adam; PyMARL has 5e-4 with RMSprop)."""
    optimiser: OptimiserName = "adam"
    """`adam`: PyMARL2; `rmsprop`: PyMARL."""
    optim_alpha: Fraction = 0.99
    """RMSprop's decay (PyMARL)."""
    optim_eps: Positive = 1e-8
    """Added to the root of the second moment; PyMARL uses 1e-5 with RMSprop."""
    grad_norm_clip: Finite = 10.0
    """Maximum norm of the gradient of all networks of an optimiser; 0 or less: no clipping."""
    gamma: Fraction = 0.99
    """Discount per env step."""
    td_lambda: Fraction = 0.6
    """λ of the return."""
    rnn_hidden_dim: PositiveInt = 64
    """Width of the agents' recurrent state."""

    def __post_init__(self) -> None:
        check_fields(self, registry.module_name(self))

    def make_optimiser(self, lr: float | None = None) -> optax.GradientTransformation:
        """The references' RMSprop or Adam with one learning rate, by default `lr`.

        The norm of the gradient is clipped first.
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


def optimiser_step(
    optimiser: optax.GradientTransformation,
    grads: PyTree,
    opt_state: optax.OptState,
    params: PyTree,
) -> tuple[PyTree, optax.OptState]:
    """(networks, the optimiser's state) after one step."""
    updates, opt_state = optimiser.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state
