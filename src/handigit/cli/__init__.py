"""The command line: the verbs, global options, and errors as one line with an exit status.

Each verb imports the heavy packages that it needs, so that `handigit read` starts fast and runs without PyTorch.
"""

import errno
import logging
import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts import config as sources
from docstring_parser import parse as parse_docstring
from pydantic import ValidationError

import handigit
from handigit.cli.batch import batch, watch
from handigit.cli.data import data
from handigit.cli.doctor import doctor
from handigit.cli.evaluation import compare, evaluate, list_models, submit
from handigit.cli.forms import form
from handigit.cli.models import models
from handigit.cli.read import DONE, INTERRUPTED, SOME_FAILED, WRONG_USAGE, read
from handigit.cli.store import serve, store
from handigit.cli.terminal import complain, err
from handigit.cli.training import export, train, tune
from handigit.errors import HandigitError, RecipeError
from handigit.recipe import read_recipe

_APP_PACKAGES = frozenset({"alembic", "argon2", "fastapi", "prometheus_client", "sqlalchemy", "uvicorn"})
_FORMS_PACKAGES = frozenset({"reportlab", "segno", "tomlkit", "xlsxwriter", "zxingcpp"})
_STDIN_TOKEN = "<stdin>"  # noqa: S105 - as `handigit.read.files.STDIN`; Cyclopts takes a bare "-" for an option


def fill_from_recipe(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give each flag that was not given the recipe file's value; the dataclass has the defaults of the rest."""
    if commands and commands[0] in ("train", "tune"):
        names = [token.value for argument in arguments if argument.name == "RECIPE" for token in argument.tokens]
        if names:
            # Under the verb: at the top level Cyclopts skips a field that is named like a verb, such as `data`.
            fields = sources.Dict({commands[0]: read_recipe(names[0])}, source=f"recipe {names[0]}")
            fields(app, commands, arguments)


app = App(
    name="handigit",
    help="Read handwritten numbers from pictures, scans and PDFs. Train, evaluate and serve the models that do.",
    version=handigit.__version__,
    config=fill_from_recipe,
    result_action="return_value",
)
app.command(read, sort_key=1)
for _verb in (form, batch, watch, data, models, serve, store, train, tune, export, evaluate, compare, submit, doctor):
    app.command(_verb)
models.default(list_models)
app.register_install_completion_command(help="Install tab completion for this shell.")


def add_examples(app: App) -> None:
    """Show the "Examples" section of each command's docstring below its help, which Cyclopts leaves out."""
    for name in app:
        command = app[name]
        add_examples(command)
        docstring = command.default_command.__doc__ if command.default_command else None
        lines = [example.description or "" for example in parse_docstring(docstring or "").examples]
        if lines:
            command.help_epilogue = "Examples:\n\n```\n" + "\n".join(lines).strip() + "\n```"


add_examples(app)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
) -> Any:
    """Handigit.

    Args:
        tokens: The verb and its arguments.
        verbose: Show each step.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")
    arguments = [_STDIN_TOKEN if token == "-" else token for token in tokens]  # noqa: S105
    return app(arguments, exit_on_error=False, error_console=err)


def main() -> None:
    """The program: 0 done, 1 some inputs could not be used, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names that the terminal's encoding lacks
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit status; each of our errors is one line on stderr."""
    try:
        return int(app.meta(arguments, exit_on_error=False, error_console=err) or DONE)
    except CycloptsError:
        return WRONG_USAGE  # already printed
    except ValidationError as problem:
        first = problem.errors()[0]
        complain(f"HANDIGIT_{str(first['loc'][0]).upper()} = {first['input']!r}: {first['msg']}; change it")
        return WRONG_USAGE
    except HandigitError as problem:
        complain(problem)
        return WRONG_USAGE if isinstance(problem, RecipeError) else SOME_FAILED
    except OSError as problem:
        if problem.errno in (errno.EPIPE, errno.EINVAL) and not problem.filename:  # EINVAL: on Windows
            # The reader of our output has exited; the interpreter would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return SOME_FAILED
        complain(f"{problem.filename}: {problem.strerror}" if problem.filename else problem)
        return SOME_FAILED
    except ModuleNotFoundError as problem:
        packages = {"app": _APP_PACKAGES, "forms": _FORMS_PACKAGES}
        extra = next((extra for extra, names in packages.items() if problem.name in names), "train")
        complain(f'this needs {problem.name}: pip install "handigit[{extra}]"')
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
