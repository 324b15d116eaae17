"""What is optional: each component of kustomize and the chart's values for it give equal objects, which their
definitions allow.
"""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography import x509

from agent.options import OPTIONS
from tests.cluster import definitions
from tests.cluster.cluster import programs
from tests.cluster.manifests import Objects, containers, helmed, kustomized, plain, rendered
from tests.e2e.processes import REPOSITORY

pytestmark = pytest.mark.cluster

COMPONENTS = REPOSITORY / "daemonset/components"
TLS, MUTUAL = "tls.enabled=true", "tls.clientCertificates=true"
HOST = "spectap.example.com"
INGRESS = (
    "ingress.enabled=true",
    f"ingress.host={HOST}",
    "ingress.tlsSecret=spectap-ingress-tls",
)
ROUTE = (
    "httpRoute.enabled=true",
    f"httpRoute.hosts={{{HOST}}}",
    "httpRoute.parentRefs[0].name=gateway",
    "httpRoute.parentRefs[0].namespace=gateways",
)
CHOICES = {
    "tls": (TLS,),
    "tls mtls": (TLS, MUTUAL),
    "tls cert-manager": (TLS, "tls.certManager=true"),
    "monitoring": ("monitoring.enabled=true",),
    "ingress": INGRESS,
    "http-route": ROUTE,
    "monitoring tls mtls cert-manager ingress http-route": (
        TLS,
        MUTUAL,
        "tls.certManager=true",
        "monitoring.enabled=true",
        *INGRESS,
        *ROUTE,
    ),
}
"""Components, and the values of the chart that stand for them."""
ALL = max(CHOICES, key=len)


@pytest.fixture(scope="module")
def tools() -> Path:
    return programs()


def charted(tools: Path, *values: str, secrets: bool = False) -> Objects:
    """The chart's objects but for those of `helm test`."""
    given = (*values, f"secrets.create={str(secrets).lower()}")
    return helmed(tools, "--skip-tests", *(word for value in given for word in ("--set", value)))


def test_each_component_is_compared() -> None:
    assert {path.name for path in COMPONENTS.iterdir()} == {name for one in CHOICES for name in one.split()}


@pytest.mark.parametrize("components", CHOICES)
def test_helm_installs_what_the_components_add(tools: Path, tmp_path: Path, components: str) -> None:
    found = kustomized(tools, tmp_path, components.split())
    ours = {name: plain(one) for name, one in found.items() if one["kind"] != "Namespace"}
    charts = {name: plain(one) for name, one in charted(tools, *CHOICES[components]).items()}
    assert charts == ours


def test_nothing_optional_is_installed_unasked(tools: Path, tmp_path: Path) -> None:
    base, everything = kustomized(tools), kustomized(tools, tmp_path, ALL.split())
    assert sorted(everything.keys() - base.keys()) == [
        "Certificate/spectap-agent",
        "Certificate/spectap-ca",
        "Certificate/spectap-server",
        "HTTPRoute/spectap-server",
        "Ingress/spectap-server",
        "Issuer/spectap-ca",
        "Issuer/spectap-selfsigned",
        "PodMonitor/spectap-agent",
        "ServiceMonitor/spectap-server",
    ]
    for one in (everything[name] for name in everything.keys() - base.keys()):
        assert one["metadata"]["labels"] == {"app.kubernetes.io/part-of": "spectap"}


def test_custom_resources_are_as_their_definitions_say(tools: Path, tmp_path: Path) -> None:
    found = kustomized(tools, tmp_path, ALL.split())
    custom = [one for one in found.values() if one["kind"] in definitions.KINDS]
    assert {one["kind"] for one in custom} == definitions.KINDS
    for one in custom:
        schema = definitions.schema(one["kind"], one["apiVersion"].partition("/")[2])
        jsonschema.Draft202012Validator(schema).validate(one)
        with pytest.raises(jsonschema.ValidationError, match="unexpected"):
            jsonschema.Draft202012Validator(schema).validate(one | {"spec": {**one["spec"], "sped": 1}})


def test_every_variable_of_a_component_is_an_option_of_its_program(tools: Path, tmp_path: Path) -> None:
    found = kustomized(tools, tmp_path, ALL.split())
    (agent_container,) = containers(found["DaemonSet/spectap-agent"])
    (server_container,) = containers(found["StatefulSet/spectap-server"])
    assert {one["name"] for one in agent_container["env"]} <= {option.variable for option in OPTIONS}
    options = (REPOSITORY / "server/options.py").read_text()
    for one in server_container["env"]:
        assert f'_env("{one["name"].removeprefix("SPECTAP_").lower()}"' in options


@pytest.mark.parametrize(
    "value",
    [
        "tls.clientCertificates=true",
        "tls.certManager=true",
        "ingress.enabled=true",
        "httpRoute.enabled=true",
        "monitoring.interval=often",
        "agent=null",
        "agent.memoryMib=null",
        "server.storage=null",
    ],
)
def test_values_that_do_not_fit_are_refused(tools: Path, value: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        charted(tools, value)
    assert re.split(r"[.=]", value)[0] in refused.value.stderr


def certificates(secret: dict[str, Any]) -> dict[str, x509.Certificate]:
    """The certificates in a Secret of TLS: `ca.crt` and `tls.crt`."""
    return {
        name: x509.load_pem_x509_certificate(base64.b64decode(secret["data"][name]))
        for name in ("ca.crt", "tls.crt")
    }


@pytest.mark.parametrize("maker", ["script", "chart"])
def test_the_secrets_of_tls_are_of_one_authority_and_name_the_service_and_a_host_of_ones_own(
    tools: Path, maker: str
) -> None:
    made = (
        rendered([REPOSITORY / "daemonset/secrets", "--tls", "--host", HOST])
        if maker == "script"
        else charted(tools, TLS, f"tls.hosts={{{HOST}}}", secrets=True)
    )
    server, agent = (made[f"Secret/spectap-{name}-tls"] for name in ("server", "agent"))
    assert server["type"] == agent["type"] == "kubernetes.io/tls"
    for found in (certificates(server), certificates(agent)):
        found["tls.crt"].verify_directly_issued_by(found["ca.crt"])
    assert server["data"]["ca.crt"] == agent["data"]["ca.crt"]
    managed = rendered(["cat", COMPONENTS / "cert-manager/certificates.yaml"])
    wanted = managed["Certificate/spectap-server"]["spec"]
    extensions = certificates(server)["tls.crt"].extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [*wanted["dnsNames"], HOST]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == wanted["ipAddresses"]


def test_the_chart_tests_what_it_installed(tools: Path) -> None:
    for values, url in (((), "http://"), ((TLS,), "https://")):
        sets = [word for value in values for word in ("--set", value)]
        found = helmed(tools, *sets)["Pod/spectap-test"]
        assert found["metadata"]["annotations"]["helm.sh/hook"] == "test"
        (container,) = found["spec"]["containers"]
        (program,) = container["args"]
        compile(program, "test", "exec")
        assert f"{url}spectap-server:8080/readyz?agent=1" in program
