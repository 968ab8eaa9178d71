"""towpath: files in, files out. The names that an app's author needs.

    import towpath

    class Upscale(towpath.App):
        @towpath.endpoint("/")
        def run(self, image_url: towpath.ImageInput) -> dict:
            picture = image_url.to_pil()
            return {"image": towpath.Image.from_pil(picture.resize((64, 64)))}

Names are loaded at their first use, so that importing towpath costs nothing.
"""

from importlib import import_module

TYPE_CHECKING = (
    False  # not from typing: `python -m towpath` would look for it in the working folder
)

if TYPE_CHECKING:
    from towpath.app.batching import batch
    from towpath.app.definition import App
    from towpath.app.endpoints import HealthCheck, endpoint
    from towpath.app.progress import progress
    from towpath.context import RequestContext, current_request
    from towpath.errors import InputError, TowpathError
    from towpath.toolkit import (
        Audio,
        AudioInput,
        CompressedFile,
        File,
        FileInput,
        Image,
        ImageInput,
        Video,
        VideoInput,
        clone_repository,
        download_file,
        download_file_async,
        download_files,
        download_files_async,
        download_model_weights,
        download_model_weights_async,
    )

    __version__: str

__all__ = [
    "App",
    "Audio",
    "AudioInput",
    "CompressedFile",
    "File",
    "FileInput",
    "HealthCheck",
    "Image",
    "ImageInput",
    "InputError",
    "RequestContext",
    "TowpathError",
    "Video",
    "VideoInput",
    "__version__",
    "batch",
    "clone_repository",
    "current_request",
    "download_file",
    "download_file_async",
    "download_files",
    "download_files_async",
    "download_model_weights",
    "download_model_weights_async",
    "endpoint",
    "progress",
]

_HOMES = {
    "App": "towpath.app.definition",
    "HealthCheck": "towpath.app.endpoints",
    "batch": "towpath.app.batching",
    "endpoint": "towpath.app.endpoints",
    "progress": "towpath.app.progress",
    "RequestContext": "towpath.context",
    "current_request": "towpath.context",
    "InputError": "towpath.errors",
    "TowpathError": "towpath.errors",
}


def __getattr__(name: str) -> object:
    """Load a public name from its room."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reads a file

        return version("towpath")
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES.get(name, "towpath.toolkit")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
