import Foundation
import Tenancy
import Yams

/// Collects what is wrong with a file while it is read, and where its members are.
final class FleetNotes {
  let file: String
  private(set) var problems: [FleetProblem] = []
  /// Where members are, by their paths.
  var lines: [String: Int] = [:]
  private(set) var columns: [String: Int] = [:]
  private let tellsColumns: Bool
  /// Which roles members name that may be of the same file, or not.
  private(set) var roles: [(field: String, id: String)] = []

  init(file: String, tellsColumns: Bool = false) {
    self.file = file
    self.tellsColumns = tellsColumns
  }

  func note(_ text: String, at field: String, _ line: Int?, column: Int? = nil) {
    let column = tellsColumns ? column ?? columns[field] : nil
    problems.append(FleetProblem(file: file, line: line, column: column, field: field, text: text))
  }

  func note(role id: String, at field: String) {
    if tellsColumns { roles.append((field, id)) }
  }

  /// Notes where a member is.
  func place(_ field: String, _ mark: Mark?) {
    lines[field] = mark?.line
    if tellsColumns { columns[field] = mark?.column }
  }

  /// Begins another document.
  func begin() { (lines, columns, roles) = ([:], [:], []) }
}

/// A value of a file, and what it is called there.
struct FleetNode {
  let node: Node
  let field: String
  let notes: FleetNotes

  var line: Int? { node.mark?.line }

  func complain(_ text: String) {
    notes.note(text, at: field, line, column: node.mark?.column)
  }

  /// - Returns: nil, which stands for the value that is not there.
  func refuse<Value>(_ text: String) -> Value? {
    complain(text)
    return nil
  }

  /// A word that is none: a member without a value.
  private var isNull: Bool {
    guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
    return ["", "~", "null"].contains(scalar.string)
  }

  /// The scalar, if it is one of no special kind.
  private func scalar(_ expected: String) -> Node.Scalar? {
    guard case .scalar(let scalar) = node else { return refuse("\(expected) is expected") }
    guard !isNull else {
      return refuse("\(expected) is expected; without the member, what there is stays")
    }
    let tag = scalar.tag.description
    guard tag.isEmpty || tag == Tag.Name.str.rawValue, node.anchor == nil else {
      return refuse("tags and anchors are not read here")
    }
    return scalar
  }

  /// Plain words and numbers are the text that they are written as.
  func text() -> String? { scalar("a text")?.string }

  func flag() -> Bool? {
    guard let scalar = scalar("true or false") else { return nil }
    guard scalar.style == .plain, ["true", "false"].contains(scalar.string) else {
      return refuse("true or false is expected")
    }
    return scalar.string == "true"
  }

  func number() -> Int64? {
    guard let scalar = scalar("a whole number") else { return nil }
    guard scalar.style == .plain, let number = Int64(scalar.string) else {
      return refuse("a whole number is expected")
    }
    return number
  }

  func list<Value>(_ element: (FleetNode) -> Value?) -> [Value]? {
    guard case .sequence(let elements) = node, node.anchor == nil else {
      return refuse("a list is expected")
    }
    return elements.enumerated().compactMap { at, value in
      element(below("[\(at)]", value))
    }
  }

  func dictionary<Value>(_ value: (FleetNode) -> Value?) -> [String: Value]? {
    guard let members = members() else { return nil }
    return members.reduce(into: [:]) { result, member in
      result[member.name] = value(member.value)
    }
  }

  /// The members of a mapping, each with the line of its name on record.
  func members() -> [(name: String, value: FleetNode)]? {
    guard case .mapping(let mapping) = node, node.anchor == nil else {
      return refuse("a mapping of names to values is expected")
    }
    var found: [(name: String, value: FleetNode)] = []
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key, key.anchor == nil else {
        notes.note("a name is expected", at: field, key.mark?.line, column: key.mark?.column)
        continue
      }
      let child = below(field.isEmpty ? scalar.string : ".\(scalar.string)", value)
      notes.place(child.field, key.mark)
      found.append((scalar.string, child))
    }
    return found
  }

  private func below(_ part: String, _ value: Node) -> FleetNode {
    let child = FleetNode(node: value, field: field + part, notes: notes)
    if notes.lines[child.field] == nil { notes.place(child.field, value.mark) }
    return child
  }

  // MARK: JSON

  /// Any value that JSON has. A number is one that JSON has; what is a text to one reader and something else to
  /// another is refused.
  func json(_ resolver: Yams.Resolver) -> JSONValue? {
    switch node {
    case .alias: return refuse("tags and anchors are not read here")
    case .sequence: return list { $0.json(resolver) }.map { .array($0) }
    case .mapping: return dictionary { $0.json(resolver) }.map { .object($0) }
    case .scalar(let scalar):
      if isNull { return .null }
      guard let scalar = self.scalar("a value"), scalar.style == .plain else {
        return self.scalar("a value").map { _ in .string(scalar.string) }
      }
      switch resolver.resolveTag(of: .scalar(Node.Scalar(scalar.string))) {
      case .bool: return .bool(scalar.string == "true")
      case .float:
        guard let number = Double(scalar.string), number.isFinite else {
          return refuse("the number is too large")
        }
        return .number(number)
      default:
        guard !YAMLText.isAmbiguous(scalar.string) else {
          return refuse(
            "'\(scalar.string)' is a text to some and not to others: quote it, or write it as JSON does"
          )
        }
        return .string(scalar.string)
      }
    }
  }
}
