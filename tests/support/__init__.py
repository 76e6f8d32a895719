"""Set-ups and stand-ins that several tests share. Before you write another, look here:

Training, in seconds and never twice
    tiny_training      settings of a tiny run of every kind of stage, as a command line and as a configuration
    trained_runs       fixture `trained_runs`: such runs, trained once for the whole suite, to be read
    local_workers      members of a population trained in the process of the test
    said_steps         what a run said of its progress
    killed_training    `run_training.py` in a process that dies at a chosen point
    fixture `ray_session` (tests/conftest.py): one Ray session a process; mark the test `ray` and use it

Markets, accounts, models
    random_bars        candles of a random walk, and markets that break careless arithmetic
    random_panels      panels with late listings, missing bars and delistings, and targets for them
    trading_cases      rules, candles and plays for the ledger and the session
    simulated_records  step records of an account that was written as a plain loop
    model_files        a model file whose content means nothing
    backtest_setup     small model files with random but decided weights, and bars they trade
    population_run     what a bred population leaves, made of random numbers

Live trading
    live_setup         parts of a bot: an agent that needs no model, recorded candles, clocks moved by hand
    live_paper         `PaperStage`: the bot of `live_scene` on paper as at an exchange
    live_parity        a stretch of bars as a bot lives it, compared with its backtest
    live_scene         `Stage`: a bot with real orders and an exchange on this machine (`fakes/`)
    bot_process        the same, with the bot in a process of its own
    memory_broker      a broker account without a server
    station_cases      accounts at a close, as stations see them
    live_champion      champion files, and an exchange whose time is the real one
    live_autonomous    the same of a population's champion
    live_command       `run_live_bot.py` as its users start it
    fault_matrix       every fault with every way to be interrupted, at any step
    naive_bot          a bot as it is often written, which the faults break
    power_cut          what a disk holds after a power cut

Everything else
    long_report        a report of very many bars, made at once
    html_pages         pages of reports apart from their scripts, what their chart draws, and that they load nothing
    waiting            waiting for a condition, never for some seconds
    plugin_modules     plug-ins written where Python finds them
    documented_code    what README and docs/ show as code
    without_trainer    a program where only what trading needs is installed
    shared_data        where the developers' market data lies
"""
