"""Completion of the commands in bash and zsh: `source <(python -m src.completion)`.

In zsh, `autoload -U bashcompinit && bashcompinit` comes first. What it prints knows the options of the three programs,
the settings and the baselines, and does not run Python again.
"""

import re
import subprocess
import sys
from pathlib import Path

from src.command_line import exit_code
from src.config.baselines import BASELINE_NAMES

_ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = """\
_supertrader() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words="" each
  for each in "${{COMP_WORDS[@]:0:COMP_CWORD}}"; do
    case "${{each##*/}}" in
{cases}
    esac
  done
  [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ "${{COMPREPLY[0]}}" == *= ]] && compopt -o nospace
}}
complete -o default -F _supertrader python python3 {programs}
"""


def main() -> int:
    """Print the script; returns the exit code."""
    return exit_code(_print)


def _print() -> int:
    settings = " ".join(f"{key}=" for key in _settings())
    extra = {
        "run_training.py": settings,
        "run_backtest.py": f"list inspect train validation test all {' '.join(BASELINE_NAMES)}",
        "run_live_bot.py": "run doctor status explain replay pause resume close",
    }
    cases = "\n".join(f'      {name}) words="{" ".join(_options(name))} {more}";;' for name, more in extra.items())
    sys.stdout.write(_SCRIPT.format(cases=cases, programs=" ".join(extra)))
    return 0


def _settings() -> list[str]:
    from src.config.fields import all_settings, default_sequence

    return sorted(all_settings(default_sequence()))


def _options(program: str) -> list[str]:
    shown = subprocess.run([sys.executable, str(_ROOT / program), "--help"], capture_output=True, text=True, check=True)
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown.stdout)))


if __name__ == "__main__":
    sys.exit(main())
