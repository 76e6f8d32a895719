"""From YAML and overrides to one sealed object; every mistake is one sentence that helps."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.config.agent.reasoning import REGIME_METHOD_NAMES
from src.config.data import DataSource
from src.config.fields import all_settings, default_sequence, describe, did_you_mean, leaves
from src.config.load import CONFIG_DIR, config_hash, load_training_config, save_resolved, to_plain
from src.config.model import Activation
from src.config.reference import COMMENTED_FILE, PAGE, reference_page, yaml_comments
from src.config.runtime import RunConfig, TrackingConfig
from src.config.stages.autonomous import SEARCH_STRATEGY_NAMES
from src.config.stages.learning import PPOStageConfig
from src.config.trading import REWARD_NAMES
from src.config.training import TrainingConfig
from src.errors import ConfigError
from src.nas.strategies import STRATEGIES
from src.reasoning.market_classifier import METHODS
from src.trading.rewards import REWARDS
from tests.support.plugin_modules import write_plugin

LR = "sequence.stage_1_ppo.lr"
MakeFile = Callable[[str], Path]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return make


def defaults() -> TrainingConfig:
    return TrainingConfig(sequence={name: stage() for name, stage in default_sequence().items()})


# The committed file.


def test_the_committed_file_holds_every_setting_at_its_default() -> None:
    file = OmegaConf.to_container(OmegaConf.load(COMMENTED_FILE))
    assert isinstance(file, dict)
    known = all_settings(default_sequence())
    assert [key for key, _ in leaves(file, known)] == list(known)
    assert load_training_config() == defaults()


def test_every_line_of_the_committed_file_is_explained() -> None:
    comments = yaml_comments(COMMENTED_FILE.read_text())
    assert set(all_settings(default_sequence())) <= set(comments)
    assert [key for key, comment in comments.items() if not comment] == []
    assert max(map(len, COMMENTED_FILE.read_text().splitlines())) <= 120


def test_the_documentation_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference_page(), "run python -m src.config.reference and commit docs/configuration.md"


# What can be said.


def test_overrides_reach_any_depth_and_keep_their_types() -> None:
    overrides = """symbol=BTC/USDT seed=7 model.core.activation=relu features.names=[returns,rsi] data.source=files
        data.path='data/{symbol}_1h.parquet' data.columns={open_time:Date} data.start=2020-01-01
        costs.commission_bps=3 environment.action.rebalance_band=0.1 sequence.stage_1_ppo.lr=1e-4"""
    config = load_training_config(overrides.split())
    assert (config.symbol, config.seed) == ("BTC/USDT", 7)
    assert config.model.core.activation is Activation.relu
    assert config.features.names == ["returns", "rsi"]
    assert config.sequence["stage_1_ppo"].lr == 1e-4
    assert config.data.source is DataSource.files
    assert (config.data.path, config.data.columns) == ("data/{symbol}_1h.parquet", {"open_time": "Date"})
    assert type(config.costs.commission_bps) is float
    assert (config.environment.action.rebalance_band, config.data.start) == (0.1, "2020-01-01")


def test_stages_are_sealed_objects_in_order_and_can_be_added_and_removed() -> None:
    config = load_training_config(["sequence.again.algorithm=PPO", "sequence.again.lr=0.5"])
    assert list(config.sequence) == ["stage_1_ppo", "stage_2_moe", "stage_3_maml", "stage_4_autonomous", "again"]
    assert config.sequence["again"] == PPOStageConfig(lr=0.5)
    with pytest.raises(ConfigError, match="sealed"):
        config.sequence["again"].lr = 0.1
    rest = ["stage_3_maml", "stage_4_autonomous"]
    assert list(load_training_config(["~sequence.stage_1_ppo"]).sequence) == ["stage_2_moe", *rest]
    assert list(load_training_config(["sequence.stage_2_moe=null"]).sequence) == ["stage_1_ppo", *rest]


def test_a_file_of_ones_own_needs_only_differences(make_file: MakeFile) -> None:
    path = make_file("symbol: NASDAQ\nsequence:\n  only:\n    algorithm: PPO\n    lr: ${model.embedding_scale}\n")
    config = load_training_config(["sequence.only.gamma=0.5", "model.embedding_scale=0.25"], config_file=path)
    expected = replace(TrainingConfig().model, embedding_scale=0.25)
    stages = {"only": PPOStageConfig(lr=0.25, gamma=0.5)}
    assert config == TrainingConfig(symbol="NASDAQ", model=expected, sequence=stages)


def test_an_empty_file_means_defaults(make_file: MakeFile) -> None:
    assert load_training_config(config_file=make_file("# nothing yet\n")) == TrainingConfig()


def test_later_wins_file_then_experiment_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "base.yaml").write_text("symbol: A\nseed: 1\ncosts: {impact: 1}\n")
    (tmp_path / "experiment" / "try.yaml").write_text("# @package _global_\nseed: 2\ncosts: {impact: 2}\n")
    (tmp_path / "experiment" / "bare.yaml").write_text("symbol: B\n")  # without the package line
    config = load_training_config(["costs.impact=3", "+experiment=try"], tmp_path, "base")
    assert (config.symbol, config.seed, config.costs.impact) == ("A", 2, 3.0)
    both = load_training_config(["experiment=[try,bare]"], tmp_path, "base")
    assert (both.symbol, both.seed) == ("B", 2)


def test_loading_leaves_no_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    load_training_config(["seed=1"])
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert load_training_config().seed == 0


def test_names_may_be_those_of_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """from src.trading.rewards import RewardFormula\nMINE = RewardFormula("mine", lambda *_: 0.0)\n"""
    module = write_plugin(tmp_path, monkeypatch, "mine", text)
    config = load_training_config([f"plugins=[{module}]", "environment.reward.kind=mine"])
    assert (config.plugins, config.environment.reward.kind) == ([module], "mine")
    message = "environment.reward.kind must be one of log_growth, linear, mine, was 'mina'; did you mean 'mine'?"
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_training_config([f"plugins=[{module}]", "environment.reward.kind=mina"])


def test_settings_name_what_is_built_in() -> None:
    assert list(REWARDS) == list(REWARD_NAMES)
    assert list(METHODS) == list(REGIME_METHOD_NAMES)
    assert list(STRATEGIES) == list(SEARCH_STRATEGY_NAMES)


@pytest.mark.parametrize("text", ["000651", "12:30", "1.10", "1_000", "0x1F", "1e5", "2020-01-01", "600519", "=", "-5"])
def test_text_is_kept_as_it_is_written(text: str, tmp_path: Path, make_file: MakeFile) -> None:
    lines = f"symbol: {text}\nsymbols: [{text}]\ndata:\n  start: {text}\n  columns: {{close: {text}}}\n"
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "try.yaml").write_text(lines)
    (tmp_path / "experiment" / "again.yaml").write_text("defaults: [try, _self_]\nseed: 3\n")
    (tmp_path / "base.yaml").write_text("symbol: other\n")
    for config in (
        load_training_config(config_file=make_file(lines)),
        load_training_config(["+experiment=try"], tmp_path, "base"),
        load_training_config(["+experiment=again"], tmp_path, "base"),
    ):
        assert (config.symbol, config.symbols, config.data.start) == (text, [text], text)
        assert config.data.columns == {"close": text}
        save_resolved(config, tmp_path / "saved.yaml")
        assert load_training_config(config_file=tmp_path / "saved.yaml") == config


@pytest.mark.parametrize("text", ["000651", "12:30", "0x1F", "600519", "2020-01-01", "-5", "1.1", "BRK.B"])
def test_text_of_an_override_is_kept_as_it_is_written(text: str) -> None:
    config = load_training_config([f"symbol={text}", f"symbols=[{text}]"])
    assert (config.symbol, config.symbols) == (text, [text])


@pytest.mark.parametrize("override", ["symbol=1.10", "symbol=1_000", "symbols=[000651,1.10]", "data.start=1e5"])
def test_an_override_whose_text_would_become_another_is_refused_with_a_remedy_that_works(override: str) -> None:
    with pytest.raises(ConfigError, match="would be read as the number") as refused:
        load_training_config([override])
    remedy = shlex.split(str(refused.value).partition("put it in quotes: ")[2])
    config = load_training_config(remedy)
    texts = (config.symbol, *config.symbols, config.data.start)
    assert override.partition("=")[2].strip("[]").rpartition(",")[2] in texts


def test_numbers_are_those_people_read(make_file: MakeFile) -> None:
    text = "seed: 010\nfeatures: {clip: 1_0.5}\nenvironment: {action: {grid: [-1, 0, 1.0]}}\n"
    text += "data: {synthetic: {bars: 2_000}}\n"
    config = load_training_config(config_file=make_file(text))
    assert (config.seed, config.features.clip, config.environment.action.grid) == (10, 10.5, [-1.0, 0.0, 1.0])
    assert config.data.synthetic.bars == 2000


# What is refused: (override, the whole message).

REFUSED = {
    "d_model=4": "unknown setting 'd_model' (value 4); did you mean 'model.core.d_model'?",
    "modle.core.d_model=4": "unknown setting 'modle.core.d_model' (value 4); did you mean 'model.core.d_model'?",
    "clip=4": "unknown setting 'clip' (value 4); did you mean 'features.clip' or 'sequence.stage_1_ppo.clip' or "
    "'sequence.stage_2_moe.clip'?",
    "model.core.x=a": "unknown setting 'model.core.x' (value 'a'); docs/configuration.md lists every setting",
    f"{LR}r=3": f"unknown setting '{LR}r' (value 3); did you mean '{LR}'?",
    "hydra.job.name=x": "unknown setting 'hydra.job.name'; hydra's own settings have no effect here",
    "seed": "override 'seed' must be written as seed=VALUE",
    "=3": "override '=3' must be written as KEY=VALUE",
    "data.path=a/{symbol}.csv": "override 'data.path=a/{symbol}.csv' cannot be read; put its value in quotes: "
    "\"data.path='a/{symbol}.csv'\"",
    "seed=1,2": "override 'seed=1,2' holds several values; write a list as seed=[1,2]",
    "seed=": "seed must be a whole number, was ''",
    "seed=1.5": "seed must be a whole number, was 1.5",
    "seed=null": "seed must be a whole number, was null",
    "seed.deep=3": "seed must be a whole number, was {'deep': 3}",
    "seed=???": "seed must be given a value, was ???",
    "symbol=true": "symbol must be text, was true; put it in quotes",
    "symbol=${sed}": "the configuration cannot be resolved: Interpolation key 'sed' not found",
    f"{LR}=fast": f"{LR} must be a number, was 'fast'",
    "risk.max_exposure=much": "risk.max_exposure must be a number or null, was 'much'",
    "run.fresh=maybe": "run.fresh must be true or false, was 'maybe'",
    "model=3": "model must be a section of settings, was 3",
    "model.core=null": "model.core must be a section of settings, was null",
    "plugins=my.features": "plugins must be a list of modules such as [my_package.my_module], was 'my.features'",
    "plugins=[my/features.py]": "plugins: 'my/features.py' must be written as Python imports it, such as my.features",
    "environment.reward.kind=liner": "environment.reward.kind must be one of log_growth, linear, was 'liner'; "
    "did you mean 'linear'?",
    "environment.reward.kind=null": "environment.reward.kind must be one of log_growth, linear, or a reward of your "
    "own, was null",
    "sequence.stage_4_autonomous.controller=randm": "sequence.stage_4_autonomous.controller must be one of "
    "regularised_evolution, random, local_search, differentiable, was 'randm'; did you mean 'random'?",
    "features.names=rsi": "features.names must be a list of texts, was 'rsi'",
    "environment.action.grid=[-1,x,1]": "environment.action.grid[1] must be a number, was 'x'",
    "data.source=embeded": "data.source must be one of embedded, files, synthetic, ccxt, was 'embeded'; "
    "did you mean 'embedded'?",
    "model.core.dropout=2": "model.core.dropout must lie in [0, 0.9], was 2",
    f"{LR}=7": f"{LR} must lie in (0, 1], was 7",
    "sequence=3": "sequence must map stage names to settings, was 3",
    "sequence.x=3": "sequence.x must be a section of settings with an algorithm, was 3",
    "sequence.x.algorithm=ppo": "sequence.x.algorithm 'ppo' is unknown; did you mean 'PPO'? "
    "(valid: PPO, MoE, MAML, Autonomous)",
    "sequence.stage_1_pp.lr=1": "sequence.stage_1_pp has no algorithm; did you mean 'stage_1_ppo'? "
    "(valid: PPO, MoE, MAML, Autonomous)",
    "+experiment=smok": "experiment 'smok' is unknown; did you mean 'smoke'? (valid: crypto_1h, crypto_hourly, "
    "market_a4, market_a4_all_action, market_a4_autonomous, market_d_maml, market_f_moe, smoke)",
    "~sequence.x": "the configuration cannot be composed: Could not delete from config. 'sequence.x' does not exist.",
}


@pytest.mark.parametrize(("override", "message"), REFUSED.items(), ids=list(REFUSED))
def test_refusals_name_key_value_and_remedy(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_training_config([override])
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", r"mine\.yaml is not valid YAML: .* line 2"),
        ("seed: 1\nseed: 2\n", r"mine\.yaml is not valid YAML: .*duplicate key seed"),
        ("- seed\n", r"mine\.yaml must hold 'key: value' settings"),
        ("symbol: ON\n", r"^symbol must be text, was true; put it in quotes$"),
        ("symbols: [A, NO]\n", r"^symbols must be a list of texts, was false; put it in quotes$"),
        ("seed: 12:30\n", r"^seed must be a whole number, was '12:30'$"),
        ("hello\n", r"mine\.yaml must hold 'key: value' settings at its top level, not a single value$"),
        ("a: &a [*a]\n", r"mine\.yaml holds a section that contains itself"),
        ("\tseed: 1\n", r"mine\.yaml is not valid YAML"),
        ("seed: !!python/object:os.system {}\n", r"mine\.yaml is not valid YAML"),
        ("model:\n  core:\n    windw: 3\n", r"'model\.core\.windw' \(value 3\); did you mean 'model\.core\.window'\?$"),
        ("model:\n", r"^model must be a section of settings, was null$"),
        ("sequence:\n", r"^sequence must map stage names to settings, was null$"),
    ],
)
def test_a_bad_file_is_refused(make_file: MakeFile, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_training_config(config_file=make_file(text))


def test_missing_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sequenc\.yaml does not exist; did you mean 'training_sequence'\?"):
        load_training_config(config_name="training_sequenc")
    with pytest.raises(ConfigError, match=r"nowhere.* does not exist"):
        load_training_config(config_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is a folder; name a file in it"):
        load_training_config(config_file=tmp_path)
    (tmp_path / "windows.yaml").write_bytes("symbol: Ü\n".encode("utf-8-sig"))
    assert load_training_config(config_file=tmp_path / "windows.yaml").symbol == "Ü"
    (tmp_path / "latin.yaml").write_bytes("symbol: Ü\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml"):
        load_training_config(config_file=tmp_path / "latin.yaml")


def test_a_broken_experiment_is_named(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "training_sequence.yaml").write_text("seed: 1\n")
    (tmp_path / "experiment" / "torn.yaml").write_text("seed: [1\n")
    with pytest.raises(ConfigError, match=r"torn\.yaml is not valid YAML"):
        load_training_config(["+experiment=torn"], tmp_path)


def test_messages_describe_types_in_words() -> None:
    assert describe(int) == "a whole number"
    assert describe(float | None) == "a number or null"
    assert describe(list[str]) == "a list of texts"
    assert describe(dict[str, str]) == "a mapping of names to names"
    assert describe(Activation) == "one of gelu, relu, silu"


def test_far_off_names_get_no_suggestion() -> None:
    assert did_you_mean("zebra", ["seed", "symbol"]) == ""
    assert did_you_mean("SEED", ["seed", "symbol"]) == "; did you mean 'seed'?"
    assert did_you_mean("anything", []) == ""


# What is kept.


def test_saved_settings_load_again_equal(tmp_path: Path) -> None:
    config = load_training_config(["+experiment=market_a4", "symbol='1e3'", "model.core.gating=none", f"{LR}=1e-05"])
    path = tmp_path / "deep" / "config.yaml"
    save_resolved(config, path)
    save_resolved(config, path)
    assert os.listdir(path.parent) == ["config.yaml"]
    assert load_training_config(config_file=path) == config


def test_plain_settings_hold_plain_types_only() -> None:
    plain = to_plain(load_training_config())
    kinds = {type(value) for _, value in leaves(plain, [])}
    assert kinds <= {int, float, bool, str, list, dict, type(None)}
    assert plain["model"]["core"]["activation"] == "gelu"


def test_the_hash_sees_what_changes_results_and_nothing_else() -> None:
    config = load_training_config()
    same = [
        replace(config, run=RunConfig(fresh=True, runs_dir="elsewhere", checkpoints_dir="there")),
        replace(config, tracking=TrackingConfig(wandb=True, progress=False)),
        load_training_config(["costs.commission_bps=2"]),
        load_training_config(["runtime.ray_address=10.0.0.1:6379"]),
        load_training_config(["sequence.stage_4_autonomous.mind.pattern.cache_dir=elsewhere"]),
    ]
    other = [
        load_training_config([change])
        for change in ("seed=1", f"{LR}=0.1", "symbol=NASDAQ", "model.core.norm=rmsnorm", "runtime.num_env_runners=1")
    ]
    assert {config_hash(twin) for twin in same} == {config_hash(config)}
    assert len({config_hash(config), *map(config_hash, other)}) == len(other) + 1


def test_the_hash_sees_the_order_of_stages() -> None:
    first, second = PPOStageConfig(lr=0.1), PPOStageConfig(lr=0.2)
    one = TrainingConfig(sequence={"first": first, "second": second})
    other = TrainingConfig(sequence={"second": second, "first": first})
    assert config_hash(one) != config_hash(other)


def test_the_hash_is_a_sha256_that_other_processes_agree_with() -> None:
    script = "from src.config.load import *; print(config_hash(load_training_config()))"
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, cwd=CONFIG_DIR.parent, env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == config_hash(load_training_config())
    assert len(output.stdout.strip()) == 64
