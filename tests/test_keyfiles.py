import base64
import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.errors import InvalidSettings
from pushtasks.keyfiles import SIZE_LIMIT, load_private_key, read_key_material

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
ENCRYPTED = {
    encoding: KEY.private_bytes(encoding, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    for encoding in (Encoding.PEM, Encoding.DER)
}
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "project_id": "p"}).encode()


def base64_of(material):
    return base64.b64encode(material).decode()


def refusal(function, *arguments, **options):
    with pytest.raises(InvalidSettings) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(options["setting"])
    return message


class TestForms:
    @pytest.mark.parametrize("material", [PEM, DER, SERVICE_ACCOUNT, ENCRYPTED[Encoding.DER]])
    def test_path_absolute_and_relative(self, material, tmp_path):
        (tmp_path / "AuthKey.p8").write_bytes(material)
        absolute = read_key_material(str(tmp_path / "AuthKey.p8"), setting="key")
        relative = read_key_material("AuthKey.p8", setting="key", directory=tmp_path)
        assert absolute == relative == material

    def test_path_in_the_working_directory_and_at_home(self, tmp_path, monkeypatch):
        (tmp_path / "key").write_bytes(PEM)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert read_key_material("key", setting="key") == PEM
        assert read_key_material("~/key", setting="key") == PEM

    def test_absolute_path_does_not_care_for_the_directory(self, tmp_path):
        (tmp_path / "key").write_bytes(PEM)
        path = str(tmp_path / "key")
        assert read_key_material(path, setting="key", directory=tmp_path / "other") == PEM

    def test_pem_text(self):
        assert read_key_material(PEM.decode(), setting="key") == PEM.strip()

    def test_pem_text_with_written_line_ends(self):
        text = PEM.decode().replace("\n", r"\n")
        material = read_key_material(text, setting="key")
        assert material == PEM
        load_private_key(material, setting="key")

    def test_json_text(self):
        text = f"  {SERVICE_ACCOUNT.decode()}\n"
        assert read_key_material(text, setting="credentials") == SERVICE_ACCOUNT

    @pytest.mark.parametrize(
        "material", [PEM, b"\xef\xbb\xbf" + PEM, DER, SERVICE_ACCOUNT, b"\x30\x80" + DER]
    )
    def test_base64(self, material):
        text = base64_of(material)
        wrapped = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
        url_safe = base64.urlsafe_b64encode(material).decode().rstrip("=")
        for value in (text, wrapped, url_safe):
            assert read_key_material(value, setting="key") == material

    def test_file_comes_before_base64(self, tmp_path):
        name = base64_of(b"\x30\x01\x00")
        (tmp_path / name).write_bytes(PEM)
        assert read_key_material(name, setting="key", directory=tmp_path) == PEM


class TestRefused:
    @pytest.mark.parametrize("value", ["", " \n"])
    def test_empty(self, value):
        message = refusal(read_key_material, value, setting="key")
        assert message == "key is empty: give a path, PEM text or base64"

    @pytest.mark.parametrize(
        "name", ["AuthKey_ABC1234567.p8", "keys/missing", "/no/such/place/service-account.json"]
    )
    def test_missing_file_with_its_name(self, name, tmp_path):
        message = refusal(read_key_material, name, setting="apns.default.key", directory=tmp_path)
        assert f"names {name} (relative to {tmp_path}), but there is no such file" in message
        assert "give the path of one, PEM text or base64" in message

    @pytest.mark.parametrize(
        "value",
        [
            base64_of(os.urandom(100)),
            base64_of(DER[:-1]),
            base64_of(DER)[:-7],
            "AIza" + "x" * 35,
            '"private_key": "MIGHAgEA',
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----",
            "x" * 100_000,
            "key\0file",
            "~nobody-of-that-name-anywhere/key/of/theirs",
        ],
        ids=range(9),
    )
    def test_neither_path_nor_pem_nor_base64_without_showing_it(self, value):
        message = refusal(read_key_material, value, setting="key")
        assert f"has {len(value)} characters that are neither" in message
        assert value[:4] not in message
        assert message.endswith("give one of these")

    @given(st.text())
    def test_any_text_whatsoever_is_read_or_refused_in_one_line(self, value):
        try:
            assert isinstance(read_key_material(value, setting="key"), bytes)
        except InvalidSettings as error:
            assert "\n" not in str(error)  # noqa: PT017

    def test_directory(self, tmp_path):
        message = refusal(read_key_material, str(tmp_path), setting="key")
        assert f"cannot be read from {tmp_path} (Is a directory)" in message
        assert "check path and permissions" in message

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable_file(self, tmp_path):
        path = tmp_path / "key.p8"
        path.write_bytes(PEM)
        path.chmod(0)
        message = refusal(read_key_material, str(path), setting="key")
        assert f"cannot be read from {path} (Permission denied)" in message

    def test_empty_file(self, tmp_path):
        path = tmp_path / "key.p8"
        path.write_bytes(b"\n")
        message = refusal(read_key_material, str(path), setting="key")
        assert message == f"key: the file {path} is empty; put the key into it"

    def test_file_too_large_for_a_key(self, tmp_path):
        path = tmp_path / "key.p8"
        path.write_bytes(b"x" * (SIZE_LIMIT + 1))
        message = refusal(read_key_material, str(path), setting="key")
        assert f"more than {SIZE_LIMIT} bytes" in message


class TestPrivateKeys:
    @pytest.mark.parametrize("material", [PEM, DER, b"Bag Attributes\n" + PEM + PEM])
    @pytest.mark.parametrize("password", [None, "", "not needed"])
    def test_plain_one_needs_no_password(self, material, password):
        key = load_private_key(material, setting="key", password=password)
        assert key.private_numbers() == KEY.private_numbers()

    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    def test_encrypted_one_needs_its_password(self, encoding):
        material = ENCRYPTED[encoding]
        key = load_private_key(material, setting="key", password="hunter2")
        assert key.private_numbers() == KEY.private_numbers()
        for missing in (None, ""):
            message = refusal(load_private_key, material, setting="key", password=missing)
            assert "encrypted private key without its password: decrypt it with" in message
        message = refusal(load_private_key, material, setting="key", password="hunter3")
        assert "cannot be decrypted with its password" in message
        assert "hunter" not in message

    def test_setting_of_the_password_is_named(self):
        options = {"setting": "certificate_key", "unlocked_by": "certificate_password"}
        material = ENCRYPTED[Encoding.PEM]
        assert "set certificate_password, or" in refusal(load_private_key, material, **options)
        message = refusal(load_private_key, material, password="hunter3", **options)
        assert "cannot be decrypted with certificate_password" in message

    def test_public_key_is_none(self):
        public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        message = refusal(load_private_key, public, setting="key")
        assert "has no private key: it must have a block BEGIN PRIVATE KEY" in message
