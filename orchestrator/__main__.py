"""``python -m orchestrator``, and the installed command ``orchestrator``."""

from orchestrator.planning.shadowing import refuse_shadowing


def run() -> None:
    """Check that no other module hides this project's packages, then run the command line."""
    refuse_shadowing()
    from orchestrator.cli import main  # only now: it imports those packages

    main()


if __name__ == "__main__":
    run()
