import Testing

@testable import TenancyConditions

/// An expression as a tree, with its text and a deliberately naive evaluation: nothing of it shares
/// code with the engine but the values.
indirect enum Tree {
  case literal(String, ConditionValue)
  case attribute(String)
  case variable(String)
  case and(Tree, Tree)
  case or(Tree, Tree)
  case not(Tree)
  case negate(Tree)
  case conditional(Tree, Tree, Tree)
  case binary(String, Tree, Tree)
  case list([Tree])
  case map([(Tree, Tree)])
  case index(Tree, Tree)
  case select(Tree, String)
  case has(String)
  case call(String, [Tree])
  case method(Tree, String, [Tree])
  case macro(Tree, String, String, [Tree])

  var text: String {
    switch self {
    case .literal(let text, _): text
    case .attribute(let name), .variable(let name): name
    case .and(let left, let right): "(\(left.text) && \(right.text))"
    case .or(let left, let right): "(\(left.text) || \(right.text))"
    case .not(let operand): "!(\(operand.text))"
    case .negate(let operand): "-(\(operand.text))"
    case .conditional(let test, let yes, let no): "(\(test.text) ? \(yes.text) : \(no.text))"
    case .binary(let name, let left, let right): "(\(left.text) \(name) \(right.text))"
    case .list(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
    case .map(let entries):
      "{" + entries.map { "\($0.0.text): \($0.1.text)" }.joined(separator: ", ") + "}"
    case .index(let operand, let place): "\(operand.text)[\(place.text)]"
    case .select(let operand, let field): "\(operand.text).\(field)"
    case .has(let path): "has(\(path))"
    case .call(let name, let arguments):
      "\(name)(" + arguments.map(\.text).joined(separator: ", ") + ")"
    case .method(let receiver, let name, let arguments):
      "(\(receiver.text)).\(name)(" + arguments.map(\.text).joined(separator: ", ") + ")"
    case .macro(let range, let name, let variable, let bodies):
      "(\(range.text)).\(name)(\(variable), " + bodies.map(\.text).joined(separator: ", ") + ")"
    }
  }
}

/// Any error of CEL: which of several is found first is up to who evaluates.
struct NaiveError: Error {}

/// Evaluates trees by the letter of the langdef.
struct Naive {
  let attributes: [String: ConditionValue]
  var variables: [String: ConditionValue] = [:]

  func truth(_ tree: Tree) throws -> Bool {
    guard case .bool(let value) = try value(tree) else { throw NaiveError() }
    return value
  }

  private func either(_ left: Tree, _ right: Tree, decisive: Bool) throws -> ConditionValue {
    let results = [left, right].map { tree in Result { try truth(tree) } }
    for case .success(decisive) in results { return .bool(decisive) }
    for result in results { _ = try result.get() }
    return .bool(!decisive)
  }

  func value(_ tree: Tree) throws -> ConditionValue {
    switch tree {
    case .literal(_, let value): return value
    case .attribute(let name):
      guard let value = attributes[name] else { throw NaiveError() }
      return value
    case .variable(let name):
      guard let value = variables[name] else { throw NaiveError() }
      return value
    case .and(let left, let right): return try either(left, right, decisive: false)
    case .or(let left, let right): return try either(left, right, decisive: true)
    case .not(let operand): return .bool(try !truth(operand))
    case .negate(let operand):
      switch try value(operand) {
      case .int(let number): return .int(try exact(-Int128(number)))
      case .double(let number): return .double(-number)
      default: throw NaiveError()
      }
    case .conditional(let test, let yes, let no): return try value(truth(test) ? yes : no)
    case .binary(let name, let left, let right):
      return try NaiveOperators.apply(name, try value(left), try value(right))
    case .list(let elements): return .list(try elements.map(value))
    case .map(let entries):
      let pairs = try entries.map { (key: try value($0.0), value: try value($0.1)) }
      for (place, pair) in pairs.enumerated() {
        for other in pairs[..<place] where NaiveOperators.equal(pair.key, other.key) {
          throw NaiveError()
        }
      }
      guard let map = ConditionMap(pairs) else { throw NaiveError() }
      return .map(map)
    case .index(let operand, let place):
      return try element(try value(operand), try value(place))
    case .select(let operand, let field):
      return try element(try value(operand), .string(field))
    case .has(let path):
      if let range = path.ranges(of: "subject.attributes.").first {
        guard case .map(let map)? = attributes["subject.attributes"] else { throw NaiveError() }
        return .bool(
          map.entries.contains {
            NaiveOperators.equal($0.key, .string(String(path[range.upperBound...])))
          })
      }
      return .bool(attributes[path] != nil)
    case .call(let name, let arguments):
      return try NaiveOperators.call(name, try arguments.map(value))
    case .method(let receiver, let name, let arguments):
      return try NaiveOperators.call(name, [try value(receiver)] + arguments.map(value))
    case .macro(let range, let name, let variable, let bodies):
      return try macro(try value(range), name, variable, bodies)
    }
  }

  private func exact(_ number: Int128) throws -> Int64 {
    guard let exact = Int64(exactly: number) else { throw NaiveError() }
    return exact
  }

  private func element(_ operand: ConditionValue, _ place: ConditionValue) throws
    -> ConditionValue
  {
    switch operand {
    case .list(let elements):
      for (index, element) in elements.enumerated() {
        if case .string = place { break }
        if NaiveOperators.equal(.int(Int64(index)), place) { return element }
      }
      throw NaiveError()
    case .map(let map):
      for entry in map.entries where NaiveOperators.equal(entry.key, place) { return entry.value }
      throw NaiveError()
    default: throw NaiveError()
    }
  }

  private func macro(
    _ range: ConditionValue, _ name: String, _ variable: String, _ bodies: [Tree]
  ) throws -> ConditionValue {
    let elements: [ConditionValue]
    switch range {
    case .list(let list): elements = list
    case .map(let map): elements = map.entries.map(\.key)
    default: throw NaiveError()
    }
    func results(_ body: Tree) -> [Result<ConditionValue, any Error>] {
      elements.map { element in
        var inner = self
        inner.variables[variable] = element
        return Result { try inner.value(body) }
      }
    }
    let bools = results(bodies[0]).map { result in
      Result { () throws -> Bool in
        guard case .bool(let value) = try result.get() else { throw NaiveError() }
        return value
      }
    }
    switch name {
    case "all", "exists":
      for case .success(name == "exists") in bools { return .bool(name == "exists") }
      for result in bools { _ = try result.get() }
      return .bool(name == "all")
    case "exists_one":
      return .bool(try bools.filter { try $0.get() }.count == 1)
    case "filter":
      return .list(try zip(elements, bools).filter { try $0.1.get() }.map(\.0))
    case "map" where bodies.count == 2:
      var mapped: [ConditionValue] = []
      for (bool, result) in zip(bools, results(bodies[1])) where try bool.get() {
        mapped.append(try result.get())
      }
      return .list(mapped)
    default: return .list(try results(bodies[0]).map { try $0.get() })
    }
  }
}
