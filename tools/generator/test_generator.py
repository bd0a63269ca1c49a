"""What the generator refuses, and what it makes of names.

Run with `PYTHONPATH=tools python -m unittest generator.test_generator`.
"""

import pathlib
import tempfile
import unittest

from . import __main__ as command
from . import naming
from .errors import GenerationError

PROTO = pathlib.Path(__file__).parents[2] / "proto"

HEADER = """
syntax = "proto3";
package tenancy.v1;
"""
MESSAGES = """
message Inner { string name = 1; int32 count = 2; }
message Request { Inner inner = 1; string name = 2; repeated string names = 3; uint64 epoch = 4; }
message Response {}
"""


def generate(body: str, **more: str) -> dict[str, str]:
    """Generates from the project's options.proto and a proto with `body`; `more`: by file name."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        package = root / "tenancy/v1"
        package.mkdir(parents=True)
        options = (PROTO / "tenancy/v1/options.proto").read_text()
        (package / "options.proto").write_text(options)
        for name, text in {"sample": body, **more}.items():
            (package / f"{name}.proto").write_text(HEADER + text)
        return command.generate(root)


def service(option: str) -> str:
    rpc = f"rpc Do(Request) returns (Response) {{ {option} }}"
    return f'import "tenancy/v1/options.proto"; {MESSAGES} service Sample {{ {rpc} }}'


class AuthorizationTests(unittest.TestCase):
    def assert_refused(self, option: str, message: str) -> None:
        with self.assertRaisesRegex(GenerationError, message):
            generate(service(option))

    def test_option_is_required(self):
        self.assert_refused("", r"tenancy\.v1\.Sample\.Do: option .* is missing")

    def test_scope_is_required(self):
        self.assert_refused('option (authorization) = {permission: "a:b"};', "UNSPECIFIED")

    def test_permission_is_required(self):
        for scope in ("PLATFORM", "TENANT"):
            option = f"option (authorization) = {{scope: SCOPE_{scope}}};"
            self.assert_refused(option, f"{scope} needs a permission")

    def test_tenant_field_is_a_string_of_the_request(self):
        for path in ("nme", "epoch", "names", "inner", "inner.count", "inner.nme", "name.x", "x.y"):
            option = (
                'option (authorization) = {permission: "a:b" scope: SCOPE_TENANT '
                f'tenant_field: "{path}"}};'
            )
            with self.subTest(path):
                self.assert_refused(option, f"tenant_field '{path}' is not a string field")

    def test_complete_options_are_generated(self):
        option = (
            'option (authorization) = {permission: "a:b" scope: SCOPE_TENANT '
            'tenant_field: "inner.name"};'
        )
        specs = generate(service(option))["Sources/TenancyWire/Generated/Services.swift"]
        self.assertIn('permission: "a:b", scope: .tenant, tenantField: "inner.name"', specs)
        self.assertIn("$0.pointee.inner?.pointee.name ?? ProtobufCBinaryData()", specs)

    def test_self_and_anonymous_need_no_permission(self):
        for scope, swift in (("SELF", ".ownSelf"), ("ANONYMOUS", ".anonymous")):
            outputs = generate(service(f"option (authorization) = {{scope: SCOPE_{scope}}};"))
            specs = outputs["Sources/TenancyWire/Generated/Services.swift"]
            self.assertIn(f"scope: {swift}", specs)


class MessageTests(unittest.TestCase):
    def assert_refused(self, body: str, message: str) -> None:
        with self.assertRaisesRegex(GenerationError, message):
            generate(body)

    def test_recursion_is_refused(self):
        body = "message A { repeated B b = 1; } message B { map<string, A> a = 1; }"
        self.assert_refused(body, "recursive")

    def test_unsupported_fields_are_refused(self):
        self.assert_refused("message A { oneof x { string y = 1; } }", "oneof")
        self.assert_refused("message A { optional string y = 1; }", "optional")
        self.assert_refused("message A { map<int32, string> y = 1; }", "map keys")

    def test_c_has_bytes_for_strings(self):
        outputs = generate("message A { string text = 1; map<string, string> more = 2; }")
        source = outputs["Sources/CTenancyProto/tenancy/v1/sample.pb-c.c"]
        self.assertEqual(source.count("PROTOBUF_C_TYPE_BYTES"), 3)
        self.assertNotIn("PROTOBUF_C_TYPE_STRING", source)

    def test_imports_come_first_whatever_their_names(self):
        body = 'import "tenancy/v1/zulu.proto"; message A { Z z = 1; }'
        outputs = generate(body, zulu="message Z {}")
        self.assertIn("Sources/CTenancyProto/tenancy/v1/zulu.pb-c.c", outputs)

    def test_every_scalar_is_generated(self):
        types = (
            "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 "
            "sfixed64 bool string bytes"
        ).split()
        fields = "".join(
            f"{name} one_{name} = {3 * i + 1}; repeated {name} all_{name} = {3 * i + 2}; "
            f"map<string, {name}> map_{name} = {3 * i + 3};"
            for i, name in enumerate(types)
        )
        swift = generate(f"message A {{ {fields} }}")
        text = swift["Sources/TenancyWire/Generated/V1Sample.swift"]
        for name in types:
            self.assertRegex(text, f"var one{name.capitalize()}: ")
            self.assertRegex(text, rf"var map{name.capitalize()}: \[String: ")


class CommandTests(unittest.TestCase):
    def test_output_is_deterministic(self):
        self.assertEqual(command.generate(PROTO), command.generate(PROTO))

    def test_stale_files_are_found(self):
        outputs = command.generate(PROTO)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            command.write(outputs, root)
            self.assertEqual(command.stale(outputs, root), [])
            changed, missing, *_ = sorted(outputs)
            extra = f"{command.WIRE_FOLDER}/Extra.swift"
            (root / changed).write_text("changed")
            (root / missing).unlink()
            (root / extra).write_text("")
            self.assertEqual(command.stale(outputs, root), sorted([changed, missing, extra]))


class NamingTests(unittest.TestCase):
    def test_names_match_protoc_gen_c(self):
        self.assertEqual(naming.c_type("tenancy.v1.WhoAmIRequest"), "Tenancy__V1__WhoAmIRequest")
        prefix = naming.c_function_prefix("tenancy.v1.WhoAmIRequest")
        self.assertEqual(prefix, "tenancy__v1__who_am_irequest")
        self.assertEqual(naming.c_field("default"), "default_")

    def test_swift_names(self):
        self.assertEqual(naming.lower_camel("display_name"), "displayName")
        self.assertEqual(naming.enum_case("TenantState", "TENANT_STATE_ACTIVE"), "active")
        self.assertEqual(naming.enum_case("Kind", "KIND_DEFAULT"), "`default`")
        self.assertEqual(naming.enum_case("Kind", "KIND_2FA"), "_2fa")


if __name__ == "__main__":
    unittest.main()
