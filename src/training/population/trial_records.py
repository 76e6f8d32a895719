"""What a population tries, entered into the database of trials as it comes, and its look at the sealed bars."""

from collections.abc import Iterable

from src.config.load import config_hash
from src.config.stages.autonomous import AutonomousStageConfig
from src.journal.trials import Look, Trial, TrialSource, open_trials, stretch_of
from src.market.splits import fold_rows
from src.nas.search_space import SearchSpace
from src.training.population.member import Member
from src.training.stage import StageContext


class TrialRecords:
    """The trials of one stage of a run. What was entered before a run was killed is not entered again.

    Raises:
        ConfigError: the database of the settings cannot be used.
    """

    def __init__(self, context: StageContext, space: SearchSpace) -> None:
        config, bars, stage = context.config, context.data.bars, context.stage
        assert isinstance(stage, AutonomousStageConfig)
        folds = fold_rows(context.data.splits.validation, stage.folds)
        self._space, self._data, self._market = space, context.data, config.data.source
        self._log = open_trials(config.run)
        self._source = TrialSource(
            run=context.folder.path.parent.name,
            stage=context.name,
            selection=stretch_of(bars, range(folds[0].start, folds[-1].stop), self._market),
            timeframe=bars.timeframe,
            data_fingerprint=bars.fingerprint,
            seed=config.seed,
            settings=config_hash(config),
        )

    @property
    def run(self) -> str:
        """Name of the run: under it the champion looks at the sealed bars."""
        return self._source.run

    def enter(self, members: Iterable[Member]) -> None:
        """Enter members that were evaluated."""
        self._log.add(self._source, map(self._trial, members))

    def enter_refused(self, generation: int, count: int) -> None:
        """Enter changes that were evaluated after a generation and not kept."""
        if count:
            self._log.add(self._source, [Trial(f"g{generation:02d}_refused", "", evaluations=count)])

    def look(self) -> Look:
        """Enter the look at the sealed bars; the trials of others count as they stand at the first look of this run."""
        sealed = stretch_of(self._data.bars, self._data.splits.test, self._market)
        return self._log.look(sealed, self.run, "gate", self._source)

    def close(self) -> None:
        """Let go of the database."""
        self._log.close()

    def _trial(self, member: Member) -> Trial:
        return Trial(
            name=member.name,
            spec=self._space.genome_id(member.genome),
            folds=list(member.folds),
            metrics={**member.fitness, "failure": member.failure},
            returns=member.returns,
        )
