"""Which parameters of a query are a signature, and which say what is meant. Pure.

A link that is signed anew leads to the file that is here. The naive way leaves out every parameter
that could be a part of a signature: `token`, `sr`, `policy`. It fails because each of these names
means something else elsewhere: `?token=1` and `?token=2` are two files, and the second caller got
the first one's. So a parameter counts as a signature only where a *scheme* is recognised, which is
when all names that the scheme requires are there, each once and with a value. All else is a part of
the file's identity, also within a signed query: `versionId`, `response-content-type`,
`x-oss-process`, and parameters with the prefix of a scheme that it does not define.

Schemes of one parameter (Akamai's `hdnts`, Aliyun CDN's `auth_key`, Baidu's `authorization`,
Backblaze's `Authorization`) are never recognised: nothing tells them from a parameter that selects
the file.
"""

from collections import Counter
from dataclasses import dataclass

__all__ = ["without_signature"]


@dataclass(frozen=True, slots=True)
class _Scheme:
    """One way to sign a URL.

    Attributes:
        required: the names that are always there; in the case that the service writes them.
        optional: further names of the scheme.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _scheme(required: str, optional: str = "") -> _Scheme:
    """Return a scheme whose names are written with spaces between them."""
    return _Scheme(frozenset(required.split()), frozenset(optional.split()))


def _v4(prefix: str, optional: str = "") -> _Scheme:
    """Return a scheme of the form of AWS Signature Version 4, whose names have *prefix*."""
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    return _scheme(" ".join(prefix + name for name in names), optional)


_SCHEMES = (
    # AWS Signature Version 4 and 2: S3, and all that speak its protocol (R2, MinIO, Backblaze, …)
    _v4(
        "X-Amz-",
        "X-Amz-Security-Token X-Amz-S3session-Token X-Amz-Content-Sha256 X-Amz-Region-Set",
    ),
    _scheme("AWSAccessKeyId Expires Signature", "x-amz-security-token"),
    # Google Cloud Storage V4 and V2, Google Cloud CDN
    _v4("X-Goog-", "X-Goog-Security-Token"),
    _scheme("GoogleAccessId Expires Signature"),
    _scheme("KeyName Expires Signature", "URLPrefix"),
    # CloudFront with a canned and a custom policy: also the Hugging Face hub's
    _scheme("Key-Pair-Id Expires Signature", "Hash-Algorithm"),
    _scheme("Key-Pair-Id Policy Signature", "Expires Hash-Algorithm"),
    # Azure SAS of a service, with a stored policy, of a user delegation, of an account
    _scheme("sv sr sp se sig", "st spr sip si sdd ses"),
    _scheme("sv sr si sig", "st se sp spr sip sdd ses"),
    _scheme(
        "sv sr sp se sig skoid sktid skt ske sks skv",
        "st spr sip sdd ses saoid suoid scid skdutid sduoid",
    ),
    _scheme("sv ss srt sp se sig", "st spr sip ses"),
    # Aliyun OSS V1, V2 and V4
    _scheme("OSSAccessKeyId Expires Signature", "security-token"),
    _scheme(
        "x-oss-signature-version x-oss-access-key-id x-oss-expires x-oss-signature",
        "x-oss-additional-headers x-oss-security-token security-token",
    ),
    _scheme(
        "x-oss-signature-version x-oss-credential x-oss-date x-oss-expires x-oss-signature",
        "x-oss-additional-headers x-oss-security-token",
    ),
    # Tencent COS, Huawei OBS, Volcengine TOS
    _scheme(
        "q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list q-signature",
        "x-cos-security-token",
    ),
    _scheme("AccessKeyId Expires Signature", "x-obs-security-token"),
    _v4("X-Tos-", "X-Tos-Security-Token"),
)
_MAY_BE_EMPTY = frozenset({"q-header-list", "q-url-param-list"})
_SIGNING = frozenset(
    {"X-Amz-Signature", "X-Goog-Signature", "X-Tos-Signature", "Signature", "sig"}
    | {"x-oss-signature", "q-signature"}
)


def without_signature(query: str) -> str:
    """Return *query* without the parameters of the signature schemes that are whole in it.

    What is left stays as it is written.
    """
    pairs = query.split("&")
    named = [pair.partition("=")[::2] for pair in pairs]
    if not any(name in _SIGNING for name, _ in named):
        return query
    signing = _signing_names(named)
    kept = [pair for pair, (name, _) in zip(pairs, named, strict=True) if name not in signing]
    return "&".join(kept)


def _signing_names(named: list[tuple[str, str]]) -> frozenset[str]:
    """Return the names that the recognised schemes have in a query."""
    counts = Counter(name for name, _ in named)
    once = {name for name, value in named if counts[name] == 1 and (value or name in _MAY_BE_EMPTY)}
    found: set[str] = set()
    for scheme in _SCHEMES:
        if scheme.required <= once:
            found |= scheme.required | (scheme.optional & once)
    return frozenset(found)
