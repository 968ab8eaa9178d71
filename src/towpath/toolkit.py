"""The toolkit: files in, files out. The names that model code needs, and no server.

Each name is loaded at its first use: who only downloads loads no pictures.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.context import Lifetime
    from towpath.downloads.cache import PruneReport, prune
    from towpath.downloads.download import download_file, download_file_async
    from towpath.downloads.many import download_files, download_files_async
    from towpath.downloads.repository import clone_repository, clone_repository_async
    from towpath.downloads.reuse import Head
    from towpath.downloads.sources import Opened, Source, register_source
    from towpath.downloads.wanted import DownloadOptions
    from towpath.downloads.weights import download_model_weights, download_model_weights_async
    from towpath.errors import DownloadError, FileTooLargeError
    from towpath.files.archive import CompressedFile
    from towpath.files.audio import Audio
    from towpath.files.constraints import (
        AudioConstraints,
        FileConstraints,
        ImageConstraints,
        VideoConstraints,
    )
    from towpath.files.facts import MediaFacts
    from towpath.files.fields import (
        AudioField,
        FileField,
        FormModel,
        Hidden,
        ImageField,
        ImageSizeField,
        VideoField,
    )
    from towpath.files.file import File
    from towpath.files.image import Image
    from towpath.files.image_size import ImageSize, ImageSizeInput, ImageSizePreset, get_image_size
    from towpath.files.inputs import AudioInput, FileInput, ImageInput, VideoInput
    from towpath.files.pending import PendingFile
    from towpath.files.upload_options import UploadOptions
    from towpath.files.video import Video

    MODEL_WEIGHTS_DIR: Path
    PERSISTENT_DIR: Path
    REPOSITORY_DIR: Path

__all__ = [
    "MODEL_WEIGHTS_DIR",
    "PERSISTENT_DIR",
    "REPOSITORY_DIR",
    "Audio",
    "AudioConstraints",
    "AudioField",
    "AudioInput",
    "CompressedFile",
    "DownloadError",
    "DownloadOptions",
    "File",
    "FileConstraints",
    "FileField",
    "FileInput",
    "FileTooLargeError",
    "FormModel",
    "Head",
    "Hidden",
    "Image",
    "ImageConstraints",
    "ImageField",
    "ImageInput",
    "ImageSize",
    "ImageSizeField",
    "ImageSizeInput",
    "ImageSizePreset",
    "Lifetime",
    "MediaFacts",
    "Opened",
    "PendingFile",
    "PruneReport",
    "Source",
    "UploadOptions",
    "Video",
    "VideoConstraints",
    "VideoField",
    "VideoInput",
    "clone_repository",
    "clone_repository_async",
    "download_file",
    "download_file_async",
    "download_files",
    "download_files_async",
    "download_model_weights",
    "download_model_weights_async",
    "get_image_size",
    "prune",
    "register_source",
]

_HOMES = {
    "Lifetime": "context",
    "PruneReport": "downloads.cache",
    "prune": "downloads.cache",
    "download_file": "downloads.download",
    "download_file_async": "downloads.download",
    "download_files": "downloads.many",
    "download_files_async": "downloads.many",
    "clone_repository": "downloads.repository",
    "clone_repository_async": "downloads.repository",
    "Head": "downloads.reuse",
    "Opened": "downloads.sources",
    "Source": "downloads.sources",
    "register_source": "downloads.sources",
    "DownloadOptions": "downloads.wanted",
    "download_model_weights": "downloads.weights",
    "download_model_weights_async": "downloads.weights",
    "DownloadError": "errors",
    "FileTooLargeError": "errors",
    "CompressedFile": "files.archive",
    "Audio": "files.audio",
    "AudioConstraints": "files.constraints",
    "FileConstraints": "files.constraints",
    "ImageConstraints": "files.constraints",
    "VideoConstraints": "files.constraints",
    "MediaFacts": "files.facts",
    "AudioField": "files.fields",
    "FileField": "files.fields",
    "FormModel": "files.fields",
    "Hidden": "files.fields",
    "ImageField": "files.fields",
    "ImageSizeField": "files.fields",
    "VideoField": "files.fields",
    "File": "files.file",
    "Image": "files.image",
    "ImageSize": "files.image_size",
    "ImageSizeInput": "files.image_size",
    "ImageSizePreset": "files.image_size",
    "get_image_size": "files.image_size",
    "AudioInput": "files.inputs",
    "FileInput": "files.inputs",
    "ImageInput": "files.inputs",
    "VideoInput": "files.inputs",
    "PendingFile": "files.pending",
    "UploadOptions": "files.upload_options",
    "Video": "files.video",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever lives there
    """Load a public name from its room; folders are looked up anew at each access."""
    if name in {"PERSISTENT_DIR", "MODEL_WEIGHTS_DIR", "REPOSITORY_DIR"}:
        return _folder(name)
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"towpath.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _folder(name: str) -> Path:
    """Return a folder of the data directory."""
    from towpath.downloads import places  # noqa: PLC0415 - as all names here
    from towpath.settings import active  # noqa: PLC0415 - as all names here

    data_dir = active().data_dir
    if name == "PERSISTENT_DIR":
        return data_dir
    is_weights = name == "MODEL_WEIGHTS_DIR"
    return places.model_weights_dir(data_dir) if is_weights else places.repository_dir(data_dir)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
