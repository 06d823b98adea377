"""Bucket version 1, computed by somebody who has not read our code (DESIGN.md 3)."""

import hashlib


def bucket(salt, key):
    canonical = "".join(letter.lower() if letter.isascii() else letter for letter in key.strip())
    digest = hashlib.sha256(f"{salt}:{canonical}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100_000 >> 64


def engine(salt, key, percent):
    return "identity" if bucket(salt, key) < round(percent * 1000) else "classic"


assert [bucket("portal-2026", key) for key in ("ada@example.com", "user-1", "user-2", "josé")] == [71213, 73112, 59775, 77527]
assert bucket("other", "user-1") == 74634
