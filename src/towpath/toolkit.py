"""The toolkit: files in, files out. The names that model code needs, and no server."""

from pathlib import Path
from typing import TYPE_CHECKING

from towpath.context import Lifetime
from towpath.downloads.cache import PruneReport, prune
from towpath.downloads.download import download_file, download_file_async
from towpath.downloads.many import download_files, download_files_async
from towpath.downloads.places import model_weights_dir, repository_dir
from towpath.downloads.repository import clone_repository, clone_repository_async
from towpath.downloads.reuse import Head
from towpath.downloads.sources import Opened, Source, register_source
from towpath.downloads.wanted import DownloadOptions
from towpath.downloads.weights import download_model_weights, download_model_weights_async
from towpath.errors import DownloadError, FileTooLargeError
from towpath.files.archive import CompressedFile
from towpath.files.audio import Audio
from towpath.files.file import File
from towpath.files.image import Image
from towpath.files.image_size import ImageSize, ImageSizeInput, ImageSizePreset, get_image_size
from towpath.files.inputs import AudioInput, FileInput, ImageInput, VideoInput
from towpath.files.upload_options import UploadOptions
from towpath.files.video import Video
from towpath.settings import active

if TYPE_CHECKING:
    MODEL_WEIGHTS_DIR: Path
    PERSISTENT_DIR: Path
    REPOSITORY_DIR: Path

__all__ = [
    "MODEL_WEIGHTS_DIR",
    "PERSISTENT_DIR",
    "REPOSITORY_DIR",
    "Audio",
    "AudioInput",
    "CompressedFile",
    "DownloadError",
    "DownloadOptions",
    "File",
    "FileInput",
    "FileTooLargeError",
    "Head",
    "Image",
    "ImageInput",
    "ImageSize",
    "ImageSizeInput",
    "ImageSizePreset",
    "Lifetime",
    "Opened",
    "PruneReport",
    "Source",
    "UploadOptions",
    "Video",
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


def __getattr__(name: str) -> Path:
    """Return a folder of the data directory, which is looked up at the first access."""
    if name == "PERSISTENT_DIR":
        return active().data_dir
    if name == "MODEL_WEIGHTS_DIR":
        return model_weights_dir(active().data_dir)
    if name == "REPOSITORY_DIR":
        return repository_dir(active().data_dir)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
