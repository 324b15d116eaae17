"""Our program on rustls (rust/), built in several ways, as the server or the client under test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import REPOSITORY

SOURCES = Path(__file__).parent / "rust"
LOCK = SOURCES / "crates.lock"
"""Cargo.lock without the addresses that packages come from: cargo knows where they are."""
MADE = REPOSITORY / ".venv/rust"
EVERYTHING = os.environ.get("TIERS") == "all"
SOURCE = re.compile(r"^source = .*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Build:
    """A way to build: a profile and a feature of Cargo.toml, which names the ciphers, and flags of rustc."""

    name: str
    profile: str
    flags: str = ""
    ciphers: str = "ring"

    def __str__(self) -> str:
        return self.name

    def make(self) -> Path:
        """The program. What was compiled stays for the next run."""
        cargo = shutil.which("cargo", path=f"{os.environ['PATH']}:{Path.home() / '.cargo/bin'}")
        if cargo is None:
            pytest.skip("no cargo: rustls is tested where Rust and its crates can be had")
        folder = locked(cargo)
        target = MADE / self.name
        settings = {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": self.flags}
        argv = [cargo, "build", "--locked", "--profile", self.profile]
        argv += ["--no-default-features", "--features", self.ciphers]
        subprocess.run(argv, cwd=folder, env=dict(os.environ) | settings, check=True)
        return target / {"dev": "debug"}.get(self.profile, self.profile) / "calls"


def locked(cargo: str) -> Path:
    """The sources with the lock, as cargo takes it; skips where the crates are not to be had."""
    folder = MADE / "sources"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCES, folder)
    lock = folder / "Cargo.lock"
    done = subprocess.run([cargo, "generate-lockfile"], cwd=folder, capture_output=True, text=True)
    if done.returncode == 0:
        found = SOURCE.search(lock.read_text())
        assert found is not None
        of_crate = re.compile(r"^(?=checksum = )", re.MULTILINE)
        lock.write_text(of_crate.sub(lambda _: found.group(), LOCK.read_text()))
        done = subprocess.run([cargo, "fetch", "--locked"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no crates: {done.stderr.strip().splitlines()[-1]}")
    return folder


RELEASE = Build("release", "release")
AWS = Build("aws-lc-rs", "release", ciphers="aws-lc-rs")
OTHERS = (
    Build("debug", "dev"),
    Build("small", "small"),  # for size, with link-time optimisation
    Build("newer-names", "release", "-C symbol-mangling-version=v0"),
    AWS,
)
BUILDS = (RELEASE, *OTHERS) if EVERYTHING else (RELEASE,)
