"""AdamW compared with that of torch."""

from __future__ import annotations

import torch

from tasks.adamw import adamw_step


def test_members_of_a_stack_get_the_steps_of_torch() -> None:
    settings = [(1e-2, 0.1), (1e-3, 0.0)]
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    weights, means, squares = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    theirs = [torch.nn.Parameter(row.clone()) for row in start]
    optimizers = [
        torch.optim.AdamW([parameter], lr=lr, weight_decay=decay)
        for parameter, (lr, decay) in zip(theirs, settings, strict=True)
    ]
    for step in range(1, 6):
        gradients = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(step))
        for k, (lr, decay) in enumerate(settings):
            parts = ([part[k]] for part in (weights, gradients, means, squares))
            adamw_step(*parts, lr=lr, weight_decay=decay, step=step)
        for parameter, optimizer, own in zip(theirs, optimizers, gradients, strict=True):
            parameter.grad = own.clone()
            optimizer.step()
    torch.testing.assert_close(weights, torch.stack([p.data for p in theirs]))
