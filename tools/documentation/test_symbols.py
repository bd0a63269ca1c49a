"""That what is public and says nothing of itself is found, and nothing else."""

from pathlib import Path

import pytest

from . import symbols

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = '''
  .library(name: "Shop", targets: ["Shop", "CShop"]),
  .executable(name: "shop", targets: ["shop"]),
'''


@pytest.fixture
def found(tmp_path):
    """The declarations that are found in the text of a file of a product."""

    def find(text: str, **more: str) -> list[str]:
        (tmp_path / "Package.swift").write_text(PACKAGE)
        for name, content in {"Sources/Shop/Shop.swift": text, **more}.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return [line.split(": no documentation: ")[1] for line in symbols.undocumented(tmp_path)]

    return find


@pytest.mark.parametrize("declaration", [
    "public struct S {}",
    "public final class C {}",
    "public indirect enum E {}",
    "public protocol P {}",
    "public actor A {}",
    "public typealias T = Int",
    "public func f() {}",
    "public var x = 1",
    "public let x = 1",
    "extension Int { }\npublic let y = 1",
])
def test_each_kind(found, declaration):
    assert found(declaration) == [declaration.splitlines()[-1]]
    *before, last = declaration.splitlines()
    assert found("\n".join([*before, "/// What it is.", last])) == []
    assert found("\n".join([*before, "/// What it is.", "@available(*, unavailable)", "@inlinable", last])) == []
    # What is told of something else, or in another kind of comment.
    assert found("\n".join([*before, "/// What it is.", "let other = 1", last])) == [last]
    assert found("\n".join([*before, "// What it is.", last])) == [last]
    assert found("\n".join([*before, last.replace("public ", "package ")])) == []


@pytest.mark.parametrize("member", [
    "public init() {}",
    "public init?(parsing text: String) { nil }",
    "public subscript(key: String) -> Int { 1 }",
    "public static let x = 1",
    "public private(set) var x = 1",
    "public static func + (a: Self, b: Self) -> Self { a }",
    "public mutating func f() {}",
    "@inlinable public var x: Int { 1 }",
    "open func f() {}",
    "public struct Inner {}",
    "public nonisolated(nonsending) func f() async {}",
    "public class func f() {}",
])
def test_members(found, member):
    assert found(f"/// A.\npublic class S {{\n  {member}\n}}") == [member]
    assert found(f"/// A.\npublic class S {{\n  /// B.\n  {member}\n}}") == []
    assert found(f"extension Int {{\n  {member}\n}}") == [member]
    # Nobody sees what is in something that nobody sees.
    assert found(f"class S {{\n  {member}\n}}") == []
    assert found(f"class S {{}}\nextension S {{\n  {member}\n}}") == []


def test_cases(found):
    text = "/// E.\npublic enum E {\n  case a, b(Int)\n  indirect case c(E)\n  /// D.\n  case d = 4\n}"
    assert found(text) == ["case a, b(Int)", "indirect case c(E)"]
    assert found(text.replace("public ", "")) == []
    # Those of a `switch` are no declarations.
    body = "switch self {\n  case .a: 1\n  case let x: 2\n  }"
    assert found(f"/// E.\npublic enum E {{\n  /// X.\n  public var x: Int {{\n  {body}\n  }}\n}}") == []


def test_requirements(found):
    text = "/// P.\npublic protocol P {\n  associatedtype A\n  var x: Int { get }\n  func f()\n  init()\n}"
    assert found(text) == ["associatedtype A", "var x: Int { get }", "func f()", "init()"]
    assert found(text.replace("public ", "")) == []


def test_what_implements_is_told_of_where_it_is_demanded(found):
    demand = "/// P.\npublic protocol P {\n  /// F.\n  func f()\n}\n/// Q.\npublic protocol Q: P {}\n"
    members = "\n  public func f() {}\n  public func g() {}\n}"
    assert found(f"{demand}/// S.\npublic struct S: Sendable, Q {{{members}") == ["public func g() {}"]
    assert found(f"{demand}extension Q {{{members}") == ["public func g() {}"]
    assert found(f"{demand}/// S.\npublic struct S {{{members}") == ["public func f() {}", "public func g() {}"]


def test_what_the_standard_library_demands(found):
    members = """
      public static func == (a: Self, b: Self) -> Bool { true }
      public func hash(into hasher: inout Hasher) {}
      public var description: String { "" }
      public init(from decoder: any Decoder) throws {}
      public override func f() {}
    """
    conformances = "Hashable, Codable,\n  CustomStringConvertible"
    assert found(f"/// S.\npublic struct S: {conformances}\n{{{members}}}") == []
    assert found(f"/// S.\npublic struct S {{}}\nextension S: {conformances} {{{members}}}") == []
    assert len(found(f"/// S.\npublic struct S {{{members}}}")) == 4
    # Another of that name.
    members = "public let hash: Int\npublic func encode(into text: String) {}"
    assert len(found(f"/// S.\npublic struct S: Hashable, Codable {{\n{members}\n}}")) == 2


def test_texts_and_comments_do_not_confuse(found):
    text = '''
/// S.
public struct S {
  let a = "} \\(["{": "}"].map { "\\($0)}" }) {"
  let b = #"\\("}"#
  let c = """
    public func f() {} }
    """
  /* } public func f() */ // }
  func g() { let s = "{"; _ = s }
  public let last = 1
}
public let outside = 1
'''
    assert found(text) == ["public let last = 1", "public let outside = 1"]


def test_heads_of_several_lines(found):
    text = """
/// F.
public func f(
  a: () -> Int = { 1 }
) -> Int {
  let x = 1
  return x
}
public func g(
  a: Int
) {}
"""
    assert found(text) == ["public func g("]


def test_only_products_are_looked_at(found):
    text = "public let x = 1"
    assert found("", **{"Sources/shop/Main.swift": text, "Sources/Other/Other.swift": text}) == []


def test_this_repository():
    assert symbols.undocumented(ROOT) == []
