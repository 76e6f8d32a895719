"""Policy and value heads over (embedding of the bar, account).

The first layer is linear in both, so its embedding half is computed once per bar (`market_half`) and its account half
once per account; their sum is what a layer on the concatenation would give.
"""

import torch
from torch import Tensor, nn

_SMALL = 0.01  # a fresh policy is close to uniform


class AccountHead(nn.Module):
    """Two hidden tanh layers and a linear output.

    Args:
        embedding_dim: width D of the bar's embedding.
        account_dim: account inputs C.
        hidden_dim: width of both hidden layers.
        output_dim: logits, distribution parameters or one value.
    """

    def __init__(self, embedding_dim: int, account_dim: int, hidden_dim: int, output_dim: int) -> None:
        super().__init__()
        self.market_half = nn.Linear(embedding_dim, hidden_dim)
        self.account_half = nn.Linear(account_dim, hidden_dim, bias=False)
        self.hidden = nn.Linear(hidden_dim, hidden_dim)
        self.output = nn.Linear(hidden_dim, output_dim)

    def forward(self, market_half: Tensor, account: Tensor) -> Tensor:
        """Return outputs (..., output_dim).

        Args:
            market_half: `self.market_half(embedding)`, (..., 1, hidden) where several accounts share a bar.
            account: (..., P, C).
        """
        hidden = torch.tanh(market_half + self.account_half(account))
        outputs: Tensor = self.output(torch.tanh(self.hidden(hidden)))
        return outputs


def policy_head(embedding_dim: int, account_dim: int, hidden_dim: int, output_dim: int) -> AccountHead:
    """Return a head whose first outputs are close to zero, so that a fresh policy explores evenly."""
    head = AccountHead(embedding_dim, account_dim, hidden_dim, output_dim)
    with torch.no_grad():
        head.output.weight.mul_(_SMALL)
        head.output.bias.zero_()
    return head
