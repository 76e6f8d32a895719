"""`EvidenceGate`: how much each expert counts at a bar, from the bars up to it.

One bar does not show a regime; evidence for it adds up, and fades. So quadratic forms read evidence off each bar,
exponential averages over several spans add it up, and a small network turns those into weights. This is the shape of a
Bayes filter of hidden regimes, whose log-odds leak and take in one likelihood ratio a bar (Hamilton 1989): between
normal regimes that differ in drift, volatility or autocorrelation the ratio's logarithm is a quadratic form of the
last returns. Averages are cut off at the window, so the receptive field is exact, as in `CoreTransformer`.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

_OPINION = 5.0  # factor on torch's usual start of the last layer
_SPANS = (16, 4, 1)  # windows per span of an average


class EvidenceGate(nn.Module):
    """How much each of E experts is believed to be the right one, at every bar.

    At first no expert is favoured on average, but the weights vary at random from bar to bar: experts with equal
    weights learn the same and stay the same, and then the gate has nothing to learn.

    Args:
        input_dim: features F per bar.
        hidden_dim: kinds of evidence K, and hidden width of the network that weighs them.
        experts: E.
        window: bars it looks back, the current one included.

    Attributes:
        receptive_field: the window.
    """

    kernels: Tensor

    def __init__(self, input_dim: int, hidden_dim: int, experts: int, window: int) -> None:
        super().__init__()
        self.receptive_field, self._kinds = window, hidden_dim
        self.left, self.right = nn.Linear(input_dim, hidden_dim), nn.Linear(input_dim, hidden_dim)
        self.register_buffer("kernels", _averages(window), persistent=False)
        self.judge = nn.Sequential(nn.Linear(hidden_dim * len(_SPANS), hidden_dim), nn.GELU())
        self.output = nn.Linear(hidden_dim, experts)
        with torch.no_grad():
            self.output.weight.mul_(_OPINION)
            self.output.bias.zero_()

    def forward(self, x: Tensor, context: int) -> Tensor:
        """Return log-beliefs at every bar after the first `context`: (B, T, F) -> (B, T - context, E).

        Bars with less than `receptive_field - 1` bars before them see a shorter past.
        """
        bars, past = x.shape[1] - context, self.receptive_field - 1
        seen = x[:, -(bars + past) :]
        evidence = (self.left(seen) * self.right(seen)).tanh().transpose(1, 2)  # (B, K, T)
        padded = functional.pad(evidence, (max(0, past - context), 0))
        kernels = self.kernels.repeat(self._kinds, 1, 1)  # (K·S, 1, W)
        averages = functional.conv1d(padded, kernels, groups=self._kinds).transpose(1, 2)  # (B, T - context, K·S)
        log_beliefs: Tensor = self.output(self.judge(averages)).log_softmax(-1)
        return log_beliefs


def _averages(window: int) -> Tensor:
    # (S, 1, W), the last weight is the current bar's. Each average is scaled to unit variance for evidence that is
    # independent from bar to bar, so that all spans speak as loudly.
    ages = torch.arange(window - 1, -1, -1.0)
    decays = torch.tensor([1.0 - 2.0 / (window / part + 1.0) for part in _SPANS]).clamp_min(0.0)
    kernels = decays[:, None] ** ages
    return (kernels / kernels.square().sum(-1, keepdim=True).sqrt())[:, None]
