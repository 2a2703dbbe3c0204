"""Replay weightings: from TD errors, values and policies to one weight per stored step.

    weigh = macpo.weighting.MacPO(value_temperature=10.0)
    w = weigh(q=q, target=y, q_star=q_star, pi_taken=pi, mask=mask)

Arrays may be NumPy's, JAX's or torch's; importing this package imports neither JAX nor torch. Each
weighting is a frozen dataclass in a module of its own, and what all have in common is in
`macpo.weighting.weighting`.
"""

from macpo import registry
from macpo.weighting.boltzmann import taken_probs
from macpo.weighting.cwqmix import CWQMIX
from macpo.weighting.differ import DIFFER
from macpo.weighting.discor import DisCor
from macpo.weighting.discor_net import DisCorNet
from macpo.weighting.factors import Factor
from macpo.weighting.laber import LaBER
from macpo.weighting.loss import weighted_loss
from macpo.weighting.macpo import MacPO
from macpo.weighting.macpo_approx import MacPOApprox
from macpo.weighting.macpo_no_bellman import MacPONoBellman
from macpo.weighting.macpo_no_joint import MacPONoJoint
from macpo.weighting.macpo_no_value import MacPONoValue
from macpo.weighting.macpo_regret import MacPORegret
from macpo.weighting.owqmix import OWQMIX
from macpo.weighting.per import PER
from macpo.weighting.per_pal import PERPAL
from macpo.weighting.per_rank import PERRank
from macpo.weighting.pser import PSER
from macpo.weighting.reaper import ReaPER
from macpo.weighting.relo import ReLo
from macpo.weighting.remern import ReMERN
from macpo.weighting.remern_net import ReMERNNet
from macpo.weighting.remert import ReMERT
from macpo.weighting.signals import MEANING, Signals
from macpo.weighting.uniform import Uniform
from macpo.weighting.weighting import (
    BoltzmannWeighting,
    RunningMean,
    Weighting,
    WeightingOutput,
    effective_sample_size,
)

__all__ = [
    "CWQMIX",
    "DIFFER",
    "MEANING",
    "OWQMIX",
    "PER",
    "PERPAL",
    "PSER",
    "BoltzmannWeighting",
    "DisCor",
    "DisCorNet",
    "Factor",
    "LaBER",
    "MacPO",
    "MacPOApprox",
    "MacPONoBellman",
    "MacPONoJoint",
    "MacPONoValue",
    "MacPORegret",
    "PERRank",
    "ReLo",
    "ReMERN",
    "ReMERNNet",
    "ReMERT",
    "ReaPER",
    "RunningMean",
    "Signals",
    "Uniform",
    "Weighting",
    "WeightingOutput",
    "available",
    "effective_sample_size",
    "make",
    "taken_probs",
    "weighted_loss",
]


def make(name: str, **options: object) -> Weighting:
    """The weighting called `name` (see `macpo list weightings`) with these options.

    Raises UsageError for a name or an option that does not exist, or a value out of bounds.

    >>> make("macpo", value_temperature=10.0).value_temperature
    10.0
    """
    return registry.make_config("weighting", name, **options)


def available() -> tuple[str, ...]:
    """The names that `make` knows.

    >>> "macpo" in available()
    True
    """
    return tuple(registry.discover("weighting"))
