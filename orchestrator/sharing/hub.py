"""Uploads exported folders to the Hugging Face Hub, or to the server in ``HF_ENDPOINT``."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.contract import RequestError


def check_push(repository: str) -> None:
    """Refuse an upload that cannot succeed, before anything is exported.

    Raises:
        RequestError: if the repository id is invalid, or HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError:
        raise RequestError(
            f"--push-to-hub takes an id such as my-name/my-model, but got {repository!r}"
        ) from None
    if constants.is_offline_mode():
        raise RequestError(
            "--push-to-hub requires the network, but HF_HUB_OFFLINE is set; unset it and run the "
            "command again"
        )


def push_to_hub(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder as one commit, and create the repository if it does not exist.

    Uses the token from ``HF_TOKEN`` or ``hf auth login``.

    Returns:
        The URL of the repository.

    Raises:
        RequestError: if the Hub refuses the upload or cannot be reached. The folder is kept.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    api = HfApi(library_name="multimodal-sweep-orchestrator")
    try:
        # ``private`` applies only to a new repository; an existing one keeps its visibility.
        made = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            commit_message=f"Upload {folder.name}",
        )
    except HfHubHTTPError as error:
        raise RequestError(_refused(repository, folder, error)) from None
    except Exception as error:  # no network or no token; the classes differ between releases
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RequestError(
            f"{repository} cannot be uploaded to {api.endpoint}: {why}; {_again(folder)}"
        ) from None
    return f"{api.endpoint}/{made.repo_id}"


def _refused(repository: str, folder: Path, error: object) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        token = "the token in HF_TOKEN" if os.environ.get("HF_TOKEN") else "your login"
        return (
            f"the Hub refuses {token} for {repository} ({status}): set HF_TOKEN to a token with "
            f"write access; {_again(folder)}"
        )
    message = getattr(error, "server_message", None) or str(error).strip().splitlines()[0]
    return f"the Hub refuses {repository} ({status}): {message}; {_again(folder)}"


def _again(folder: Path) -> str:
    return f"the export is in {folder}"
