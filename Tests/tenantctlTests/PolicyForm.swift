import Foundation
import Tenancy

/// What of a value is not as a schema has it: of the words that ours uses.
struct PolicyForm {
  private let root: JSONValue

  init(_ root: JSONValue) { self.root = root }

  func problems(_ value: JSONValue) -> [String] { problems(value, root) }

  private func problems(_ value: JSONValue, _ form: JSONValue) -> [String] {
    if case .string(let name)? = form["$ref"] {
      let id = name.split(separator: "/").last.map(String.init) ?? ""
      return root["$defs"]?[id].map { problems(value, $0) } ?? ["no form \(id)"]
    }
    if case .array(let forms)? = form["anyOf"] {
      return forms.contains { problems(value, $0).isEmpty } ? [] : ["none of the forms"]
    }
    var found: [String] = []
    if let kinds = form["type"], !kinds.texts.contains(value.kind) {
      return ["\(value.text()) is no \(kinds.text())"]
    }
    if let only = form["const"], only != value { found.append("\(only.text()) is expected") }
    if case .array(let few)? = form["enum"], !few.contains(value) { found.append("another") }
    switch value {
    case .string(let text):
      if case .string(let pattern)? = form["pattern"],
        text.range(of: pattern, options: .regularExpression) == nil
      {
        found.append("\(text) is not \(pattern)")
      }
    case .array(let values):
      if let items = form["items"] { found += values.flatMap { problems($0, items) } }
    case .object(let members):
      found += (form["required"]?.texts ?? []).filter { members[$0] == nil }
      for (name, member) in members {
        if let one = form["properties"]?[name] {
          found += problems(member, one)
        } else if form["additionalProperties"] == .bool(false) {
          found.append("no \(name)")
        }
      }
    case .null, .bool, .number: break
    }
    return found
  }
}

extension JSONValue {
  fileprivate subscript(_ name: String) -> JSONValue? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  fileprivate var texts: [String] {
    switch self {
    case .string(let text): [text]
    case .array(let values): values.flatMap(\.texts)
    case .null, .bool, .number, .object: []
    }
  }

  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
