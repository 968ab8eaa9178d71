"""The git command, tied to the addresses that the guard judged.

The naive way is to read a URL as git would, judge that, and let git go. It fails wherever the two
readings differ: `urljoin` stops `../../../10.0.0.1/x.git` at the root of the host, git climbs over
the host; Python and curl write `faß.de` as two different hosts; curl looks up `host.` and not the
`host` that it was tied to. So nothing is read twice: git itself resolves the URLs of submodules
(`git submodule init` writes them into `.git/config` and opens no connection), what stands there is
judged, and git is given back the text that was judged, in ASCII, without a dot at the host's end.
What a server could send git elsewhere with is off: redirects and the alternates of the dumb
protocol (`http.followRedirects`), bundles and packfiles under other URLs.
(gitsubmodules(7), gitprotocol-v2(5), CURLOPT_RESOLVE(3).)
"""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

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
    "fetch.recurseSubmodules=false",
    "fetch.uriProtocols=",
    "transfer.bundleURI=false",
)
_LINK_MODE = "160000"  # of a submodule in git's index
_SUBMODULE_URLS = r"^submodule\..*\.url$"


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
                encoding="utf-8",
                errors="surrogateescape",
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise DownloadError(
                self.url, "repositories are not read here.", advice="Install git, which is missing."
            ) from None
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
            advice = f"Install git 2.37 or newer: {shown(text, 60)} is too old."
            raise DownloadError(self.url, "repositories are not read here.", advice=advice)

    def pin_submodules(self, folder: Path, most: int) -> "Git":
        """Return one that may reach the hosts of the submodules of the work tree in *folder*.

        Git resolves their URLs; each is judged and put back as it was judged.

        Raises:
            BlockedAddressError: one leads to an address that is not allowed.
            InvalidURLError: one is no https URL.
            DownloadError: there are more than *most*.
        """
        count = len(self._submodule_paths(folder))
        if count > most:
            raise DownloadError(self.url, f"it has {count} submodules, and {most} are allowed")
        self.run("submodule", "--quiet", "init", folder=folder)
        urls = self._submodule_urls(folder)
        pinned = self.reaching(urls.values())
        for name, url in urls.items():
            if (judged := https_target(url).url) != url:
                self.run("config", "--local", name, judged, folder=folder)
        return pinned

    def _submodule_urls(self, folder: Path) -> dict[str, str]:
        """Return the URLs of the submodules by their names in git's configuration."""
        arguments = ("config", "--local", "--null", "--get-regexp", _SUBMODULE_URLS)
        try:
            text = self.run(*arguments, folder=folder)
        except DownloadError:  # no URL is written there
            return {}
        pairs = (entry.partition("\n") for entry in text.split("\0") if entry)
        return {name: url for name, _, url in pairs}

    def submodule_folders(self, folder: Path) -> list[Path]:
        """Return the folders of the submodules that were brought to the work tree in *folder*."""
        found = [folder / path for path in self._submodule_paths(folder)]
        return [path for path in found if (path / ".git").exists()]

    def _submodule_paths(self, folder: Path) -> list[str]:
        """Return the paths of submodules in git's index."""
        entries = self.run("ls-files", "--stage", "-z", folder=folder).split("\0")
        return [entry.partition("\t")[2] for entry in entries if entry.startswith(_LINK_MODE)]


def _bracketed(host: str) -> str:
    """Return an IPv6 address as curl wants it."""
    return f"[{host}]" if ":" in host else host


def _refusal(url: str, said: str) -> DownloadError:
    """Turn what git says into our error."""
    lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    last = (lines or said.splitlines() or ["nothing"])[-1]
    reason = f"git says: {shown(_without_places(last), 300)}"
    if any(word in last.lower() for word in _PASSING):
        return SourceUnavailableError(url, reason)
    return DownloadError(url, f"{reason}. Check the URL, the commit, and that it is public.")


def _without_places(line: str) -> str:
    """Return a line of git's without URLs and local paths."""
    line = re.sub(r"\w+://\S+", "the URL", line)
    line = re.sub(r"'/[^']*'", "a local path", line)
    return re.sub(r"(?<![\w/])/(?!\s)[^\s:]+", "a local path", line)
