"""Heads: the split first layer is a plain layer on the concatenation, computed once per bar."""

import torch
from torch import Tensor, nn

from src.models.heads import AccountHead, policy_head


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_head(output_dim: int = 5) -> AccountHead:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AccountHead(embedding_dim=9, account_dim=4, hidden_dim=16, output_dim=output_dim)


@torch.no_grad()
def test_the_split_layer_equals_one_layer_on_the_concatenation() -> None:
    head, embedding, account = make_head(), random_tensor(6, 9), random_tensor(6, 4, seed=1)
    whole = nn.Linear(13, 16)
    whole.weight.copy_(torch.cat([head.market_half.weight, head.account_half.weight], 1))
    whole.bias.copy_(head.market_half.bias)
    hidden = torch.tanh(whole(torch.cat([embedding, account], 1)))
    expected = head.output(torch.tanh(head.hidden(hidden)))
    assert expected.std() > 0.05
    torch.testing.assert_close(head(head.market_half(embedding), account), expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_accounts_that_share_a_bar_get_what_each_would_alone() -> None:
    head, embedding, account = make_head(), random_tensor(2, 7, 9), random_tensor(2, 7, 5, 4, seed=1)
    market = head.market_half(embedding)
    together = head(market[:, :, None], account)
    assert together.shape == (2, 7, 5, 5)
    for place in range(5):
        torch.testing.assert_close(together[:, :, place], head(market, account[:, :, place]), atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_fresh_policy_is_close_to_uniform_yet_hears_its_inputs() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = policy_head(9, 4, 16, 5)
    logits = head(head.market_half(random_tensor(100, 9)), random_tensor(100, 4, seed=1))
    assert (logits.softmax(-1) - 0.2).abs().max() < 0.01
    assert logits.std(0).min() > 0


def test_gradients_reach_both_halves() -> None:
    head = make_head()
    head(head.market_half(random_tensor(6, 9)), random_tensor(6, 4)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
