"""TLS for both protocols, and the reasons why it cannot be had."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from docarray import DocList
from jina.proto.jina_pb2 import DataRequestProto

from gateway.guard.tls import certificate
from schemas.errors import ConfigurationError
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings
from tests.gateway import flow_process
from tests.gateway.guard.guarded_flow import HERE


def self_signed(folder: Path, password: bytes | None = None) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return chain, private


def failure(settings: Settings) -> str:
    with pytest.raises(ConfigurationError) as raised:
        certificate(settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_neither_file_means_plain_text(make_settings: Callable[..., Settings]) -> None:
    assert certificate(make_settings()) is None


def test_what_is_wrong_with_the_files_is_said(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path / "a")
    other_chain, other_key = self_signed(tmp_path / "b", password=b"secret")
    _, another_key = self_signed(tmp_path / "c")

    def of(chain: Path | None, key: Path | None) -> Settings:
        return make_settings(deepsearch_tls_certificate=chain, deepsearch_tls_key=key)

    assert certificate(of(chain, key)) == (str(chain), str(key))
    assert failure(of(chain, None)) == "DEEPSEARCH_TLS_CERTIFICATE is set, but DEEPSEARCH_TLS_KEY is not; TLS needs both."
    assert failure(of(None, key)) == "DEEPSEARCH_TLS_KEY is set, but DEEPSEARCH_TLS_CERTIFICATE is not; TLS needs both."
    assert failure(of(chain, tmp_path / "none")).startswith(f"DEEPSEARCH_TLS_KEY: {tmp_path / 'none'} cannot be read: No such file")
    assert failure(of(chain, another_key)).endswith("cannot be used, they do not belong together.")
    assert failure(of(key, chain)).endswith("cannot be used, one of them is no PEM file of its kind.")
    assert failure(of(other_chain, other_key)).endswith("is protected by a password; give a key without one.")


@pytest.mark.flow
def test_a_half_set_pair_ends_the_start_with_one_line(tmp_path: Path) -> None:
    chain, _ = self_signed(tmp_path / "a")
    settings = flow_process.free_port_settings() | {"DEEPSEARCH_TLS_CERTIFICATE": str(chain)}
    process = flow_process.start(flow_process.SERVE, str(HERE / "guarded_flow.yml"), home=tmp_path, **settings)
    out, err = process.communicate(timeout=60)
    line = "DEEPSEARCH_TLS_CERTIFICATE is set, but DEEPSEARCH_TLS_KEY is not; TLS needs both.\n"
    assert (process.returncode, out, err) == (2, "", line)


@pytest.mark.flow
def test_both_protocols_speak_tls_only(start: Any, tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path)
    flow = start(DEEPSEARCH_TLS_CERTIFICATE=str(chain), DEEPSEARCH_TLS_KEY=str(key), DEEPSEARCH_API_KEYS="k1")
    assert flow.scheme == "https"
    trust = ssl.create_default_context(cafile=str(chain))
    response = httpx.post(f"{flow.http}/research", json={"data": {"question": "q"}}, headers={"x-api-key": "k1"}, verify=trust)
    assert response.json()["data"][0]["text"] == "Yes."
    with httpx.stream("GET", f"{flow.http}/research/stream?question=q", headers={"x-api-key": "k1"}, verify=trust) as stream:
        assert [line for line in stream.iter_lines() if line.startswith("event: end")]
    assert httpx.get(f"{flow.http}/v1/models", verify=trust).status_code == 401
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{flow.http_port}/health/live")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{flow.http}/health/live")  # a certificate that nobody vouches for
    old = ssl.create_default_context(cafile=str(chain))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert httpx.get(f"{flow.http}/health/live", verify=old).status_code == 200

    request = DataRequestProto()
    request.header.exec_endpoint = "/research"
    request.data.docs.docs.append(ResearchRequest(question="q").to_protobuf())

    def ask(channel: Any, **options: Any) -> Any:
        call = channel.unary_unary(
            "/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString, DataRequestProto.FromString
        )
        return DocList[ResearchAnswer].from_protobuf(call(request, timeout=30, **options).data.docs)

    with grpc.secure_channel(f"localhost:{flow.grpc}", grpc.ssl_channel_credentials(chain.read_bytes())) as channel:
        assert ask(channel, metadata=(("authorization", "Bearer k1"),))[0].text == "Yes."
        with pytest.raises(grpc.RpcError) as raised:
            ask(channel)
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with grpc.insecure_channel(f"localhost:{flow.grpc}") as channel, pytest.raises(grpc.RpcError) as raised:
        ask(channel)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
