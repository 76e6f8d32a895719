"""The Autonomous stage: generations of agents that inherit, train, are judged, adapt and breed; and its champion.

    inherit -> train (RLlib) -> judge on folds -> check_performance_and_adapt -> select -> mutate -> next generation

Members of a generation are trained side by side. Each is written to disk as it comes, and the population after each
generation, so a killed run goes on where it was and, on the CPU, ends with the champion of an uninterrupted one.
"""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from src.agents.model_file import CHAMPION_STAGE, ModelFile, model_path, save_model
from src.config.base import require
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.training import TrainingConfig
from src.errors import TraderError
from src.reporting.population.page import write_population_page
from src.reporting.terminal.progress import RunProgress
from src.reporting.tracking.pictures import family_picture
from src.reporting.tracking.tracker import START, Moment, Outcome, Tracker
from src.runs.run_folder import StageResult, write_json
from src.seeding import integer_seed
from src.storage import write_atomic
from src.training.checks import check_population
from src.training.population.champion_selection import select_champion
from src.training.population.member import Member, MemberSpec, Parent
from src.training.population.population import Population, member_from_plain, member_to_plain, start_genome
from src.training.population.reasoning_networks import train_networks
from src.training.population.self_adaptation import SelfAdaptation
from src.training.population.shared_market import build_shared_market
from src.training.population.stressed_series import StressedSeries
from src.training.population.trial_records import TrialRecords
from src.training.population.workers import Workers
from src.training.pretraining.architecture_gradient import supernet_preferences
from src.training.rllib.ray_runtime import resolve_device
from src.training.stage import InitialModel, StageContext, StageInputs
from src.training.stage_outcome import scalars
from src.training.stage_plan import CHAMPION, MARKET, MEMBER, WORKERS
from src.training.stage_run import open_run, run_stage
from src.training.tasks import whole_markets
from src.training.training_data import TrainingData, prepare_data
from src.training.warm_start import check_ancestor, initial_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

POPULATION_FILE, PAGE_FILE = "population.json", "population.html"
_STATE, _MEMBERS = "population.pt", "members"


def run_autonomous_stage(config: TrainingConfig, context: StageContext | None = None) -> StageResult:
    """Breed the population to its end and publish the champion, promoted or not.

        config = load_training_config(["symbol=BTCUSDT"])
        result = run_autonomous_stage(config)
        model = load_model(result.model_path)

    Args:
        config: whose sequence holds one Autonomous stage; other stages are left alone.
        context: of the stage, within a run that is under way and has a Ray session; a run is opened where it is left
            out, or continued where the same settings were interrupted.

    Raises:
        ConfigError: there is no such stage, or more than one; or what it starts from does not exist.
    """
    if context is not None:
        return AutonomousStage(context).run()
    champion = model_path(config.symbol, CHAMPION_STAGE, config.run.models_dir)
    with RunProgress(config.tracking.progress) as progress:
        progress.step("reading bars and fitting features")
        data = prepare_data(config)
        inputs = _inputs(config, data)
        with open_run(config, data, [inputs], progress) as folder:
            return run_stage(inputs, folder, champion, lambda context: AutonomousStage(context).run(), progress)


def _inputs(config: TrainingConfig, data: TrainingData) -> StageInputs:
    found = {name: stage for name, stage in config.sequence.items() if isinstance(stage, AutonomousStageConfig)}
    require(
        len(found) == 1, f"sequence must hold one Autonomous stage, holds {len(found)}: {', '.join(found) or 'none'}"
    )
    ((name, stage),) = found.items()
    inputs = StageInputs(name, stage, config, data, whole_markets(stage, data.training_markets))
    check_population(inputs)
    return inputs


class AutonomousStage:
    """The generational loop."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._stage: AutonomousStageConfig = context.stage
        self._seed = seed = integer_seed(context.config.seed, "stage", context.name)
        torch.set_num_threads(context.config.runtime.torch_threads)
        train_networks(self._stage, context.progress)
        context.progress.step(MARKET)
        self._shared = build_shared_market(context.config, self._stage, context.data)
        self._start = start = start_genome(self._stage, context.config.model.core)
        source = initial_model(context)
        if source is not None:
            check_ancestor(context, source)
        ancestor = None if source is None else _ancestor(source)
        self._population = Population(self._stage, start, seed, ancestor, context.config.plugins)
        # What it begins with was chosen on the bars that it will be judged on.
        self._population.count_trials(0 if source is None else source.evaluations)
        self._stress = StressedSeries(self._shared, seed)
        self._adaptation = SelfAdaptation(self._shared, self._population.space, seed)
        self._trials = TrialRecords(context, self._population.space)
        self._members = context.folder.path / _MEMBERS

    def run(self) -> StageResult:
        """Breed, judge the champion, save it."""
        self._restore()
        stage, population, progress = self._stage, self._population, self._context.progress
        if population.generation < stage.generations:
            progress.step(WORKERS)
            workers = self._workers()
            workers.wait()
            progress.step(MEMBER, stage.generations * stage.members, population.generation * stage.members)
            while population.generation < stage.generations:
                self._breed(workers)
        progress.step(CHAMPION)
        return self._finish()

    def _breed(self, workers: Workers) -> None:
        population = self._population
        specs = population.specs(self._stress.series(population.generation))
        if not specs:
            raise TraderError(
                f"{self._context.name}: every genome of the search space was tried after {population.generation} "
                "generations; lower generations or widen search"
            )
        members = self._trained(workers, specs)
        population.add_generation(members)
        if not population.survivors:
            raise TraderError(
                f"{self._context.name}: no member of the first generation could be trained ({members[0].failure}); "
                "lower the learning rates in search"
            )
        self._adapt(workers)
        self._stress.learn(self._adaptation.adapted(population.champion).agent(), population.generation)
        self._log(members)
        self._save()

    def _adapt(self, workers: Workers) -> None:
        population = self._population
        champion, evaluations = population.champion, population.evaluations
        self._adaptation.check(population, workers.train_one)
        adopted = [] if population.champion is champion else [population.champion]
        self._trials.enter(adopted)
        self._trials.enter_refused(population.generation, population.evaluations - evaluations - len(adopted))

    def _trained(self, workers: Workers, specs: Sequence[MemberSpec]) -> list[Member]:
        # Members a killed run had finished are read, the others trained.
        self._members.mkdir(exist_ok=True)
        paths = {spec.name: self._members / f"{spec.name}.pt" for spec in specs}
        found = {name: _read(path) for name, path in paths.items() if path.exists()}

        def keep(member: Member) -> None:
            _write(paths[member.name], member)
            self._trials.enter([member])
            found[member.name] = member
            best = max((one.total for one in (*self._population.survivors, *found.values())), default=0.0)
            done = self._population.generation * self._stage.members + len(found)
            in_training = min(self._stage.workers, len(specs) - len(found))
            self._context.progress.update(done, {"fitness": member.total, "best": best}, in_training, at_once=True)

        self._trials.enter(found.values())  # in case the kill came between the two
        workers.train([spec for spec in specs if spec.name not in found], keep)
        return [found[spec.name] for spec in specs]

    def _finish(self) -> StageResult:
        context, population = self._context, self._population
        file, validation = select_champion(context, population, self._adaptation, self._trials)
        self._trials.close()
        save_model(context.folder.model, file)
        self._show(file)
        return StageResult(
            context.model_path,
            self._stage.iterations * self._stage.generations,
            population.evaluations,
            self._moment().env_steps,
            sum(record["seconds"] for record in population.records),
            validation,
        )

    def _workers(self) -> Workers:
        stage, runtime = self._stage, self._context.config.runtime
        on_gpu = resolve_device(runtime).type == "cuda"
        threads = max(1, runtime.torch_threads // stage.workers)
        return Workers(self._shared, stage.workers, threads, 1.0 / stage.workers if on_gpu else 0.0)

    def _log(self, members: Sequence[Member]) -> None:
        curves = {f"champion/{name}": value for name, value in self._population.champion.curves.items()}
        parts = {f"fitness/{name}": value for name, value in self._population.champion.fitness.items()}
        figures = self._population.figures() | parts | curves | self._stress.figures() | self._adaptation.figures()
        moment, tracker = self._moment(), self._context.tracker
        tracker.log(moment, figures)
        tracker.show(moment, "population/family", self._family())
        for member in members:
            _log_member(tracker.part(f"{_MEMBERS}/{member.name}"), member)
        logger.info(
            "%s generation %d: best fitness %.3f, median %.3f, worst %.3f, %d architectures, %d trials",
            self._context.name,
            self._population.generation,
            figures["population/best"],
            figures["population/generation_median"],
            figures["population/generation_worst"],
            int(figures["population/architectures"]),
            self._population.evaluations,
        )
        self._show(None)

    def _moment(self) -> Moment:
        return Moment(self._population.generation, sum(record["env_steps"] for record in self._population.records))

    def _family(self) -> "Figure":
        population = self._population
        return family_picture(population.records, population.lineage(population.champion.name))

    def _show(self, file: ModelFile | None) -> None:
        """Write what is known of the run for people and pages to read."""
        population = self._population
        champion = population.champion
        content = {
            "symbol": self._context.config.symbol,
            "generations": self._stage.generations,
            "champion": champion.name,
            "lineage": population.lineage(champion.name),
            "records": population.records,
            "evaluations": population.evaluations,
            "adaptations": self._adaptation.log,
            "promotion": None if file is None else file.dossier["promotion"],
            "verdict": None if file is None else file.verdict,
        }
        folder = self._context.folder.path
        write_json(folder / POPULATION_FILE, content)
        write_population_page(content, folder / PAGE_FILE)

    def _save(self) -> None:
        state = {
            "population": self._population.state_dict(),
            "repair": self._adaptation.state_dict(),
            "stress": self._stress.state_dict(),
        }
        self._context.folder.save_state(self._population.generation, lambda folder: torch.save(state, folder / _STATE))
        for path in self._members.glob("*.pt"):
            path.unlink()

    def _restore(self) -> None:
        state = self._context.folder.state
        if state is not None:
            content: dict[str, Any] = torch.load(state / _STATE, weights_only=True)
            self._population.load_state_dict(content["population"])
            self._adaptation.load_state_dict(content["repair"])
            self._stress.load_state_dict(content["stress"])
        elif self._stage.has_supernet:  # only at the start: what it said is part of the population from then on
            self._population.inform(supernet_preferences(self._shared, self._population.space, self._start, self._seed))
        self._context.tracker.resume(self._moment())


def _ancestor(source: InitialModel) -> Parent:
    return Parent(source.lineage[-1], source.kind, source.description, source.weights)


def _log_member(tracker: Tracker, member: Member) -> None:
    tracker.resume(START)  # a generation that was interrupted is logged again
    moment = START
    for step, curves in enumerate(member.history, start=1):
        moment = Moment(step, step * member.env_steps // len(member.history))
        tracker.log(moment, curves)
    fitness = {f"fitness/{name}": value for name, value in member.fitness.items()}
    tracker.finish(moment, Outcome(dict(scalars(member.genome)), fitness, verdict=member.failure))
    tracker.close()


def _write(path: Path, member: Member) -> None:
    buffer = io.BytesIO()
    torch.save(member_to_plain(member), buffer)
    write_atomic(path, buffer.getvalue())


def _read(path: Path) -> Member:
    return member_from_plain(torch.load(path, weights_only=True))
