"""What a run would do, how long it would take and how much memory it would need, without starting it."""

import time
from collections.abc import Iterator

from src.config.training import TrainingConfig
from src.training.algorithms import algorithm_of
from src.training.pipeline import prepare_stages
from src.training.stage_run import is_complete, run_folder
from src.training.training_data import TrainingData, prepare_data

_START_SECONDS = 15  # Ray and imports
_BASE_BYTES = 1.3e9  # the driver with torch and ray loaded, and Ray's own processes


def describe_run(config: TrainingConfig) -> Iterator[str]:
    """Yield lines that say what `run_training.py` would do with these settings; nothing is written."""
    data = prepare_data(config)
    stages = prepare_stages(config, data)
    folder = run_folder(config, data)
    bars, splits = data.bars, data.splits
    yield f"run     {folder} ({_state(config, folder.exists())})"
    yield f"data    {bars.symbol} {bars.timeframe} from {config.data.source.value}: {len(bars)} bars, {_span(data)}"
    yield f"split   train {len(splits.train)}, validation {len(splits.validation)}, test {len(splits.test)} bars"
    yield f"inputs  {len(data.pipeline.columns)} features: {', '.join(config.features.names)}"
    total, wall, processor = float(_START_SECONDS), time.perf_counter(), time.process_time()
    for name, inputs in stages.items():
        plan = algorithm_of(inputs.stage, config.plugins).plan(inputs)
        # As much slower than a quiet core as the timing itself has been.
        busy = (time.perf_counter() - wall) / (time.process_time() - processor)
        left = busy * plan.seconds if not is_complete(inputs, folder) else 0.0
        total += left
        yield f"stage   {name}: {plan.work}"
        for remark in plan.remarks:
            yield f"        {remark}"
        memory = (_BASE_BYTES + plan.memory_bytes) / 1e9
        yield f"        {plan.weights:,} weights; about {left:,.0f} s left and {memory:.1f} GB"
    yield f"total   about {total:,.0f} s on this machine as busy as it is now"


def _state(config: TrainingConfig, exists: bool) -> str:
    if not exists:
        return "new"
    return "exists, and would be replaced: run.fresh=true" if config.run.fresh else "exists, and would be continued"


def _span(data: TrainingData) -> str:
    first, last = (str(data.bars.open_time[row].astype("datetime64[ms]"))[:10] for row in (0, -1))
    return f"{first} to {last}"
