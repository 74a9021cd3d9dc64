"""The few tokens among which a sampler chain that keeps only the likeliest ones can choose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_GROUPS_OF = 64  # logits; each group's largest is a lower bound of what its tokens can reach
_LEAST_GROUPS_EACH = 4  # for each wanted token: with fewer, hardly anything is left out


def likeliest(logits: Floats, n_wanted: int) -> Ints | None:
    """Return the ids of the `n_wanted` largest of (n_vocab,) logits and perhaps of some more, in their order.

    None where looking at all of them is as good: the vocabulary is small, or most logits are no finite numbers.
    """
    n_groups = len(logits) // _GROUPS_OF
    if n_groups < _LEAST_GROUPS_EACH * n_wanted:
        return None
    # n_wanted groups have a logit as large as `least`, so each of the n_wanted largest is at least that
    n_grouped = _GROUPS_OF * n_groups
    grid = logits[:n_grouped].reshape(_GROUPS_OF, n_groups)
    tops = grid.max(axis=0)
    least = np.partition(tops, n_groups - n_wanted)[n_groups - n_wanted]
    if not np.isfinite(least):
        return None
    groups = np.flatnonzero(~(tops < least))  # also those with something that is no number
    rows, columns = np.divmod(np.flatnonzero(grid.take(groups, axis=1) >= least), len(groups))
    rest = np.flatnonzero(logits[n_grouped:] >= least)
    return np.concatenate((rows * n_groups + groups[columns], n_grouped + rest)).astype(np.int32)
