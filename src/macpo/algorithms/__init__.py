"""Algorithms: one short file each, on the learner of its family (`macpo.learners`).

>>> from macpo.algorithms import QMIX
>>> QMIX(td_lambda=0.0).mixing_embed_dim
32

Each class holds an algorithm's settings, and its `make(env, weighting)` builds the learner. A name
is imported when it is first used.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.algorithms.coma import COMA
    from macpo.algorithms.cwqmix import CWQMIX
    from macpo.algorithms.dop import DOP
    from macpo.algorithms.fop import FOP
    from macpo.algorithms.iql import IQL
    from macpo.algorithms.mappo import MAPPO
    from macpo.algorithms.owqmix import OWQMIX
    from macpo.algorithms.qmix import QMIX
    from macpo.algorithms.qplex import QPLEX
    from macpo.algorithms.qtran import QTRAN
    from macpo.algorithms.vdac import VDAC
    from macpo.algorithms.vdn import VDN

__all__ = [
    "COMA",
    "CWQMIX",
    "DOP",
    "FOP",
    "IQL",
    "MAPPO",
    "OWQMIX",
    "QMIX",
    "QPLEX",
    "QTRAN",
    "VDAC",
    "VDN",
]

__getattr__, __dir__ = lazy_names(
    __name__, {name: f"{__name__}.{name.lower()}" for name in __all__}
)
