"""What the generator refuses, and what it makes of names.

Run with `PYTHONPATH=tools python -m unittest generator.test_generator`.
"""

import pathlib
import tempfile
import unittest
import unittest.mock

from documentation import symbols

from . import __main__ as command
from . import model, naming
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


def generate_foreign(syntax: str = "proto3", **protos: str) -> dict[str, str]:
    """Generates the module Shop of another package from protos by file name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in protos.items():
            path = pathlib.Path(folder) / f"{name}.proto"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'syntax = "{syntax}";{text}')
        # Other tests generate ours.
        with unittest.mock.patch.dict(model.NAMESPACES):
            return command.generate_foreign(pathlib.Path(folder), command.modules.foreign("Shop"))


def service(option: str) -> str:
    rpc = f"rpc Do(Request) returns (Response) {{ {option} }}"
    return f'import "tenancy/v1/options.proto"; {MESSAGES} service Sample {{ {rpc} }}'


class ViewTests(unittest.TestCase):
    """Of messages that hot methods are asked with, as modules.py lists them."""

    def test_texts_lists_and_maps_are_read_where_they_lie(self):
        outputs = generate(
            "message Item {} message CheckRequest { string subject = 1; repeated Item items = 2; "
            "map<string, string> headers = 3; Item one = 4; bytes raw = 5; }"
        )
        sample = outputs["Sources/TenancyWire/Generated/V1Sample.swift"]
        for line in (
            "extension MessageView where Message == V1.CheckRequest {",
            "@inlinable public var subject: TextView {",
            "@inlinable public var items: MessageListView<V1.Item> {",
            "@inlinable public var headers: TextMapView {",
            "@inlinable public var one: MessageView<V1.Item>? {",
            "@inlinable public var raw: TextView {",
        ):
            self.assertIn(line, sample)

    def test_what_has_no_view_is_refused(self):
        for field in ("int32 i = 1", "repeated string s = 1", "map<string, bool> m = 1"):
            with self.subTest(field), self.assertRaisesRegex(GenerationError, "has no view"):
                generate(f"message CheckRequest {{ {field}; }}")
        with self.assertRaisesRegex(GenerationError, "oneof, for which there is no view"):
            generate("message CheckRequest { oneof one { string s = 1; } }")


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
        self.assert_refused("message A { map<int32, string> y = 1; }", "map keys")
        struct = 'import "google/protobuf/struct.proto"; message A '
        for field in ("repeated S y = 1;", "optional S y = 1;", "oneof x { S y = 1; }"):
            for name in ("Struct", "Value"):
                with self.subTest(field, name=name):
                    body = struct + "{ " + field.replace("S", f"google.protobuf.{name}") + " }"
                    self.assert_refused(body, f"{name} is supported")

    def test_oneof_is_an_enum(self):
        body = "message B {} message A { oneof some_kind { B b = 3; string c = 7; bool d = 9; } }"
        text = generate(body)["Sources/TenancyWire/Generated/V1Sample.swift"]
        self.assertIn("public var someKind: SomeKind?", text)
        self.assertIn("case c(String)", text)
        self.assertIn("switch c.pointee.some_kind_case.rawValue {", text)
        self.assertIn("c.pointee.some_kind_case = .init(rawValue: 7)", text)
        self.assertIn('object["d"] = .bool(value)', text)

    def test_optional_knows_whether_it_is_set(self):
        outputs = generate("message A { optional string text = 4; optional int32 more = 5; }")
        text = outputs["Sources/TenancyWire/Generated/V1Sample.swift"]
        self.assertIn("public var text: String?", text)
        self.assertIn("public var more: Int32?", text)
        self.assertIn("c.pointee.optional_text_case.rawValue == 4 ? try WireText", text)
        self.assertIn("optional_text_case;", outputs["Sources/CTenancyProto/include/tenancy/v1/sample.pb-c.h"])

    def test_nested_enums_are_generated(self):
        text = generate("message A { enum E { E_NONE = 0; E_ONE = 1; } E e = 1; }")[
            "Sources/TenancyWire/Generated/V1Sample.swift"
        ]
        self.assertIn("extension V1.A {\n  /// `tenancy.v1.A.E`.\n  public struct E: WireEnum {", text)
        self.assertIn("public static let one = Self(rawValue: 1)", text)

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


class ModuleTests(unittest.TestCase):
    PLAIN = """
        syntax = "proto3";
        package bench.v1;
        import "google/protobuf/empty.proto";
        message A {}
        service S {
          rpc Unary(A) returns (A) { option idempotency_level = IDEMPOTENT; }
          rpc Client(stream A) returns (google.protobuf.Empty);
          rpc Server(A) returns (stream A);
          rpc Both(stream A) returns (stream A);
        }
    """

    def generate(self, text: str, name: str = "bench/v1/s.proto") -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, content in {
                "tenancy/v1/options.proto": (PROTO / "tenancy/v1/options.proto").read_text(),
                name: text,
            }.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(content)
            return command.generate(root)

    def test_every_kind_of_method_is_generated(self):
        outputs = self.generate(self.PLAIN)
        specs = outputs["Sources/TenancyRPCInterop/Generated/Services.swift"]
        for name, kind in (
            ("Unary", ".unary, isIdempotent: true"),
            ("Client", ".clientStreaming"),
            ("Server", ".serverStreaming"),
            ("Both", ".bidirectional"),
        ):
            self.assertIn(f'path: "/bench.v1.S/{name}", kind: {kind})', specs)

        client = outputs["Sources/TenancyRPCInterop/Generated/BenchSClient.swift"]
        self.assertIn("_ body: (RequestWriter<Bench.A>, ResponseMessages<Bench.A>)", client)
        self.assertIn("channel.clientStreaming(Bench.S.client, options: options, send)", client)

    def test_messages_without_json_do_not_know_it(self):
        text = self.generate(self.PLAIN)["Sources/TenancyRPCInterop/Generated/BenchS.swift"]
        self.assertNotIn("json", text.lower())

    def test_streams_are_authorized_as_other_methods_are(self):
        outputs = generate(f"""import "tenancy/v1/options.proto"; {MESSAGES} service Sample {{
          rpc Watch(Request) returns (stream Response) {{
            option (authorization) = {{ permission: "a:b" scope: SCOPE_TENANT tenant_field: "name" }};
          }}
          rpc Talk(stream Request) returns (stream Response) {{
            option (authorization) = {{ permission: "a:b" scope: SCOPE_PLATFORM }};
          }}
        }}""")
        specs = outputs["Sources/TenancyWire/Generated/Services.swift"]
        self.assertIn('path: "/tenancy.v1.Sample/Watch", kind: .serverStreaming)', specs)
        self.assertIn("$0.pointee.name", specs)
        client = outputs["Sources/TenancyClient/Generated/SampleClient.swift"]
        self.assertIn("channel.serverStreaming(V1.Sample.watch.method, request", client)
        self.assertIn("channel.bidirectional(V1.Sample.talk.method, options", client)

    def test_streams_that_declare_nothing_are_refused(self):
        with self.assertRaises(GenerationError):
            generate(f"{MESSAGES} service Sample {{ rpc Do(stream Request) returns (Response); }}")

    def test_every_proto_belongs_to_one_module(self):
        with self.assertRaisesRegex(GenerationError, "belongs to no module"):
            self.generate('syntax = "proto3"; package other.v1;', "other/v1/a.proto")
        body = """
            syntax = "proto3";
            package bench.v1;
            import "google/protobuf/any.proto";
            message A { google.protobuf.Any any = 1; }
        """
        with self.assertRaisesRegex(GenerationError, "any.proto of another module"):
            self.generate(body)

    def test_descriptors_hold_what_they_import_and_options(self):
        files = command.descriptors.load(PROTO)
        found = command.descriptors.FileSet.FromString(
            command.descriptors.closure(files, ["tenancy/v1/identity.proto"])
        )
        names = [file.name for file in found.file]
        self.assertEqual(names[-1], "tenancy/v1/identity.proto")
        self.assertIn("google/protobuf/descriptor.proto", names)
        self.assertNotIn("tenancy/v1/tenant_manager.proto", names)
        self.assertFalse(any(file.HasField("source_code_info") for file in found.file))
        method = found.file[-1].service[0].method[0]
        original = next(f for f in files.file if f.name == names[-1]).service[0].method[0]
        self.assertTrue(method.options.SerializeToString())
        self.assertEqual(method.options, original.options)


class ForeignTests(unittest.TestCase):
    """Of a package that is not this one."""

    generate = staticmethod(generate_foreign)

    def test_folders_and_namespaces(self):
        outputs = self.generate(
            a="package acme.shop_api.v1; message A {} service S { rpc Do(A) returns (stream A); }",
            b='package acme; import "a.proto"; message B { acme.shop_api.v1.A a = 1; }',
        )
        self.assertLessEqual(
            {"CShop/include/CShop.h", "CShop/a.pb-c.c", "Shop/Generated/AcmeShopApiV1SClient.swift"},
            outputs.keys(),
        )
        self.assertTrue(all(name.startswith(("CShop/", "Shop/Generated/")) for name in outputs))
        namespaces = outputs["Shop/Generated/Namespaces.swift"]
        self.assertIn("public enum AcmeShopApiV1 {}", namespaces)
        self.assertIn("public enum Acme {}", namespaces)
        # `acme` is the beginning of the other's name.
        self.assertIn("public var a: AcmeShopApiV1.A?", outputs["Shop/Generated/AcmeB.swift"])

    def test_well_known_messages_may_be_linked_twice(self):
        outputs = self.generate(
            a='package a.v1; import "google/protobuf/any.proto"; message A { google.protobuf.Any a = 1; }'
        )
        source = outputs["CShop/google/protobuf/any.pb-c.c"]
        self.assertIn("#pragma weak google__protobuf__any__descriptor\n", source)
        self.assertIn("#pragma weak google__protobuf__any__unpack\n", source)
        self.assertNotIn("#pragma weak", outputs["CShop/a.pb-c.c"])
        # clang heeds only what comes before the definitions.
        self.assertLess(source.rindex("#pragma weak"), source.index("(Google__Protobuf__Any"))
        self.assertLess(source.index('#include "google/'), source.index("#pragma weak"))
        self.assertIn("public enum GoogleProtobuf {}", outputs["Shop/Generated/Namespaces.swift"])

    def test_everything_public_is_documented(self):
        outputs = self.generate(
            a="""package acme.v1;
              enum Kind { KIND_UNSPECIFIED = 0; KIND_SMALL = 1; }
              message Empty { message Inner {} }
              message Some {
                string text = 1; repeated Kind kinds = 2; map<string, Empty> map = 3; optional bool flag = 4;
                oneof one { string left = 5; Empty right = 6; }
              }
              service S { rpc Do(Some) returns (stream Empty); rpc Done(stream Some) returns (Empty); }"""
        )
        found = symbols.Module()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in outputs.items():
                if name.endswith(".swift"):
                    file = pathlib.Path(folder) / name.replace("/", "-")
                    file.write_text(text)
                    symbols.read(found, file)
        public = [symbol for symbol in found.symbols if symbol.text]
        self.assertGreater(len(public), 40)
        # Requirements of the protocols of the runtime, which has their documentation.
        demanded = {"CMessage", "descriptor", "init(reading:)", "write(into:)", "init(rawValue:)", "rawValue", "names"}
        self.assertEqual({symbol.name for symbol in public if not symbol.documented} - demanded, set())

    def test_what_is_refused(self):
        struct = 'import "google/protobuf/struct.proto"; message A { google.protobuf.Struct a = 1; }'
        for text, reason in (
            (f"package a.v1; {struct}", "a.v1.A.a: Struct is not supported"),
            ("message A {}", "names no package"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(GenerationError, reason):
                self.generate(a=text)
        with self.assertRaisesRegex(GenerationError, "same in Swift"):
            self.generate(a="package a.b_c; message A {}", b="package a.b.c; message A {}")
        for syntax, files, reason in (
            ("proto2", {"a": "package a.v1; message A { optional int32 a = 1; }"}, "only proto3"),
            ("proto3", {f"{folder}/a": "package a.v1;" + f"message {folder} {{}}" for folder in "bc"}, "gives AV1A.swift too"),
            (
                "proto3",
                {"a_client": "package a.v1; message B {} service A { rpc Do(B) returns (B); }"},
                "AV1AClient.swift: two files",
            ),
            ("proto3", {"google/rpc/status": "package google.rpc; message Status {}"}, "the runtime has"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(GenerationError, reason):
                self.generate(syntax, **files)
        for name in ("", "shop", "../Shop", "Shop.X"):
            with self.subTest(name), self.assertRaisesRegex(GenerationError, "no name for a module"):
                command.modules.foreign(name)

    def test_an_enum_with_two_names_for_a_number_has_the_first(self):
        outputs = self.generate(
            a="package a.v1; enum E { option allow_alias = true; E_NONE = 0; E_ONE = 1; E_UNO = 1; }"
        )
        text = outputs["Shop/Generated/AV1A.swift"]
        self.assertIn('1: "E_ONE",', text)
        self.assertNotIn('1: "E_UNO"', text)
        self.assertIn("static let uno = Self(rawValue: 1)", text)

    def test_names_of_fields_in_other_cases(self):
        outputs = self.generate(
            a="package a.v1; message A { optional string maybeText = 1; int32 HTTPCode = 2; }"
            "enum HTTPCode { HTTP_CODE_OK = 0; }"
        )
        text = outputs["Shop/Generated/AV1A.swift"]
        self.assertIn("public var maybeText: String?", text)
        self.assertIn("c.pointee.optional_maybetext_case", text)
        self.assertIn("static let ok = Self(rawValue: 0)", text)

    def test_packages_of_others_are_not_taken_for_ours(self):
        outputs = self.generate(a="package bench.v1; message A {}", b="package bench; message B {}")
        self.assertIn("Shop/Generated/BenchV1A.swift", outputs)
        self.assertIn("Shop/Generated/BenchB.swift", outputs)

    def test_folders_with_something_else_are_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            outputs = self.generate(a="package a.v1; message A {}")
            folders = command.modules.foreign("Shop").folders
            command.write(outputs, root, folders)
            command.refuse_foreign_files(root, folders)
            self.assertEqual(command.stale(outputs, root, folders), [])
            (root / "CShop/mine.c").write_bytes(b"\xff int mine;")
            with self.assertRaisesRegex(GenerationError, "mine.c: is not generated"):
                command.refuse_foreign_files(root, folders)


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
            extra = "Sources/TenancyWire/Generated/Extra.swift"
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
