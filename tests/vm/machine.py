"""Runs a command under another kernel: one of Debian's, in QEMU, with this machine's files as its root.

The root is read-only, with a RAM disk above it, so no image is needed and nothing changes here. There is no
network. /run is empty: a uprobe's file must be copied there, since 9p cannot provide writable pages. The CPU
is emulated, so no KVM is needed: ten seconds to the command, which then runs at a tenth of the speed.

By hand: `python -m tests.vm.machine --release 6.18 --append preempt=full -- COMMAND…`
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = Path("/")  # this machine's files
NEEDED = ("qemu-system-x86_64", "busybox", "cpio", "xz")
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "fs/fscache/fscache",
    "fs/netfs/netfs",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "fs/overlayfs/overlay",
    "crypto/crypto_null",
    "crypto/ctr",
    "crypto/ghash-generic",
    "crypto/gcm",
    "net/tls/tls",
)
"""In load order; some are built into some kernels."""

EMULATION = ("-accel", "tcg,thread=multi", "-cpu", "max")
"""KVM is not used: in a nested hypervisor it may be present and fail."""

SHARED = "security_model=passthrough,multidevs=remap"
MEMORY_MB = 3072
SECONDS = 1200.0  # at most; a run takes one to four minutes on an idle machine
CRASH = re.compile(r"^.*(?:BUG:|Oops|general protection fault|Kernel panic|WARNING:).*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel fetched by tests/vm/fetch-kernels."""

    release: str
    image: Path
    modules: Path

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(number) for number in re.findall(r"\d+", self.release.split("+")[0]))


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a machine. `status` is the command's; None if the kernel did not finish."""

    status: int | None
    output: str
    console: str


def crashes(console: str) -> list[str]:
    """Messages on a kernel's console that indicate a crash."""
    return CRASH.findall(console)


def kernels() -> list[Kernel]:
    """The fetched kernels, oldest first."""
    asked = subprocess.run([HERE / "fetch-kernels", "folder"], check=True, capture_output=True, text=True)
    folder = Path(asked.stdout.strip())
    found = [
        Kernel(image.parent.name, image, image.parent) for image in folder.glob("*/usr/lib/modules/*/vmlinuz")
    ]
    for image in folder.glob("*/boot/vmlinuz-*"):
        release = image.name.removeprefix("vmlinuz-")
        found += [Kernel(release, image, path) for path in folder.glob(f"*/usr/lib/modules/{release}")]
    return sorted(found, key=lambda kernel: kernel.version)


def missing_tools() -> list[str]:
    return [name for name in NEEDED if shutil.which(name) is None]


def run(
    kernel: Kernel, command: Sequence[str], append: str = "", seconds: float = SECONDS, root: Path = ROOT
) -> Finished:
    """Boots, runs the command in this folder, or in / of another root, and powers off."""
    with tempfile.TemporaryDirectory(prefix="spectap-vm-") as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        shutil.copy(HERE / "guest", out / "guest")
        (out / "command").write_text(shlex.join(command))
        (out / "folder").write_text(os.getcwd() if root == ROOT else "/")
        initial = initial_files(kernel, folder)
        console = qemu(kernel, initial, root, out, append, seconds)
        status = out / "status"
        output = out / "output"
        return Finished(
            int(status.read_text()) if status.exists() else None,
            output.read_text(errors="replace") if output.exists() else "",
            console,
        )


def initial_files(kernel: Kernel, folder: Path) -> Path:
    """The archive of the machine's initial files: busybox, the modules and `init`."""
    tree, archive = folder / "initial", folder / "initial.cpio"
    for name in ("bin", "dev", "proc", "sys", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", tree / "bin")
    shutil.copy(HERE / "init", tree / "init")
    (tree / "init").chmod(0o755)
    for index, module in enumerate(MODULES):
        for packed in (kernel.modules / "kernel").glob(f"{module}.ko*"):
            unpacked = tree / "modules" / f"{index:02}-{packed.name.removesuffix('.xz')}"
            with unpacked.open("wb") as file:
                tool = ["xz", "-dc"] if packed.suffix == ".xz" else ["cat"]
                subprocess.run([*tool, packed], check=True, stdout=file)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with archive.open("wb") as file:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], check=True, cwd=tree, input=names.encode(), stdout=file
        )
    return archive


def qemu(kernel: Kernel, initial: Path, root: Path, out: Path, append: str, seconds: float) -> str:
    """Returns the machine's console output; the machine is stopped when the time is up."""
    argv = ["qemu-system-x86_64", *EMULATION, "-smp", "2", "-m", str(MEMORY_MB)]
    argv += [
        "-nographic",
        "-no-reboot",
        "-net",
        "none",
        "-kernel",
        str(kernel.image),
        "-initrd",
        str(initial),
    ]
    argv += ["-append", f"console=ttyS0 panic=-1 oops=panic mitigations=off {append}"]
    argv += ["-virtfs", f"local,path={root},mount_tag=root,readonly=on,{SHARED}"]
    argv += ["-virtfs", f"local,path={out},mount_tag=out,{SHARED}"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds
        )
        console = done.stdout
    except subprocess.TimeoutExpired as late:
        console = late.stdout or b""
    return console.decode(errors="replace")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.machine", description=__doc__)
    parser.add_argument(
        "--release", default="", help="how the kernel's release begins; the newest if not given"
    )
    parser.add_argument("--append", default="", help="more of the kernel's command line")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    fitting = [kernel for kernel in kernels() if kernel.release.startswith(options.release)]
    if not fitting:
        sys.stderr.write("no such kernel here: tests/vm/fetch-kernels all\n")
        return 64
    finished = run(fitting[-1], options.command, options.append)
    sys.stdout.write(finished.output)
    if finished.status is None or crashes(finished.console):
        sys.stderr.write(finished.console)
    return 125 if finished.status is None else finished.status


if __name__ == "__main__":
    sys.exit(main())
