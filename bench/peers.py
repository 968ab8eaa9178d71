"""How each candidate downloads: code for Python ones, words for commands."""

__all__ = ["FAL", "FAL_GUARD", "HF", "HTTPX", "HTTPX_AGAIN", "OURS", "small", "words"]

FAL_GUARD = """
import fal.toolkit.utils.ssrf as guard
guard.is_globally_routable_ip = lambda ip: True  # it refuses loopback; lifted here only
"""
_FAL_SETUP = f"{FAL_GUARD}from fal.toolkit import download_file"

OURS = {
    "setup": "from towpath.toolkit import download_file",
    "work": "download_file(url, target, progress='off', "
    "allow_hosts=['127.0.0.1', 'localhost', '10.77.0.1'], connections=int(rest[0]))",
}
FAL = {"setup": _FAL_SETUP, "work": "download_file(url, target)"}
HF = {
    "setup": "import hf_transfer",
    "work": "hf_transfer.download(url, target + '/f', int(rest[0]), 10485760)",
}
HTTPX = {
    "setup": "import httpx",
    "work": "with httpx.stream('GET', url) as r, open(target + '/f', 'wb') as f:\n"
    "  [f.write(c) for c in r.iter_bytes(262144)]",
}
HTTPX_AGAIN = {
    "setup": "import httpx\nc, tags = httpx.Client(), {}",
    "work": "r = c.get(url, headers=tags)\n"
    "  if r.status_code == 200: open(target + '/f', 'wb').write(r.content)\n"
    "  tags['If-None-Match'] = r.headers['etag']",
}


def words(name: str, url: str, target: str, connections: int, authority: str) -> list[str]:
    """Return the words of a command that downloads."""
    if name == "curl":
        return ["curl", "-sf", "--cacert", authority, "-o", f"{target}/f", url]
    return [
        *(
            "aria2c",
            "-q",
            f"-x{connections}",
            f"-s{connections}",
            "-k1M",
            "--file-allocation=falloc",
        ),
        *(f"--ca-certificate={authority}", "-d", target, "-o", "f", url),
    ]


def small(count: int) -> dict[str, dict[str, str]]:
    """Return how Python candidates download *count* small files, of which *url* is the folder."""
    urls = f"urls = [url + f'/{{n}}.bin' for n in range({count})]"
    threads = "from concurrent.futures import ThreadPoolExecutor\n"
    return {
        "towpath (8)": {
            "setup": f"from towpath.toolkit import download_files\n{urls}",
            "work": "download_files(urls, target, progress='off', "
            "allow_hosts=['127.0.0.1', 'localhost'])",
        },
        "towpath (1)": {
            "setup": f"from towpath.toolkit import download_files\n{urls}",
            "work": "download_files(urls, target, concurrency=1, progress='off', "
            "allow_hosts=['127.0.0.1', 'localhost'])",
        },
        "fal (1)": {
            "setup": f"{_FAL_SETUP}\n{urls}",
            "work": "[download_file(u, target) for u in urls]",
        },
        "fal (8)": {
            "setup": f"{_FAL_SETUP}\n{threads}{urls}",
            "work": "list(ThreadPoolExecutor(8).map(lambda u: download_file(u, target), urls))",
        },
        "hf-transfer (8)": {
            "setup": f"import hf_transfer\n{threads}{urls}\n"
            "def get(u): hf_transfer.download(u, target + '/' + u.rpartition('/')[2], 1, 1 << 20)",
            "work": "list(ThreadPoolExecutor(8).map(get, urls))",
        },
        "httpx (8)": {
            "setup": f"import httpx\n{threads}{urls}\n"
            "def get(u):\n"
            "  open(target + '/' + u.rpartition('/')[2], 'wb').write(c.get(u).content)",
            "work": "c = httpx.Client()\nlist(ThreadPoolExecutor(8).map(get, urls))",
        },
    }
