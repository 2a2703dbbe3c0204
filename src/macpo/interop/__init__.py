"""Environments of other libraries here, and ours there; `check` tests either.

A name is imported when it is first used. The way to PettingZoo is `macpo.to_pettingzoo`.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.interop.check import examine
    from macpo.interop.padding import padded
    from macpo.interop.to_host import on_host

__all__ = ["examine", "on_host", "padded"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "examine": "macpo.interop.check",
        "on_host": "macpo.interop.to_host",
        "padded": "macpo.interop.padding",
    },
)
