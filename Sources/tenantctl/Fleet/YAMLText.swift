import Foundation
import Tenancy
import Yams

/// YAML as it is read and written here: what means the same to YAML 1.1, YAML 1.2 and JSON.
enum YAMLText {
  /// Plain words and numbers that are not text: those of JSON.
  private static let rules: [(Tag.Name, String)] = [
    (.null, "^(?:~|null|)$"), (.bool, "^(?:true|false)$"),
    (.float, #"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"#),
  ]

  static func resolver() throws -> Yams.Resolver {
    try rules.reduce(Yams.Resolver.basic) { try $0.appending($1.0, $1.1) }
  }

  /// Whether a plain word is text here and something else to others: `yes`, `0x1F`, `1_000`.
  static func isAmbiguous(_ text: String) -> Bool {
    [Tag.Name.bool, .int, .float].contains(
      Yams.Resolver.default.resolveTag(of: .scalar(Node.Scalar(text))))
  }

  // MARK: Writing

  /// A text, quoted where somebody could take it for something else.
  static func node(_ text: String) -> Node {
    Node(text, Tag(.str), isText(text) ? .any : .singleQuoted)
  }

  private static let words: Set<String> = [
    "y", "n", "yes", "no", "true", "false", "on", "off", "null",
  ]

  /// Whether it is text to everybody without quotes.
  private static func isText(_ text: String) -> Bool {
    // All that is something else begins with another character, or is one of few words: most need no more.
    if let first = text.utf8.first, (0x41...0x5A).contains(first & 0xDF), first >= 0x41 {
      return !words.contains(text.lowercased())
    }
    return Yams.Resolver.default.resolveTag(of: .scalar(Node.Scalar(text))) == .str
  }

  static func node(_ value: JSONValue) -> Node {
    switch value {
    case .null: Node("null", Tag(.null))
    case .bool(let value): Node(value ? "true" : "false", Tag(.bool))
    case .number: Node(value.text(), Tag(.float))
    case .string(let text): node(text)
    case .array(let values): Node(values.map { node($0) })
    case .object(let members): node(members) { node($0) }
    }
  }

  /// A mapping in the order of its keys.
  static func node<Value>(_ members: [String: Value], _ value: (Value) -> Node) -> Node {
    Node(members.sorted { $0.key < $1.key }.map { (node($0.key), value($0.value)) })
  }

  /// One document, `---` before it. The same node has the same text.
  static func document(_ root: Node) throws(OutputFailure) -> String {
    do {
      let text = try serialize(
        node: root, indent: 2, width: -1, allowUnicode: true, explicitStart: true)
      // What would steer a terminal or hide from who reads it is spelled out, with all that is not ASCII.
      if Printable.json(text) == text { return text }
      return try serialize(
        node: root, indent: 2, width: -1, allowUnicode: false, explicitStart: true)
    } catch {
      throw OutputFailure(reason: "\(error)")
    }
  }
}
