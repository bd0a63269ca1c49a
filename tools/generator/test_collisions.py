"""Names of protos that Swift, C or the generated code has for something else, and names that would be twice there.

That what is generated for the former compiles shows Tests/ExamplePackage, with proto/awkward.
"""

import re
import unittest

from . import naming
from .errors import GenerationError
from .test_generator import generate_foreign

# What uses all that generated code can use.
EVERYTHING = """package a.v1;
message A {
  double a = 1; float b = 2; int32 c = 3; int64 d = 4; uint32 e = 5; uint64 f = 6; bool g = 7; string h = 8;
  bytes i = 9; E j = 10; B k = 11; repeated string l = 12; repeated bytes m = 13; repeated B n = 14;
  map<string, string> o = 15; map<string, B> p = 16; optional bool q = 17; oneof r { string s = 18; B t = 19; }
}
message B {}
enum E { E_NONE = 0; }
service S {
  rpc One(A) returns (B);
  rpc Two(stream A) returns (B);
  rpc Three(A) returns (stream B);
  rpc Four(stream A) returns (stream B);
}
"""


def generate(text: str) -> str:
    """All Swift that is generated for a proto."""
    outputs = generate_foreign(a=f"package a.v1; {text}")
    return "\n".join(content for name, content in outputs.items() if name.endswith(".swift"))


class UsedTypesTests(unittest.TestCase):
    def test_all_types_that_are_used_by_their_names_alone_are_known(self):
        outputs = generate_foreign(a=EVERYTHING)
        code = "".join(text for name, text in outputs.items() if name.endswith(".swift"))
        code = re.sub(r'//.*|"[^"\n]*"|import .*', "", code)
        used = set(re.findall(r"(?<![.\w`])[A-Z]\w*", code))
        declared = set(re.findall(r"\b(?:struct|enum|typealias) (\w+)", code)) | {"Result"}
        of_c = {name for name in used if "_" in name}
        self.assertIn("RPCMethod", used)
        self.assertEqual(used - declared - of_c - naming.USED_TYPES, set())
        # Words of Swift, and what is declared.
        self.assertEqual(naming.USED_TYPES - used, {"Protocol", "Type"})


class ApartTests(unittest.TestCase):
    """A "_" behind a name."""

    def test_types(self):
        text = generate(
            "message String { message Arena {} Arena arena = 1; oneof type { int32 a = 2; } }"
            "enum Protocol { PROTOCOL_NONE = 0; } message A { Protocol protocol = 1; String.Arena b = 2; }"
        )
        for line in (
            "public struct String_: WireMessage",
            "public struct Arena_: WireMessage",
            "public var arena: AV1.String_.Arena_?",
            "public var type: Type_?",
            "public struct Protocol_: WireEnum",
            "public var `protocol`: AV1.Protocol_",
            "public var b: AV1.String_.Arena_?",
        ):
            self.assertIn(line, text)
        # In C, the names are its own.
        self.assertIn("typealias CMessage = A__V1__String__Arena\n", text)

    def test_services_and_methods(self):
        text = generate("message A {} service Self { rpc Name(A) returns (A); }")
        self.assertIn("public enum Self_ {", text)
        self.assertIn("public struct SelfClient: Sendable {", text)
        self.assertIn("public static let name_ = RPCMethod", text)
        self.assertIn('path: "/a.v1.Self/Name"', text)
        self.assertIn("func name(\n", text)
        self.assertIn("channel.unary(AV1.Self_.name_, request", text)

    def test_cases(self):
        text = generate("enum E { E_NONE = 0; E_NAMES = 1; E_RAW_VALUE = 2; }")
        self.assertIn("public static let names_ = Self(rawValue: 1)", text)
        self.assertIn("public static let rawValue_ = Self(rawValue: 2)", text)

    def test_fields(self):
        text = generate("message A { int32 self = 1; oneof hash_value { int32 base = 2; string linux = 3; } }")
        self.assertIn("self.self_ = c.pointee.`self`\n", text)
        self.assertIn("public var hashValue_: HashValue?", text)
        self.assertIn(".base(c.pointee.base_)", text)
        self.assertIn('WireText.string(c.pointee.linux_, field: "linux")', text)

    def test_what_has_the_name_of_a_package(self):
        text = generate("message AV1 {} message B { AV1 a = 1; }")
        self.assertIn("public var a: AV1.AV1_?", text)
        packages = generate_foreign(a="package string; message A {} message B { A a = 1; }")
        self.assertIn("public var a: String_.A?", packages["Shop/Generated/String_A.swift"])


class RefusalTests(unittest.TestCase):
    def test_two_of_a_name_are_refused(self):
        for text, reason in (
            ("message A { repeated int32 x = 1; int32 n_x = 2; }", r"a.v1.A.n_x \(a.proto\): .*count of a.v1.A.x in C, n_x"),
            ("message A { oneof x { int32 y = 1; } int32 x_case = 2; }", "state of a.v1.A.x .* of a.v1.A.x_case in C"),
            ("message A { oneof a_b { int32 x = 1; } int32 aB = 2; }", "A.a_b .* of a.v1.A.aB in Swift, aB"),
            ("message A { message X {} oneof x { X y = 1; } }", "the type of a.v1.A.x .* of a.v1.A.X in Swift"),
            ("message String {} message String_ {}", "a.v1.String_ .* of a.v1.String in Swift, String_"),
            ("message AClient {} service A {}", "the client of a.v1.A .* of a.v1.AClient in Swift"),
            ("service A {} service AClient {}", "the client of a.v1.A .* of a.v1.AClient in Swift"),
            ("message B {} service A { rpc Do(B) returns (B); rpc do(B) returns (B); }", "A.do .* of a.v1.A.Do in Swift"),
            ("message A_B {} message AB {}", "a.v1.AB .* of a.v1.A_B in C, A__V1__AB"),
            ("enum E { option allow_alias = true; E_NONE = 0; NONE = 0; }", "E.NONE .* of a.v1.E.E_NONE in Swift, none: rename"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(GenerationError, reason):
                generate(text)

    def test_a_map_s_entry_is_no_type(self):
        text = generate("message A { map<string, int32> x = 1; oneof x_entry { int32 y = 2; } }")
        self.assertIn("public enum XEntry", text)


if __name__ == "__main__":
    unittest.main()
