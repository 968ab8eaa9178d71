"""The git command, tied to the addresses that the guard judged."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from towpath.errors import DownloadError, InvalidURLError, SourceUnavailableError
from towpath.errors.redaction import shown
from towpath.net.guard import Guard
from towpath.net.policy import AddressPolicy, Target, parse_target
from towpath.settings import active, environment_of_git

__all__ = ["Git", "https_target"]

_LEAST_VERSION = (2, 37)  # the first with http.curloptResolve
_SECONDS = 3600
_PASSING = ("timed out", "could not connect", "couldn't connect", "connection", "returned error: 5")
_FIXED = (
    "protocol.allow=never",
    "protocol.https.allow=always",
    "http.followRedirects=false",
    "http.proxy=",
    "http.lowSpeedLimit=10240",
    "http.lowSpeedTime=30",
    "credential.helper=",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "advice.detachedHead=false",
    "submodule.recurse=false",
)


def https_target(url: str) -> Target:
    """Return where the URL of a repository leads.

    Raises:
        InvalidURLError: it is not an https URL.
    """
    target = parse_target(url)
    if target.scheme != "https":
        raise InvalidURLError(url, "repositories are cloned over https only")
    return target


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git for one repository; every host it may reach was judged before.

    Attributes:
        url: the repository, for messages.
        pins: `host:port:address` of each host that may be reached.
    """

    url: str
    pins: frozenset[str] = frozenset()

    def reaching(self, urls: Iterable[str]) -> "Git":
        """Return one that may reach the hosts of *urls* too.

        Raises:
            BlockedAddressError: one leads to an address that is not allowed.
            InvalidURLError: one is no https URL.
        """
        guard = Guard(AddressPolicy(active().allow_hosts))
        pins = set(self.pins)
        for url in urls:
            target = https_target(url)
            addresses = ",".join(_bracketed(each) for each in guard.addresses(target))
            pins.add(f"{_bracketed(target.host)}:{target.port}:{addresses}")
        return Git(self.url, frozenset(pins))

    def run(self, *arguments: str, folder: Path | None = None) -> str:
        """Run git and return what it printed.

        Raises:
            SourceUnavailableError: the host does not answer.
            DownloadError: git is missing or too old, or says no.
        """
        options = [*_FIXED, *(f"http.curloptResolve={pin}" for pin in sorted(self.pins))]
        command = ["git", *(part for option in options for part in ("-c", option)), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - no shell; URLs were parsed, and come after --
                command,
                cwd=folder,
                env=environment_of_git(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise DownloadError(self.url, "the git command is missing. Install git.") from None
        except subprocess.TimeoutExpired:
            reason = f"git took longer than {_SECONDS} s"
            raise SourceUnavailableError(self.url, reason) from None
        if done.returncode:
            raise _refusal(self.url, done.stderr)
        return done.stdout.strip()

    def check_version(self) -> None:
        """See that git can be tied to an address.

        Raises:
            DownloadError: it is missing or too old.
        """
        text = self.run("version")
        match = re.search(r"(\d+)\.(\d+)", text)
        if match is None or (int(match[1]), int(match[2])) < _LEAST_VERSION:
            reason = f"{shown(text, 60)} is too old; git 2.37 or newer is needed"
            raise DownloadError(self.url, reason)

    def submodule_urls(self, folder: Path, base: str) -> list[str]:
        """Return the URLs of the submodules of the work tree in *folder*, made absolute."""
        if not (folder / ".gitmodules").is_file():
            return []
        pattern = r"^submodule\..*\.url$"
        try:
            text = self.run(
                "config", "--file", ".gitmodules", "--get-regexp", pattern, folder=folder
            )
        except DownloadError:
            return []
        found = [line.partition(" ")[2] for line in text.splitlines()]
        return [urljoin(f"{base}/", url) if url.startswith((".", "/")) else url for url in found]


def _bracketed(host: str) -> str:
    """Return an IPv6 address as curl wants it."""
    return f"[{host}]" if ":" in host else host


def _refusal(url: str, said: str) -> DownloadError:
    """Turn what git says into our error."""
    lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    last = (lines or said.splitlines() or ["nothing"])[-1]
    without_urls = re.sub(r"https?://\S+", "the URL", last)
    reason = f"git says: {shown(without_urls, 300)}"
    if any(word in last.lower() for word in _PASSING):
        return SourceUnavailableError(url, reason)
    return DownloadError(url, f"{reason}. Check the URL, the commit, and that it is public.")
