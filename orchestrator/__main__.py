"""``python -m orchestrator``, and the installed command ``orchestrator``."""

from orchestrator.planning.shadowing import refuse_shadowing


def run() -> None:
    """Check that the right packages are found, then run the command line."""
    refuse_shadowing()
    from orchestrator.cli import main  # imports our other packages

    main()


if __name__ == "__main__":
    run()
