"""rustls' functions, by names as rustc mangles them, in programs compiled here and in a real one."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doctor.files import inspect
from agent.probes import rustls, tls
from agent.probes.rustls import DECRYPT, ENCRYPT, TRAFFIC_12, TRAFFIC_13
from agent.probes.tls import RUSTLS
from tests.e2e.rust_programs import RELEASE

HASH = "17h0123456789abcdefE"


def cipher(crate: str, kind: str, method: str) -> str:
    return (
        f"_ZN111_$LT${crate}{kind}$u20$as$u20$rustls..crypto..cipher..Message"
        f"{method.title()}er$GT$7{method}{HASH}"
    )


def traffic(side: str, version: str) -> str:
    data = f"{side}_conn..{side.title()}ConnectionData"
    return (
        f"_ZN141_$LT$rustls..{side}..{version}..ExpectTraffic$u20$as$u20$rustls..common_state..State"
        f"$LT$rustls..{side}..{data}$GT$$GT$6handle{HASH}"
    )


RING, AWS = "rustls..crypto..ring..tls13..", "rustls_provider..suites.."
OLDER_NAMES = {
    cipher(RING, "Tls13MessageEncrypter", "encrypt"): ENCRYPT,
    cipher(AWS, "Gcm", "encrypt") + ".llvm.1302586019518025339": ENCRYPT,
    cipher(RING, "Tls13MessageDecrypter", "decrypt"): DECRYPT,
    traffic("client", "tls12"): TRAFFIC_12,
    traffic("client", "tls13"): TRAFFIC_13,
    traffic("server", "tls13"): TRAFFIC_13,
}
NEWER_NAMES = {
    "_RNvXs0_NtNtNtCs4ub_6rustls6crypto4ring5tls13NtB5_21Tls13MessageEncrypter"
    "NtNtB9_6cipher16MessageEncrypter7encrypt": ENCRYPT,
    "_RNvXs1_NtNtNtCs4ub_6rustls6crypto4ring5tls13NtB5_21Tls13MessageDecrypter"
    "NtNtB9_6cipher16MessageDecrypter7decrypt": DECRYPT,
    "_RNvXs2_NtNtCs4ub_6rustls6server5tls12NtB5_13ExpectTraffic"
    "INtNtB9_12common_state5StateNtNtB7_11server_conn20ServerConnectionDataE6handle": TRAFFIC_12,
}
OTHERS = (
    cipher("rustls..crypto..cipher..", "InvalidMessageEncrypter", "encrypt"),
    "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher.."
    f"MessageEncrypter$GT$21encrypted_payload_len{HASH}",
    traffic("client", "tls13").replace("6handle", "9into_owned"),
)


def program(folder: Path, names: list[str], *flags: str, text: str = "") -> Path:
    """A program with a function for each name."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    source = "".join(
        f'int f{n}(void) __asm__("{name}"); int f{n}(void) {{ return {n}; }}\n'
        for n, name in enumerate(names)
    )
    source += f'const char text[] = "{text}"; int main(void) {{ return text[0]; }}\n'
    built = folder / "program"
    subprocess.run([compiler, "-x", "c", "-", "-o", built, *flags], input=source.encode(), check=True)
    return built


def found_in(path: Path) -> dict[str, int]:
    """The number of places of each function."""
    with path.open("rb") as file:
        found = rustls.functions(file, RUSTLS.hooks)
    return {name: 1 + len(function.others) for name, function in found.items()}


@pytest.mark.parametrize("names", [OLDER_NAMES, NEWER_NAMES], ids=["older-names", "newer-names"])
def test_each_function_is_found_under_all_its_names_and_nothing_else_is(
    tmp_path: Path, names: dict[str, str]
) -> None:
    expected = {name: [*names.values()].count(name) for name in names.values()}
    assert found_in(program(tmp_path, [*names, *OTHERS])) == expected


@pytest.mark.parametrize("missing", [ENCRYPT, DECRYPT, TRAFFIC_12])
def test_a_program_without_one_of_them_has_none(tmp_path: Path, missing: str) -> None:
    names = [name for name, function in NEWER_NAMES.items() if function != missing]
    assert found_in(program(tmp_path, names)) == {}


def test_a_stripped_program_has_none(tmp_path: Path) -> None:
    assert found_in(program(tmp_path, [*OLDER_NAMES], "-s")) == {}


@pytest.mark.parametrize(("version", "is_known"), [("0.22.4", False), ("0.23.46", True)])
def test_a_program_that_names_a_version_of_other_types_has_none(
    tmp_path: Path, version: str, is_known: bool
) -> None:
    built = program(tmp_path, [*OLDER_NAMES], text=f"/home/me/rustls-{version}/src/conn.rs")
    assert bool(found_in(built)) is is_known


def test_a_damaged_file_has_none_and_raises_nothing(tmp_path: Path) -> None:
    whole = program(tmp_path, [*OLDER_NAMES]).read_bytes()
    for cut in range(0, len(whole), 509):
        rustls.functions(io.BytesIO(whole[:cut]), RUSTLS.hooks)


@given(st.binary(max_size=300))
def test_any_bytes_have_none(data: bytes) -> None:
    assert rustls.functions(io.BytesIO(data), RUSTLS.hooks) == {}


@pytest.mark.root
def test_in_a_real_program_each_is_found_for_every_cipher_and_either_end() -> None:
    with RELEASE.make().open("rb") as file:
        found = tls.functions(file)
    places = {name: 1 + len(function.others) for name, function in found.items()}
    assert places == {ENCRYPT: 3, DECRYPT: 3, TRAFFIC_12: 2, TRAFFIC_13: 2}


@pytest.mark.root
def test_of_a_real_program_that_is_stripped_the_doctor_knows_that_it_has_rustls(tmp_path: Path) -> None:
    tool = shutil.which("strip") or pytest.skip("no binutils")
    stripped = tmp_path / "stripped"
    subprocess.run([tool, "-o", stripped, RELEASE.make()], check=True)
    with stripped.open("rb") as stream:
        file = inspect(stream)
    assert file is not None
    assert not file.functions
    assert file.marks == {RUSTLS.name}
