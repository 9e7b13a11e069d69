"""The loss of a token-and-duration transducer (Xu et al. 2023, arXiv 2304.06795, equation 7), vectorised over a batch.

NeMo's own need CUDA: `tdt_pytorch` too calls .cuda(), and visits every cell in Python.
"""

from __future__ import annotations

import torch

DURATIONS = (0, 1, 2, 3, 4)
SIGMA = 0.02
"""Logit under-normalisation: favours longer durations."""

IMPOSSIBLE = -1e4


def tdt_loss(logits: torch.Tensor, targets: list[list[int]], steps: torch.Tensor, blank: int) -> torch.Tensor:
    """Mean over the batch of -log P / (labels + 1). logits: (batch, frames, labels + 1, tokens + blank + durations).

    `steps`: the valid frames of each clip, (batch,).
    """
    batch, frames, columns, _ = logits.shape
    token = logits[..., : -len(DURATIONS)].log_softmax(-1) - SIGMA
    duration = logits[..., -len(DURATIONS) :].log_softmax(-1)
    counts = torch.tensor([len(ids) for ids in targets])
    labels = torch.zeros(batch, columns - 1, dtype=torch.long)
    for row, ids in zip(labels, targets, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    silent = token[..., blank]
    spoken = token[:, :, :-1].gather(-1, labels[:, None, :, None].expand(batch, frames, columns - 1, 1))[..., 0]
    forward = {(0, 0): torch.zeros(batch)}
    for frame in range(frames + 1):
        for column in range(columns):
            if (frame, column) == (0, 0):
                continue
            arcs = []
            for number, step in enumerate(DURATIONS):
                source = frame - step
                if not 0 <= source < frames:
                    continue
                if step > 0 and (source, column) in forward:
                    taken = silent[:, source, column] + duration[:, source, column, number]
                    arcs.append(forward[source, column] + taken)
                if column > 0 and (source, column - 1) in forward:
                    taken = spoken[:, source, column - 1] + duration[:, source, column - 1, number]
                    arcs.append(forward[source, column - 1] + taken)
            impossible = torch.full((batch,), IMPOSSIBLE)
            forward[frame, column] = torch.stack(arcs).logsumexp(0) if arcs else impossible
    ends = torch.stack([forward[int(steps[row]), int(counts[row])][row] for row in range(batch)])
    return -(ends / (counts + 1)).mean()
