"""What does it cost to encode bars, and which form is fastest?

One core. Forms take turns, so that whatever else the machine does slows all of them alike; the median counts. Ratios
are to the first line of each table. Every form of a table embeds the same bars, within 1e-5 of the first.

- blocks: as shipped. Context bars are looked at and not embedded; many queries are cut into blocks of a band.
- all bars: blocks, but the context is embedded too and thrown away.
- masked: one product over all bars under a mask, written out.
- sdpa: the same through `scaled_dot_product_attention`.
- windows: one pass per embedded bar, as a policy without shared embeddings needs.
- stream: bar by bar through `step`.
"""

import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import torch
import torch.nn.functional as functional
from torch import Tensor

from benchmarks.common import command_line, run_benchmark, timed
from src.config.model import CoreTransformerConfig
from src.models.attention import BandedAttention, _band_bias
from src.models.core_transformer import CoreTransformer

TAKES = "90 s"

FEATURES, SECONDS_PER_TABLE = 14, 12.0
Attend = Callable[[BandedAttention, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Form:
    """One way to encode, and the attention it uses where not the shipped one."""

    encode: Callable[[], Tensor]
    attend: Attend = BandedAttention._band
    learns: bool = True


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print a table for minibatches of training and one for a long series."""
    torch.set_num_threads(1)
    for chunks, width in ((4, 32), (8, 32), (32, 32), (8, 64)):
        encoder, x = make_case(chunks, 64, width)
        print_table(f"{chunks} chunks of 64 bars with context, width {width}", training_forms(encoder, x))
    encoder, x = make_case(1, 4096, 64)
    print_table("one series of 4096 bars, width 64", series_forms(encoder, x))


def make_case(chunks: int, bars: int, width: int) -> tuple[CoreTransformer, Tensor]:
    """Return an encoder whose branches are not zero, and features with its context in front."""
    torch.manual_seed(0)
    config = CoreTransformerConfig(d_model=width, ff_dim=4 * width)
    encoder = CoreTransformer.from_config(config, FEATURES, width)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return encoder, torch.randn(chunks, encoder.receptive_field - 1 + bars, FEATURES)


def training_forms(encoder: CoreTransformer, x: Tensor) -> dict[str, Form]:
    """Return the ways to embed all bars of some chunks that have their context."""
    context = encoder.receptive_field - 1

    def windows() -> Tensor:
        last: Tensor = encoder(x.unfold(1, context + 1, 1).transpose(2, 3).flatten(0, 1))
        return last.view(len(x), -1, last.shape[-1])

    return {
        "blocks": Form(lambda: encoder.encode(x, context)),
        "all bars": Form(lambda: encoder.encode(x)[:, context:]),
        "masked": Form(lambda: encoder.encode(x, context), BandedAttention._product),
        "all bars, sdpa": Form(lambda: encoder.encode(x)[:, context:], sdpa),
        "windows": Form(windows),
    }


def series_forms(encoder: CoreTransformer, x: Tensor) -> dict[str, Form]:
    """Return the ways to embed a long series."""
    context = encoder.receptive_field - 1

    def stream() -> Tensor:
        cache, outputs = None, []
        for bar in x.unbind(1):
            output, cache = encoder.step(bar, cache)
            outputs.append(output)
        return torch.stack(outputs, 1)[:, context:]

    def chunks() -> Tensor:
        pieces = x[0].unfold(0, context + 256, 256).transpose(1, 2)
        return encoder.encode(pieces, context).flatten(0, 1)[None]

    return {
        "blocks": Form(lambda: encoder.encode(x, context)),
        "blocks, chunks of 256": Form(chunks),
        "masked": Form(lambda: encoder.encode(x, context), BandedAttention._product),
        "sdpa": Form(lambda: encoder.encode(x, context), sdpa),
        "stream": Form(stream, learns=False),
    }


def sdpa(layer: BandedAttention, q: Tensor, keys_values: Tensor) -> Tensor:
    """Attend through torch's own kernel."""
    (batch, queries, width), keys = q.shape, keys_values.shape[1]
    shape = (batch, layer.num_heads, -1, layer.head_dim)
    query = layer._placed(layer._split_heads(q, 1)[0], keys - queries).view(shape)
    key, value = (part.view(shape) for part in layer._split_heads(keys_values, 2))
    bias = _band_bias(queries, keys, layer.band, q.device)[None, None]
    mixed = functional.scaled_dot_product_attention(query, layer._placed(key, 0), value, attn_mask=bias)
    return mixed.transpose(1, 2).reshape(batch, queries, width)


def print_table(title: str, forms: dict[str, Form]) -> None:
    """Check that all forms agree, then time them."""
    outputs = {name: encoded(form, learn=False) for name, form in forms.items()}
    expected = outputs["blocks"]
    for output in outputs.values():
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
    encode, learn = medians(forms, learn=False), medians({n: f for n, f in forms.items() if f.learns}, learn=True)
    print(f"\n{title:44s}{'encode':>10s}{'ratio':>8s}{'learn':>11s}{'ratio':>8s}")
    for name, seconds in encode.items():
        print(f"  {name:42s}{seconds * 1e3:>7.2f} ms{seconds / encode['blocks']:>7.2f}x", end="")
        print(f"{learn[name] * 1e3:>8.2f} ms{learn[name] / learn['blocks']:>7.2f}x" if name in learn else "")


def medians(forms: dict[str, Form], learn: bool) -> dict[str, float]:
    """Return median seconds; the forms take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    begun = time.perf_counter()
    while time.perf_counter() - begun < SECONDS_PER_TABLE / 2:
        for name, form in forms.items():
            seconds[name].append(timed(lambda form=form: encoded(form, learn))[1].wall)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def encoded(form: Form, learn: bool) -> Tensor:
    """Encode, and with `learn` differentiate too."""
    with patch.object(BandedAttention, "_band", form.attend), torch.set_grad_enabled(learn):
        output = form.encode()
        if learn:
            torch.autograd.backward(output.square().mean())
    return output.detach()


if __name__ == "__main__":
    run_benchmark(parser(), main)
