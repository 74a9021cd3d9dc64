from __future__ import annotations

import pytest

from ollamapy.config import chooses_waiting


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, False),
        ({"GOMP_SPINCOUNT": ""}, False),
        ({"GOMP_SPINCOUNT": "0"}, True),
        ({"OMP_WAIT_POLICY": "active"}, True),
    ],
)
def test_either_variable_is_a_choice(environ: dict[str, str], expected: bool) -> None:
    assert chooses_waiting(environ) is expected
