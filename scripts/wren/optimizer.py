"""Muon for the weight matrices and AdamW for the rest, as one optimizer with one learning-rate factor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MATRIX_RATE, MATRIX_MOMENTUM, MATRIX_DECAY = 0.02, 0.95, 0.01
OTHER_RATE = 4e-3
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Optimizer:
    """Muon: momentum made orthogonal by Newton-Schulz steps. Source: Jordan et al., "Muon", 2024."""

    def __init__(self, model: nn.Module) -> None:
        blocks = dict(model.blocks.named_parameters()) if isinstance(model.blocks, nn.Module) else {}
        self.matrices = [weight for weight in blocks.values() if weight.ndim == 2]
        chosen = {id(weight) for weight in self.matrices}
        others = [weight for weight in model.parameters() if id(weight) not in chosen]
        self.momenta = [torch.zeros_like(weight) for weight in self.matrices]
        self.adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for momentum, saved in zip(self.momenta, state["momenta"], strict=True):
            momentum.copy_(saved)
        self.adam.load_state_dict(state["adam"])

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Change the weights by their gradients; `factor` scales both learning rates."""
        for weight, momentum in zip(self.matrices, self.momenta, strict=True):
            if weight.grad is None:
                continue
            momentum.lerp_(weight.grad, 1 - MATRIX_MOMENTUM)
            update = orthogonal(weight.grad.lerp(momentum, MATRIX_MOMENTUM))
            rate = factor * MATRIX_RATE
            scale = rate * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
            weight.mul_(1 - rate * MATRIX_DECAY).add_(update, alpha=-scale)
        for group in self.adam.param_groups:
            group["lr"] = factor * OTHER_RATE
        self.adam.step()


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix, roughly."""
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    flipped = x.shape[0] > x.shape[1]
    if flipped:
        x = x.T
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if flipped else x).float()
